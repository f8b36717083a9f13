//! `warren resolve --verify`: believes the registrar's key, and not the directory that is asked.

use std::path::PathBuf;
use std::process::ExitCode;

use feed::{Evidence, FeedKey, Proven};
use net::https::HttpsClient;
use net::tls::{ClientTls, TrustRoots};
use protocol::{Address, AtSign};

use crate::args::ResolveArgs;
use crate::data_dir::DataDir;
use crate::endpoints::Endpoints;
use crate::failure::{Exit, Failure, chain};
use crate::output;

/// Most bytes of evidence: a batch, as base64.
const EVIDENCE_BYTES_MAX: usize = feed::SIGNED_BYTES_MAX / 3 * 4 + 1024;

/// Whom to ask, and whose word counts.
struct Asked {
    directory: Address,
    ca_file: PathBuf,
    key: FeedKey,
}

/// Asks a directory's HTTPS front for the registrar's word, and checks it.
pub async fn run(args: &ResolveArgs) -> Result<ExitCode, Failure> {
    let asked = whom(args)?;
    let evidence = ask(&asked, &args.identity).await?;
    let proven = evidence.check(&asked.key, &args.identity).map_err(|error| {
        let what = format!(
            "what the directory at https://{} says of {} is not proven: {error}",
            asked.directory, args.identity
        );
        Failure::new(Exit::Refused, what)
            .fix("do not use it; check --feed-key, or ask another directory")
    })?;
    let Some(address) = &proven.address else {
        let what = format!("{} was given up, says the registrar", args.identity);
        return Err(Failure::new(Exit::NotFound, what));
    };
    tell(args, address, &proven)
}

fn tell(args: &ResolveArgs, address: &Address, proven: &Proven) -> Result<ExitCode, Failure> {
    if !args.json {
        return output::line(address).map(|()| ExitCode::SUCCESS);
    }
    let answer = serde_json::json!({
        "identity": args.identity,
        "address": address,
        "epoch": proven.epoch,
        "feed": proven.feed,
        "change": proven.number,
        "said_at": proven.at,
        "verified": true,
    });
    output::json(&answer).map(|()| ExitCode::SUCCESS)
}

fn whom(args: &ResolveArgs) -> Result<Asked, Failure> {
    if let (Some(directory), Some(ca_file), Some(key)) = (&args.https, &args.ca_file, args.feed_key)
    {
        return Ok(Asked { directory: directory.clone(), ca_file: ca_file.clone(), key });
    }
    let found = Endpoints::read(&DataDir::resolve(args.data_dir.data_dir.as_deref())?)?;
    let url = found.directory_https.as_deref().map(net::https::parse_url).transpose();
    let url = url.map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    let directory = args.https.clone().or(url).ok_or_else(|| {
        Failure::new(Exit::Unavailable, "the directory of this warren does not answer HTTPS")
            .fix("start it with warren up --directory-https PORT, or pass --https HOST:PORT")
    })?;
    let ca_file = args.ca_file.clone().unwrap_or(found.ca_file);
    Ok(Asked { directory, ca_file, key: args.feed_key.unwrap_or(found.feed_key) })
}

async fn ask(asked: &Asked, identity: &AtSign) -> Result<Evidence, Failure> {
    let roots = TrustRoots::from_pem_file(&asked.ca_file).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).fix("pass --ca-file with the authorities to trust")
    })?;
    let tls = ClientTls::new(&roots, None).map_err(|e| Failure::from_error(Exit::Failed, &e))?;
    let client = HttpsClient::new(tls).with_answer_bytes_max(EVIDENCE_BYTES_MAX);
    let silent = |what: &dyn std::fmt::Display| {
        let what = format!("the directory at https://{} does not answer: {what}", asked.directory);
        Failure::new(Exit::Unavailable, what)
            .fix("check that it runs with --https, and the address and --ca-file")
    };
    let path = format!("/v1/identities/{}/proof", encoded(identity));
    let answer = client.get(&asked.directory, &path, None).await;
    let answer = answer.map_err(|error| silent(&chain(&error)))?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|error| silent(&error)),
        404 => {
            let what = format!("the directory at https://{} knows no {identity}", asked.directory);
            Err(Failure::new(Exit::NotFound, what).fix("that nobody has a name is not proven"))
        }
        status => Err(silent(&format_args!("status {status}"))),
    }
}

/// For a path: letters and digits stand for themselves.
fn encoded(identity: &AtSign) -> String {
    let encode = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    identity.bare().bytes().map(encode).collect()
}
