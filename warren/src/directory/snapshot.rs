//! `warren directory snapshot …`: making, showing, checking and writing out snapshot files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use atlas::Atlas;
use directory::SnapshotFileError;
use directory::import::{self, Format, ImportError, SurveyError};
use directory::snapshot_file::{self, Head, Stored};
use feed::{Checkpoint, FeedKey, Signed, SigningKey};
use indicatif::{ProgressBar, ProgressStyle};
use net::clock::{Clock, SystemClock};
use protocol::FeedId;
use serde::Serialize;

use crate::args::{BuildArgs, ImportFormatArg, OneSnapshot, VerifyArgs};
use crate::directory::key;
use crate::failure::{Exit, Failure};
use crate::output;

/// Read at once; the bar moves as often.
const READ_BYTES: usize = 1 << 20;

/// Makes a snapshot file of what an existing directory knows.
pub fn build(args: &BuildArgs) -> Result<(), Failure> {
    let key = args.key_file.as_deref().map(key::read).transpose()?;
    let (source, bar) = open(&args.from)?;
    let survey = import::read(source, format(args.format))
        .map_err(|error| not_imported(&args.from, &error))
        .inspect_err(|_| bar.abandon())?;
    bar.finish_and_clear();
    let spinner = spinner(format!("packing {} names", survey.len()));
    let (atlas, bad) = survey.finish(args.skip_bad).map_err(|error| not_packed(&error))?;
    let (head, signed) = head(&atlas, key.as_ref())?;
    snapshot_file::save(&args.out, &head, &atlas, &signed)
        .map_err(|error| broken(&args.out, &error))?;
    spinner.finish_and_clear();
    let left_out = bad.as_ref().map_or(0, |bad| bad.count);
    let feed_key = key.map(|key| key.public());
    let shown = Shown::new(&args.out, &head, &atlas)?;
    tell(&Shown { left_out: Some(left_out), feed_key, ..shown }, args.json)?;
    match bad.filter(|_| !args.json) {
        Some(bad) => output::line(format_args!("  left out    {bad}")),
        None => Ok(()),
    }
}

/// What a new file says of itself, and, with a key, what the key says of it.
fn head(atlas: &Atlas, key: Option<&SigningKey>) -> Result<(Head, Vec<Signed>), Failure> {
    let failed = |error: &dyn std::error::Error| Failure::from_error(Exit::Failed, error);
    let mut feed = [0; 16];
    getrandom::fill(&mut feed).map_err(|error| failed(&error))?;
    let (feed, at) = (FeedId::from_bytes(feed), SystemClock.now());
    let head = Head::of(atlas, feed, 0, at, at);
    let Some(key) = key else { return Ok((head, Vec::new())) };
    let root = atlas.root().map_err(|error| failed(&error))?;
    let checkpoint = Checkpoint { feed, number: 0, root, at };
    let signed = Signed::of(&checkpoint, key).map_err(|error| failed(&error))?;
    Ok((head, vec![signed]))
}

fn format(arg: ImportFormatArg) -> Option<Format> {
    match arg {
        ImportFormatArg::Auto => None,
        ImportFormatArg::Tsv => Some(Format::Tsv),
        ImportFormatArg::AtServers => Some(Format::AtServers),
        ImportFormatArg::Rdb => Some(Format::Rdb),
    }
}

fn not_imported(from: &Path, error: &ImportError) -> Failure {
    let failure = Failure::from_error(Exit::Usage, error).at(from.display());
    match error {
        ImportError::Io(_) => failure,
        ImportError::Rdb(_) => failure.fix("redis-cli --rdb dump.rdb writes a new one"),
    }
}

fn not_packed(error: &SurveyError) -> Failure {
    let failure = Failure::from_error(Exit::Usage, error);
    match error {
        SurveyError::Bad(_) => failure.fix("put them right, or pass --skip-bad to leave them out"),
        _ => failure,
    }
}

/// Shows what is in a snapshot file.
pub fn show(args: &OneSnapshot) -> Result<(), Failure> {
    let (head, atlas) = load_end(&args.file)?;
    tell(&Shown::new(&args.file, &head, &atlas)?, args.json)
}

/// Checks every checksum and every row of a snapshot file.
pub fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    if let Some(key) = &args.feed_key {
        load(&args.file)?.check(key).map_err(|error| broken(&args.file, &error))?;
    }
    let (head, atlas) = load_end(&args.file)?;
    let bar = bar(Some(head.entries), "checking");
    for segment in atlas.segments() {
        segment.verify().map_err(|error| broken(&args.file, &error))?;
        bar.inc(segment.len() as u64);
    }
    bar.finish_and_clear();
    tell(&Shown::new(&args.file, &head, &atlas)?, args.json)
}

