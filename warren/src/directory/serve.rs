//! `warren directory serve`: a replica that answers from memory, wherever it is wanted.

use std::net::SocketAddr;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::time::Duration;

use directory::{
    Carriers, Directory, FeedSource, HttpsFeed, RedisFeed, RelayToken, SnapshotFileError,
};
use feed::FeedKey;
use net::drain::Drain;
use net::https::HttpsClient;
use net::socket::listen;
use net::tls::{ClientTls, ServerTls, TlsError, TlsMaterial, TrustRoots};
use protocol::Address;
use tokio::net::TcpListener;

use crate::args::ServeArgs;
use crate::data_dir::DataDir;
use crate::descriptors;
use crate::directory::{parent, watchers};
use crate::failure::{Exit, Failure};
use crate::files::read_token;
use crate::renewal::{self, Shown};
use crate::signals::EndSignals;
use crate::{output, redis};

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

    let listener = listen(SocketAddr::new(args.listen, args.port)).map_err(|error| {
        let what = format!("cannot listen on {}:{}: {error}", args.listen, args.port);
        Failure::new(Exit::Unavailable, what).fix("pass --port with a port that is free")
    })?;
    let address = listener.local_addr().map_err(|e| Failure::from_error(Exit::Failed, &e))?;
    let relay = args.relay_token_file.as_deref().map(relay_token).transpose()?;
    let watchers = watchers::listen(args).await?;
    let front = match args.https {
        Some(address) => Some(listen_https(address).await?),
        None => None,
    };
    let drain = Drain::new();
    let directory = match source {
        Source::File(file, key) => {
            let opened = match key {
                Some(key) => Directory::open_signed(file, &key),
                None => Directory::open_alone(file),
            };
            let directory = opened.map_err(|error| snapshot(file, &error))?;
            output::line(format_args!(
                "directory   {address}   (says what {} says)",
                file.display()
            ))?;
            directory
        }
        Source::Feed { feed, key, from, file } => {
            let directory = Directory::open(file.clone()).map_err(|e| snapshot(&file, &e))?;
            drain.spawn(Arc::clone(&directory).follow(feed, key, drain.clone()));
            output::line(format_args!("directory   {address}   (follows {from})"))?;
            directory
        }
    };
    let shown = Shown { server: tls.clone(), client: None };
    if let Some(front) = front {
        let address = front.local_addr().map_err(|e| Failure::from_error(Exit::Failed, &e))?;
        output::line(format_args!(
            "https       {address}   (/v1/openapi.json says what there is)"
        ))?;
        let served = Arc::clone(&directory);
        let (tls, drain_too) = (tls.clone(), drain.clone());
        drain.spawn(served.serve_https_below(parent.clone(), front, tls, relay, drain_too));
    }
    let dns = super::dns::start(&args.dns, &directory, parent.clone(), &tls, &drain).await?;
    let monitored = watchers::serve(watchers, &directory, dns.as_deref(), &drain)?;
    drain.spawn(directory.serve_below(parent, listener, tls, drain.clone()));
    tokio::select! {
        () = end.first() => {}
        () = renewal::watch(args.tls_cert.clone(), args.tls_key.clone(), shown) => end.first().await,
    }
    monitored.end();
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(args.drain_delay)) => {}
        () = end.first() => {}
    }
    drain.start();
    tokio::select! {
        _ = drain.finished(DRAIN_DEADLINE) => {}
        () = end.first() => {}
    }
    Ok(())
}

fn relay_token(file: &Path) -> Result<RelayToken, Failure> {
    RelayToken::parse(&read_token(file)?).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).fix("openssl rand -hex 32 makes a good one")
    })
}

async fn listen_https(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let what = format!("cannot listen on {address}: {error}");
        Failure::new(Exit::Unavailable, what).fix("pass --https with a port that is free")
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
    if let Some((feed, registrar)) = registrar_feed(args)? {
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

fn registrar_feed(args: &ServeArgs) -> Result<Option<(HttpsFeed, Address)>, Failure> {
    let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
    let (Some(url), Some(ca_file), Some(token_file)) =
        (&args.registrar, &args.ca_file, &args.token_file)
    else {
        return Ok(None);
    };
    let registrar = net::https::parse_url(url).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).fix("pass --registrar https://HOST:PORT")
    })?;
    let roots = TrustRoots::from_pem_file(ca_file).map_err(usage)?;
    let token = read_token(token_file)?;
    let client = HttpsClient::new(ClientTls::new(&roots, None).map_err(usage)?);
    Ok(Some((HttpsFeed::new(&client, registrar.clone(), &token), registrar)))
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
