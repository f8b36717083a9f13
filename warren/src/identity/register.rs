//! `warren identity register`

use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use protocol::AtSign;
use registrar::Tier;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::api::{Api, Registered};
use crate::args::RegisterArgs;
use crate::failure::{Exit, Failure};
use crate::output;

/// Longest line of a file of names.
const LINE_BYTES_MAX: u64 = 1024;

/// Registers one identity, or as many as a file names.
pub async fn register(args: RegisterArgs) -> Result<ExitCode, Failure> {
    let api = Api::connect(&args.connection)?;
    match (&args.identity, &args.from) {
        (Some(identity), _) => one(&api, identity, &args).await,
        (None, Some(file)) => many(api, file, &args).await,
        (None, None) => Err(Failure::new(Exit::Usage, "there is no name to register")
            .fix("warren identity register @alice")),
    }
}

async fn one(api: &Api, identity: &AtSign, args: &RegisterArgs) -> Result<ExitCode, Failure> {
    let registered = api.register(identity, args.tier.into()).await?;
    if args.connection.json {
        output::json(&registered)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(format_args!(
        "{identity} is registered.\n\n  server             {}\n  activation secret  {}\n",
        registered.address, registered.activation_secret
    ))?;
    if let Some(code) = output::qr_code(&registered.activation_secret) {
        output::line(code)?;
    }
    output::line(format_args!(
        "\nWhoever has this secret can take {identity} over until she is activated: keep it safe.\n\
         Activate her with any atProtocol client; README shows how with the Python SDK."
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// A line of `--json` output for a name that could not be registered.
#[derive(Serialize)]
struct Refused<'a> {
    identity: &'a str,
    error: &'a str,
}

async fn many(api: Api, file: &Path, args: &RegisterArgs) -> Result<ExitCode, Failure> {
    let lines = read_names(file)?;
    let bar = progress_bar(lines.len());
    let api = Arc::new(api);
    let (mut lines, tier) = (lines.into_iter(), args.tier.into());
    let mut running = JoinSet::new();
    let (mut done, mut refused, mut last) = (0_usize, 0_usize, None);
    loop {
        while running.len() < usize::from(args.parallel) {
            let Some(line) = lines.next() else { break };
            let api = Arc::clone(&api);
            running.spawn(async move {
                let outcome = register_line(&api, &line, tier).await;
                (line, outcome)
            });
        }
        let Some(ended) = running.join_next().await else { break };
        let (line, outcome) = ended.map_err(|error| Failure::from_error(Exit::Failed, &error))?;
        bar.inc(1);
        match outcome {
            Ok(registered) => {
                done += 1;
                bar.suspend(|| print_registered(&registered, args.connection.json))?;
            }
            Err(failure) => {
                refused += 1;
                bar.suspend(|| print_refused(&line, &failure, args.connection.json))?;
                // Without a registrar the rest can only fail the same way.
                if failure.exit == Exit::Unavailable {
                    running.abort_all();
                    bar.abandon();
                    return Err(failure);
                }
                last = Some(failure.exit);
            }
        }
    }
    bar.finish_and_clear();
    match (done, refused, last) {
        (_, 0, _) => Ok(ExitCode::SUCCESS),
        (0, _, Some(exit)) => Ok(exit.into()),
        _ => {
            eprintln!("warren: {done} registered, {refused} not");
            Ok(Exit::PartlyDone.into())
        }
    }
}

async fn register_line(api: &Api, line: &str, tier: Tier) -> Result<Registered, Failure> {
    let identity = AtSign::parse(line).map_err(|error| Failure::from_error(Exit::Usage, &error))?;
    api.register(&identity, tier).await
}

fn print_registered(registered: &Registered, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(registered);
    }
    output::line(format_args!(
        "{}  {}  {}",
        registered.identity, registered.address, registered.activation_secret
    ))
}

fn print_refused(line: &str, failure: &Failure, json: bool) -> Result<(), Failure> {
    eprintln!("warren: {}: {failure}", line.escape_debug());
    if json {
        return output::json(&Refused { identity: line, error: failure.what() });
    }
    Ok(())
}

fn read_names(file: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::Usage, format!("cannot read {}: {error}", file.display()))
            .fix("pass --from with a text file that has a name on each line")
    };
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(failed)?)
    };
    let mut input = BufReader::new(input);
    let mut names = Vec::new();
    loop {
        let mut line = String::new();
        let read = (&mut input).take(LINE_BYTES_MAX).read_line(&mut line).map_err(failed)?;
        if read == 0 {
            return Ok(names);
        }
        let name = line.trim();
        if !name.is_empty() && !name.starts_with('#') {
            names.push(name.to_owned());
        }
    }
}

fn progress_bar(names: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let template = "{bar:40} {pos}/{len} registered, {per_sec}, {eta} left";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(names as u64).with_style(style)
}