/// Writes every name and address of a snapshot file, as [`build`] reads them.
pub fn dump(args: &OneSnapshot) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        identity: &'a str,
        address: String,
        epoch: u64,
    }
    let (_, atlas) = load_end(&args.file)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut rows = atlas.cursor();
    while let Some(row) = rows.next() {
        let row = row.map_err(|error| broken(&args.file, &error))?;
        let name = std::str::from_utf8(row.name).map_err(|error| broken(&args.file, &error))?;
        let address = row.place.address();
        let written = match args.json {
            false => writeln!(out, "{name}\t{address}"),
            true => {
                let (identity, address) = (&*format!("@{name}"), address.to_string());
                let line = Line { identity, address, epoch: row.place.epoch.number() };
                serde_json::to_writer(&mut out, &line)
                    .map_err(io::Error::from)
                    .and_then(|()| writeln!(out))
            }
        };
        output::written(written)?;
    }
    output::written(out.flush())
}

/// What is told about a file.
#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Path,
    identities: u64,
    segments: u64,
    feed: FeedId,
    number: u64,
    confirmed: String,
    file_bytes: u64,
    memory_bytes: usize,
    /// Rows of what it was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u64>,
    /// With which its signature is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    feed_key: Option<FeedKey>,
}

impl<'a> Shown<'a> {
    fn new(file: &'a Path, head: &Head, atlas: &Atlas) -> Result<Self, Failure> {
        let metadata = file.metadata().map_err(|error| broken(file, &error))?;
        Ok(Self {
            file,
            identities: head.entries,
            segments: head.segments,
            feed: head.feed,
            number: head.number,
            confirmed: head.confirmed.to_string(),
            file_bytes: metadata.len(),
            memory_bytes: atlas.memory_bytes(),
            left_out: None,
            feed_key: None,
        })
    }
}

fn tell(shown: &Shown<'_>, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(shown);
    }
    let each = shown.memory_bytes as f64 / (shown.identities as f64).max(1.0);
    output::line(format_args!(
        "{}\n  identities  {}\n  change      {} of feed {}\n  confirmed   {}\n  \
         in memory   {:.1} MiB, {each:.1} bytes an identity",
        shown.file.display(),
        shown.identities,
        shown.number,
        shown.feed,
        shown.confirmed,
        shown.memory_bytes as f64 / 1_048_576.0,
    ))?;
    match &shown.feed_key {
        Some(key) => output::line(format_args!("  feed key    {key}")),
        None => Ok(()),
    }
}

/// What is to be read, and the bar that shows how much of it was.
fn open(from: &Path) -> Result<(Box<dyn BufRead>, ProgressBar), Failure> {
    if from == Path::new("-") {
        let bar = bar(None, "reading");
        return Ok((
            Box::new(BufReader::with_capacity(READ_BYTES, bar.wrap_read(io::stdin()))),
            bar,
        ));
    }
    let file = File::open(from).map_err(|error| {
        Failure::new(Exit::NotFound, format!("cannot read {}: {error}", from.display()))
            .fix("pass --from FILE with a name, a tab and host:port on each line")
    })?;
    let bytes = file.metadata().ok().filter(|metadata| metadata.is_file()).map(|m| m.len());
    let bar = bar(bytes, "reading");
    Ok((Box::new(BufReader::with_capacity(READ_BYTES, bar.wrap_read(file))), bar))
}

/// What a file says in the end.
fn load_end(file: &Path) -> Result<(Head, Arc<Atlas>), Failure> {
    let stored = load(file)?;
    let (number, atlas) = stored.end().map_err(|error| broken(file, &error))?;
    Ok((Head { number, entries: atlas.len() as u64, ..stored.head }, atlas))
}

fn load(file: &Path) -> Result<Stored, Failure> {
    let loaded = snapshot_file::load(file).map_err(|error| broken(file, &error))?;
    loaded.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no file {}", file.display()))
            .fix("warren directory snapshot build --from names.tsv --out FILE")
    })
}

fn broken(file: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    let is_io = matches!(error.downcast_ref(), Some(SnapshotFileError::Io(_)));
    let failure = Failure::from_error(Exit::Failed, error).at(file.display());
    match is_io {
        true => failure,
        false => failure.fix("take a copy from another replica, or let this one ask its registrar"),
    }
}

/// Drawn only where a person looks.
fn bar(length: Option<u64>, doing: &'static str) -> ProgressBar {
    let Some(length) = length else { return spinner(doing.to_owned()) };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} %  {eta}");
    let bar = ProgressBar::new(length).with_message(doing);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn spinner(doing: String) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(doing);
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    spinner
}
