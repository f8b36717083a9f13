//! `warren directory serve`: a replica that answers from memory, wherever it is wanted.

use std::future::pending;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::time::Duration;

use directory::{
    Carriers, Directory, FeedSource, HttpsFeed, RedisFeed, RelayToken, SnapshotFileError,
};
use feed::FeedKey;
use net::dial::{DialPolicy, Dialer};
use net::drain::Drain;
use net::https::HttpsClient;
use net::limits::UPSTREAM_DIAL_DEADLINE;
use net::tls::{ClientTls, ServerTls, TlsError, TlsMaterial, TrustRoots};
use protocol::Address;

use crate::args::ServeArgs;
use crate::data_dir::DataDir;
use crate::descriptors;
use crate::directory::fronts::{Fronts, Terms};
use crate::directory::parent;
use crate::directory::succession::{self, Succession};
use crate::failure::{Exit, Failure};
use crate::files::read_token;
use crate::monitoring::Monitored;
use crate::redis;
use crate::renewal::{self, Shown};
use crate::signals::EndSignals;

/// How long connections get to come to their end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// Beside connections: the snapshot file, the feed, the parent.
const DESCRIPTORS_BESIDE: usize = 4_096;

/// Answers until a signal ends it: from a file, or following a registrar's feed. With a file from an
/// earlier run a follower answers at once, whether the registrar is there or not.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    crate::up::start_logs(args.log_format)?;
    descriptors::raise_limit(DESCRIPTORS_BESIDE);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(live(args));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn live(args: &ServeArgs) -> Result<(), Failure> {
    let mut end = EndSignals::listen()?;
    let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
    let material = TlsMaterial::load(&args.tls_cert, &args.tls_key).map_err(usage)?;
    let tls = ServerTls::new(&material).map_err(usage)?;
    let (source, parent) = (source(args)?, parent::of(args)?);

    let relay = args.relay_token_file.as_deref().map(relay_token).transpose()?;
    let mut doors = succession::doors(args.handover.as_deref()).await?;
    let fronts = Fronts::listen(args, &mut doors)?;
    let mut succession = Succession::new(doors, args.handover.as_deref())?;

    let drain = Drain::new();
    let (directory, says) = open(source, succession.has_predecessor(), &drain).await?;
    tokio::select! {
        ready = succession.ready(&directory) => ready?,
        () = end.first() => return Ok(()),
    }
    let shown = Shown { server: tls.clone(), client: None };
    fronts.announce(&says)?;
    succession.announce()?;
    let monitored = fronts.serve(&directory, Terms { tls, relay, parent }, &drain);
    let begun = succession.begin(&directory).await;
    let renewed = renewal::watch(args.tls_cert.clone(), args.tls_key.clone(), shown);
    let is_succeeded = begun.is_ok()
        && tokio::select! {
            is_succeeded = serving(args, &mut end, &mut succession, &directory, &monitored) => is_succeeded,
            () = async { renewed.await; pending().await } => false,
        };
    // With its copies of the sockets, so that they close.
    drop(succession);
    match is_succeeded {
        true => drain.start_succeeded(),
        false => drain.start(),
    }
    tokio::select! {
        _ = drain.finished(DRAIN_DEADLINE) => {}
        () = end.first() => {}
    }
    begun
}

/// Waits for the end: whether somebody else serves in the place of this process then.
async fn serving(
    args: &ServeArgs,
    end: &mut EndSignals,
    succession: &mut Succession<'_>,
    directory: &Arc<Directory>,
    monitored: &Monitored,
) -> bool {
    tokio::select! {
        () = end.first() => {}
        () = succession.succeeded(directory) => return true,
    }
    monitored.end();
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(args.drain_delay)) => false,
        () = end.first() => false,
        () = succession.succeeded(directory) => true,
    }
}

/// The directory, and where its knowledge is from. Where another process serves yet, the file is
/// left to it.
async fn open(
    source: Source<'_>,
    has_predecessor: bool,
    drain: &Drain,
) -> Result<(Arc<Directory>, String), Failure> {
    match source {
        Source::File(file, key) => {
            let opened = match key {
                Some(key) => Directory::open_signed(file, &key),
                None => Directory::open_alone(file),
            };
            let directory = opened.map_err(|error| snapshot(file, &error))?;
            Ok((directory, format!("says what {} says", file.display())))
        }
        Source::Feed { feed, key, from, file } => {
            let directory = Directory::open(file.clone()).map_err(|e| snapshot(&file, &e))?;
            if has_predecessor {
                directory.leave_file().await;
            }
            drain.spawn(Arc::clone(&directory).follow(feed, key, drain.clone()));
            Ok((directory, format!("follows {from}")))
        }
    }
}

