//! `cargo xtask conformance`: is what answers there an atProtocol directory with its servers?

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueHint};
use conformance::select::Selection;
use conformance::statement::How;
use conformance::world::{Given, NamedCredential, SetupError};
use conformance::{Row, Statement, World, report, run, statements};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Runs the numbered statements of the protocol notes (section 10) from outside.
///
/// Without --directory they run against a `warren up` that is started for it.
#[derive(Parser)]
#[command(
    name = "conformance",
    after_help = "\
Examples:
  cargo xtask conformance
  cargo xtask conformance -- --only 16-30,145
  cargo xtask conformance -- --directory root.example.org:64 --ca ca.pem \\
      --identity @alice=alice.atKeys --identity @bob=env:BOB_SECRET"
)]
struct Cli {
    /// The program to start when no directory is given
    #[arg(long, value_name = "FILE", default_value = "target/debug/warren", value_hint = ValueHint::FilePath)]
    warren: PathBuf,
    /// Another directory to look at
    #[arg(long, value_name = "HOST:PORT", requires_all = ["ca", "identity"])]
    directory: Option<String>,
    /// Authorities to trust there (PEM)
    #[arg(long, value_name = "FILE", requires = "directory", value_hint = ValueHint::FilePath)]
    ca: Option<PathBuf>,
    /// An identity there, and its .atKeys file or a file with its activation secret, or env:NAME
    /// for a variable with that secret. The first two talk; what is done to further ones is not
    /// undone, and some statements need them (repeatable)
    #[arg(long, value_name = "@NAME=FILE", requires = "directory")]
    identity: Vec<NamedCredential>,
    /// Certificate chain (PEM) of the host of the second identity, to call the first one's server
    #[arg(long, value_name = "FILE", requires_all = ["directory", "peer_key"], value_hint = ValueHint::FilePath)]
    peer_cert: Option<PathBuf>,
    /// Private key (PEM) of --peer-cert
    #[arg(long, value_name = "FILE", requires = "peer_cert", value_hint = ValueHint::FilePath)]
    peer_key: Option<PathBuf>,
    /// Only these statements
    #[arg(long, value_name = "16-30,145")]
    only: Option<Selection>,
    /// Show the statements and run none
    #[arg(long)]
    list: bool,
    /// Print JSON, one object a statement
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let chosen: Vec<Statement> = statements::all()
        .into_iter()
        .filter(|statement| cli.only.as_ref().is_none_or(|only| only.contains(statement.number)))
        .collect();
    if cli.list {
        chosen.iter().for_each(|statement| list(statement, cli.json));
        return ExitCode::SUCCESS;
    }
    match look(&cli, &chosen).await {
        Ok(rows) => finish(&rows, cli.json),
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(2)
        }
    }
}

async fn look(cli: &Cli, chosen: &[Statement]) -> Result<Vec<Row>, SetupError> {
    let world = match (&cli.directory, &cli.ca) {
        (Some(directory), Some(ca_file)) => {
            let given = Given {
                directory: directory.clone(),
                ca_file: ca_file.clone(),
                identities: cli.identity.clone(),
                peer: cli.peer_cert.clone().zip(cli.peer_key.clone()),
            };
            World::given(given).await?
        }
        _ => World::ours(&cli.warren).await?,
    };
    let bar = progress_bar(chosen.len());
    let rows = run::run(&Arc::new(world), chosen, |row| {
        bar.inc(1);
        if let conformance::Outcome::Failed { .. } = row.outcome {
            bar.suspend(|| eprintln!("{} fails: {}", row.number, row.statement));
        }
    })
    .await;
    bar.finish_and_clear();
    Ok(rows)
}

fn list(statement: &Statement, is_json: bool) {
    let how = match statement.how {
        How::Outside(_) | How::Alone(_) => "outside",
        How::Inside(_) => "inside",
    };
    let Statement { number, text, .. } = statement;
    if is_json {
        println!("{}", serde_json::json!({ "number": number, "statement": text, "seen": how }));
    } else {
        println!("{number:3}  {how:7}  {text}");
    }
}

fn finish(rows: &[Row], is_json: bool) -> ExitCode {
    if is_json {
        rows.iter().filter_map(|row| serde_json::to_string(row).ok()).for_each(|r| println!("{r}"));
    } else {
        println!("{}", report::table(rows));
    }
    eprintln!("{}", report::summary(rows));
    if report::is_good(rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Drawn for a person only.
fn progress_bar(statements: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let template = "{bar:40} {pos}/{len} statements, {elapsed}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(statements as u64).with_style(style)
}
