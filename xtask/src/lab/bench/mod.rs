//! `cargo xtask bench host`: how fast identities come to be in cells, alone in a cell, and each in a
//! container that `docker run` starts, and what each costs; all in one run, on one lab.
//!
//! The end of a registration is the measure: the registrar says that it is done only when the
//! identity's server has answered over TLS at its public address. A container of the peer registers
//! its identity in the same way, and says so in its first line.

mod cells;
mod memory;
mod parallel;
mod peer;
mod report;

use std::path::PathBuf;

use clap::Parser;

use super::deploy::{self, Deployment};
use super::error::Error;
use super::state::{Lab, Volume};
use super::up::{self, Wanted};
use crate::command::Failure;
use crate::image;
use crate::place::Place;

use report::Report;

/// The lab's name.
const NAME: &str = "bench";

/// What the image is called where it is made for this.
const IMAGE: &str = "warren:bench";

/// Two machines have the cells, and the third those that are kept for one identity each.
const NODES: u8 = 3;
const CELLS: u16 = 2;
const SHARED: &str = "tier=shared";
const DEDICATED: &str = "tier=dedicated";

/// Seconds that Docker may take to change a label.
const LABEL_SECONDS_MAX: u64 = 20;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench host --", about = "Cells beside `docker run`, on a lab")]
struct Options {
    /// Build the image quickly: the program is slower
    #[arg(long, conflicts_with = "archive")]
    quick: bool,
    /// Take this image instead of building one, as `docker load` reads it
    #[arg(long, value_name = "FILE", requires = "program")]
    archive: Option<PathBuf>,
    /// The program that is in it
    #[arg(long, value_name = "FILE", requires = "archive")]
    program: Option<PathBuf>,
    /// Its name
    #[arg(long, value_name = "NAME:TAG", requires = "archive", default_value = IMAGE)]
    image: String,
    /// Identities that are registered one after the other
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    singly: u16,
    /// Identities that are registered at once from a file
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=19_000))]
    count: u32,
    /// Identities that have a cell alone
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=100))]
    dedicated: u16,
    /// Containers beside
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    containers: u16,
    /// How many containers, or cells for one, start at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    parallel: u16,
    /// Seconds that a server in a cell stays awake after its last connection
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u16).range(10..=3_600))]
    sleep_after: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures with a lab of its own, which is taken down whatever happens.
///
/// # Errors
/// [`Failure`] where something does not build, or the lab does not do what it should.
pub fn run(place: &Place, words: &[String]) -> Result<(), Failure> {
    let name = "cargo xtask bench host --".to_owned();
    let options = Options::parse_from(std::iter::once(&name).chain(words));
    super::check(false)?;
    let image = Image::of(place, &options)?;
    // What an interrupted run has left.
    up::down(NAME)?;
    let measured = measure(&options, &image);
    let down = up::down(NAME);
    let report = measured?;
    down?;
    if options.json {
        report.print_json()
    } else {
        report.print()
    }
    Ok(())
}

/// What runs everywhere.
struct Image {
    name: String,
    archive: PathBuf,
    program: PathBuf,
    build: String,
}

impl Image {
    fn of(place: &Place, options: &Options) -> Result<Self, Failure> {
        let name = options.image.clone();
        let (build, (archive, program)) = match (&options.archive, &options.program) {
            (Some(archive), Some(program)) => {
                let build = format!("the caller's, {}", archive.display());
                (build, (archive.clone(), program.clone()))
            }
            _ if options.quick => {
                ("profile image-quick".to_owned(), image::build(place, true, &name)?)
            }
            _ => ("profile image".to_owned(), image::build(place, false, &name)?),
        };
        let full = |path: PathBuf| path.canonicalize().map_err(Error::file(&path));
        let (archive, program) = (full(archive)?, full(program)?);
        eprintln!("xtask: bench: the image: {build}");
        Ok(Self { name, archive, program, build })
    }
}

fn measure(options: &Options, image: &Image) -> Result<Report, Error> {
    let lab = start(options, image)?;
    let ours = |container: &str| container.starts_with(&format!("{}-cell-", deploy::SWARM));
    // The registrar, directories, routers and agents.
    let beside = |container: &str| container.starts_with(&format!("{}_", deploy::STACK));
    let (with_none, beside_none) = (memory::of_all(&lab, ours)?, memory::of_all(&lab, beside)?);
    let singly = cells::singly(&lab, options.singly)?;
    let many = cells::many(&lab, options.count)?;
    let registered = u64::from(options.singly) + u64::from(options.count);
    let awake = cells::wait_for_reports(&lab, registered)?;
    let (with_awake, beside_awake) = (memory::of_all(&lab, ours)?, memory::of_all(&lab, beside)?);
    let peer = peer::measure(&lab, &image.name, options.containers, options.parallel)?;
    let asleep = cells::wait_for_sleep(&lab, u64::from(options.sleep_after))?;
    let with_asleep = memory::of_all(&lab, ours)?;
    label(&lab, NODES, DEDICATED)?;
    let dedicated = cells::dedicated(&lab, &image.name, options.dedicated, options.parallel)?;
    let third = lab.node(&NODES.to_string())?;
    let alone = memory::of(&third, ours)?;
    Ok(Report {
        build: image.build.clone(),
        singly,
        many,
        dedicated,
        peer,
        with_none,
        with_awake,
        with_asleep,
        beside_none,
        beside_awake,
        alone,
        awake,
        asleep,
    })
}

/// A lab with a warren on it.
fn start(options: &Options, image: &Image) -> Result<Lab, Error> {
    up::up(&Wanted {
        name: NAME.into(),
        nodes: NODES,
        managers: NODES,
        volume: Volume::SharedFolder,
        heartbeat_seconds: super::HEARTBEAT_SECONDS,
        dockerd: None,
    })?;
    let lab = Lab::load(NAME)?;
    for node in 1..NODES {
        label(&lab, node, SHARED)?;
    }
    let what = Deployment {
        stack: &super::stack(),
        archive: &image.archive,
        image: &image.name,
        program: &image.program,
        cells: CELLS,
        on: Some(SHARED),
        cell_options: vec![format!("--sleep-after={}", options.sleep_after)],
    };
    deploy::deploy(&lab, &what)?;
    Ok(lab)
}

fn label(lab: &Lab, node: u8, label: &str) -> Result<(), Error> {
    let name = lab.node(&node.to_string())?.name();
    let words = ["node", "update", "--label-add", label, &name];
    lab.node("1")?.docker(LABEL_SECONDS_MAX, &words).map(drop)
}

/// Says what is measured now.
fn say(what: &str) {
    eprintln!("xtask: bench: {what}");
}

/// Figures of a run that has a beginning and an end.
#[derive(Debug)]
struct Runs {
    /// How long each took, in seconds, in order.
    each: Vec<f64>,
    /// How long all took together, in seconds.
    all: f64,
}

impl Runs {
    fn new(mut each: Vec<f64>, all: f64) -> Self {
        each.sort_by(f64::total_cmp);
        Self { each, all }
    }

    /// The least that `percent` of a hundred do not exceed.
    fn at(&self, percent: usize) -> f64 {
        let rank = (self.each.len() * percent).div_ceil(100).max(1);
        self.each.get(rank - 1).copied().unwrap_or_default()
    }

    #[allow(clippy::cast_precision_loss)]
    fn per_minute(&self) -> f64 {
        self.each.len() as f64 * 60.0 / self.all
    }
}
