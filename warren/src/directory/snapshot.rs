//! `warren directory snapshot …`: making, showing, checking and writing out snapshot files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use directory::snapshot_file::{self, Head, Stored};
use directory::{SnapshotFileError, Survey};
use indicatif::{ProgressBar, ProgressStyle};
use net::clock::{Clock, SystemClock};
use protocol::FeedId;
use serde::Serialize;

use crate::args::{BuildArgs, OneSnapshot, VerifyArgs};
use crate::failure::{Exit, Failure};
use crate::output;

/// Longest line of a list.
const LINE_BYTES_MAX: u64 = 1024;
/// Lines between two moves of the bar.
const BAR_LINES: u64 = 10_000;

/// Makes a snapshot file of a list.
pub fn build(args: &BuildArgs) -> Result<(), Failure> {
    let (source, bytes) = open_list(&args.from)?;
    let bar = bar(bytes, "reading");
    let survey = read_list(source, &bar).inspect_err(|_| bar.abandon())?;
    bar.finish_and_clear();
    let spinner = spinner(format!("packing {} names", survey.len()));
    let atlas = survey.finish().map_err(|error| Failure::from_error(Exit::Usage, &error))?;
    let mut feed = [0; 16];
    getrandom::fill(&mut feed).map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    let now = SystemClock.now();
    let head = Head::of(&atlas, FeedId::from_bytes(feed), 0, now, now);
    snapshot_file::save(&args.out, &head, &atlas, &[])
        .map_err(|error| broken(&args.out, &error))?;
    spinner.finish_and_clear();
    tell(&Shown::new(&args.out, &head, &atlas)?, args.json)
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
}

impl<'a> Shown<'a> {
    fn new(file: &'a Path, head: &Head, atlas: &atlas::Atlas) -> Result<Self, Failure> {
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
    ))
}

/// The list, and its length in bytes where that is known.
fn open_list(from: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
    if from == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let file = File::open(from).map_err(|error| {
        Failure::new(Exit::NotFound, format!("cannot read {}: {error}", from.display()))
            .fix("pass --from FILE with a name, a tab and host:port on each line")
    })?;
    let bytes = file.metadata().ok().filter(|metadata| metadata.is_file()).map(|m| m.len());
    Ok((Box::new(BufReader::with_capacity(1 << 20, file)), bytes))
}

fn read_list(mut source: impl BufRead, bar: &ProgressBar) -> Result<Survey, Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::from_error(Exit::Usage, error);
    let mut survey = Survey::default();
    let (mut line, mut unseen) = (Vec::new(), 0);
    for number in 1_u64.. {
        line.clear();
        let read = source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        let read = read.map_err(|error| wrong(&error))?;
        if read == 0 {
            break;
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read as u64 == LINE_BYTES_MAX {
            let what = format!("line {number} is longer than {LINE_BYTES_MAX} bytes");
            return Err(Failure::new(Exit::Usage, what));
        }
        let text = std::str::from_utf8(&line)
            .map_err(|_| Failure::new(Exit::Usage, format!("line {number} is not UTF-8")))?;
        survey.line(number, text).map_err(|error| wrong(&error))?;
        unseen += read as u64;
        if number.is_multiple_of(BAR_LINES) {
            bar.inc(std::mem::take(&mut unseen));
        }
    }
    Ok(survey)
}

/// What a file says in the end.
fn load_end(file: &Path) -> Result<(Head, Arc<atlas::Atlas>), Failure> {
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