fn relay_token(file: &Path) -> Result<RelayToken, Failure> {
    RelayToken::parse(&read_token(file)?).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).fix("openssl rand -hex 32 makes a good one")
    })
}

/// Where a replica's knowledge comes from.
enum Source<'a> {
    /// From a file, once; with a key, only if it has signed all of it.
    File(&'a Path, Option<FeedKey>),
    /// From a registrar's feed; the file is for starts without it.
    Feed { feed: Arc<dyn FeedSource>, key: FeedKey, from: String, file: PathBuf },
}

fn source(args: &ServeArgs) -> Result<Source<'_>, Failure> {
    if let Some(file) = &args.snapshot {
        return Ok(Source::File(file, args.feed_key));
    }
    let Some(key) = args.feed_key else {
        return Err(Failure::new(Exit::Usage, "there is nothing to serve").fix(
            "pass --snapshot FILE, or --feed-key with --redis URL, with --registrar URL, or both",
        ));
    };
    let mut carriers: Vec<Arc<dyn FeedSource>> = Vec::new();
    let mut from = Vec::new();
    if let Some((feed, place)) = redis_feed(args, key)? {
        carriers.push(Arc::new(feed));
        from.push(place);
    }
    for (feed, registrar) in registrar_feeds(args)? {
        carriers.push(Arc::new(feed));
        from.push(format!("https://{registrar}"));
    }
    let feed = Arc::new(Carriers::new(carriers));
    let dir = DataDir::resolve(args.data_dir.data_dir.as_deref())?;
    dir.create()?;
    let file =
        absolute(dir.directory_snapshot()).map_err(|e| Failure::from_error(Exit::Failed, &e))?;
    Ok(Source::Feed { feed, key, from: from.join(", then "), file })
}

fn redis_feed(args: &ServeArgs, key: FeedKey) -> Result<Option<(RedisFeed, String)>, Failure> {
    let Some(place) = redis::place(&args.redis)? else { return Ok(None) };
    let tls = match place.is_tls() {
        true => Some(redis::tls(&args.redis, args.ca_file.as_deref())?),
        false => None,
    };
    let shown = place.to_string();
    Ok(Some((RedisFeed::new(place, tls, redis::keys(&args.redis), key), shown)))
}

fn registrar_feeds(args: &ServeArgs) -> Result<Vec<(HttpsFeed, Address)>, Failure> {
    let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
    let (Some(ca_file), Some(token_file)) = (&args.ca_file, &args.token_file) else {
        return Ok(Vec::new());
    };
    let roots = TrustRoots::from_pem_file(ca_file).map_err(usage)?;
    let token = read_token(token_file)?;
    let tls = ClientTls::new(&roots, None).map_err(usage)?;
    // One of several that is gone must not hold up the others.
    let client = match args.registrar.len() {
        0 | 1 => HttpsClient::new(tls),
        _ => HttpsClient::with_dialer(Dialer::new(tls, DialPolicy::Any, UPSTREAM_DIAL_DEADLINE)),
    };
    let feed = |url: &String| {
        let registrar = net::https::parse_url(url).map_err(|error| {
            Failure::from_error(Exit::Usage, &error).fix("pass --registrar https://HOST:PORT")
        })?;
        Ok((HttpsFeed::new(&client, registrar.clone(), &token), registrar))
    };
    args.registrar.iter().map(feed).collect()
}

fn snapshot(file: &Path, error: &SnapshotFileError) -> Failure {
    let exit = match error {
        SnapshotFileError::Missing => Exit::NotFound,
        _ => Exit::Failed,
    };
    let fix = match error {
        SnapshotFileError::NotSigned(_) => "check --feed-key, or take the file from who signs it",
        _ => "warren directory snapshot build --from names.tsv --out FILE",
    };
    Failure::from_error(exit, error).at(file.display()).fix(fix)
}
