//! `warren directory status`: how a directory stands, over its HTTPS front.

use std::path::PathBuf;

use net::https::{HttpsClient, parse_url};
use net::tls::{ClientTls, TrustRoots};
use protocol::{Address, FeedId};
use serde::{Deserialize, Serialize};

use crate::args::StatusArgs;
use crate::data_dir::DataDir;
use crate::endpoints::Endpoints;
use crate::failure::{Exit, Failure, chain};
use crate::output;

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What `/v1/status` says.
#[derive(Debug, Serialize, Deserialize)]
struct Status {
    ready: bool,
    feed: Option<FeedId>,
    generation: u64,
    checkpoint: Option<u64>,
    newest: u64,
    lag: u64,
    age_seconds: Option<u64>,
    entries: u64,
    version: String,
}

/// Asks, prints the answer, and fails where the directory is not ready or its knowledge is too old.
pub async fn run(args: &StatusArgs) -> Result<(), Failure> {
    let (directory, ca_file) = find(args)?;
    let status = ask(&directory, &ca_file).await?;
    match args.json {
        true => output::json(&status)?,
        false => tell(&directory, &status)?,
    }
    judge(&directory, &status, args.max_age)
}

fn find(args: &StatusArgs) -> Result<(Address, PathBuf), Failure> {
    let url = args.url.as_deref().map(read_url).transpose()?;
    let named = url.or_else(|| args.https.clone());
    if let (Some(directory), Some(ca_file)) = (&named, &args.ca_file) {
        return Ok((directory.clone(), ca_file.clone()));
    }
    let found = Endpoints::read(&DataDir::resolve(args.data_dir.data_dir.as_deref())?)?;
    let directory = match (named, found.directory_https) {
        (Some(named), _) => named,
        (None, Some(url)) => read_url(&url)?,
        (None, None) => {
            let what = "the directory of this warren does not answer HTTPS";
            return Err(Failure::new(Exit::Unavailable, what)
                .fix("start it with warren up --directory-https PORT"));
        }
    };
    Ok((directory, args.ca_file.clone().unwrap_or(found.ca_file)))
}

fn read_url(text: &str) -> Result<Address, Failure> {
    parse_url(text).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).fix("pass https://HOST:PORT or --https HOST:PORT")
    })
}

async fn ask(directory: &Address, ca_file: &std::path::Path) -> Result<Status, Failure> {
    let roots = TrustRoots::from_pem_file(ca_file).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).fix("pass --ca-file with the authorities to trust")
    })?;
    let tls = ClientTls::new(&roots, None).map_err(|e| Failure::from_error(Exit::Failed, &e))?;
    let client = HttpsClient::new(tls).with_answer_bytes_max(ANSWER_BYTES_MAX);
    let silent = |what: &dyn std::fmt::Display| {
        let what = format!("the directory at https://{directory} does not answer: {what}");
        Failure::new(Exit::Unavailable, what)
            .fix("check that it runs with --https, and the address and --ca-file")
    };
    let answer = client.get(directory, "/v1/status", None).await;
    let answer = answer.map_err(|error| silent(&chain(&error)))?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|error| silent(&error)),
        status => Err(silent(&format_args!("status {status}"))),
    }
}

fn tell(directory: &Address, status: &Status) -> Result<(), Failure> {
    let checkpoint = status.checkpoint.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let feed = status.feed.map_or_else(|| "-".to_owned(), |feed| feed.to_string());
    let age = status.age_seconds.map_or_else(|| "-".to_owned(), |age| format!("{age} s"));
    output::line(format_args!(
        "https://{directory}\n  ready       {}\n  identities  {}\n  change      {} of {}, {} behind\n  \
         checkpoint  {checkpoint}\n  age         {age}\n  feed        {feed}\n  version     {}",
        if status.ready { "yes" } else { "no" },
        status.entries,
        status.generation,
        status.newest,
        status.lag,
        status.version,
    ))
}

fn judge(directory: &Address, status: &Status, age_max: Option<u64>) -> Result<(), Failure> {
    if !status.ready {
        let what = format!("the directory at https://{directory} is not ready");
        return Err(Failure::new(Exit::Unavailable, what)
            .fix("it answers once its registrar has told it something; look into its log"));
    }
    let Some(age_max) = age_max else { return Ok(()) };
    let age = match status.age_seconds {
        Some(age) if age <= age_max => return Ok(()),
        Some(age) => format!("{age} s old"),
        None => "of an unknown age".to_owned(),
    };
    let what = format!(
        "what the directory at https://{directory} knows is {age}, not at most {age_max} s"
    );
    Err(Failure::new(Exit::Failed, what).fix("check that it reaches its registrar"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_not_ready_or_too_old_fails() {
        let at = Address::parse("localhost:1").unwrap();
        let exit = |ready, age_seconds, age_max| {
            let status = Status {
                ready,
                feed: None,
                generation: 0,
                checkpoint: None,
                newest: 0,
                lag: 0,
                age_seconds,
                entries: 0,
                version: String::new(),
            };
            judge(&at, &status, age_max).err().map(|failure| failure.exit)
        };
        assert_eq!(exit(true, Some(90), None), None);
        assert_eq!(exit(true, Some(90), Some(90)), None);
        assert_eq!(exit(true, Some(91), Some(90)), Some(Exit::Failed));
        assert_eq!(exit(true, None, Some(90)), Some(Exit::Failed));
        assert_eq!(exit(false, Some(0), Some(90)), Some(Exit::Unavailable));
        assert_eq!(exit(false, None, None), Some(Exit::Unavailable));
    }
}
