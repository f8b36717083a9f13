//! `warren cell upgrade`: the image of a swarm's cells, ring by ring. [`rings`] and [`watch`] decide;
//! here it is carried out.

mod eyes;
mod rings;
mod watch;

use std::time::Duration;

use clap::Args;
use protocol::control::names::{CellId, SwarmName};
use serde::Serialize;
use serde_json::json;

use self::eyes::{Eyes, is_passing};
use self::rings::{Rings, Way, way};
use self::watch::{Before, Limits, Look, Return, Rise, Trouble, Verdict};
use crate::api::Api;
use crate::args::Connection;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::question::typed;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warren cell upgrade --swarm eu-1 --image warren-cell:0.2
  warren cell upgrade --swarm eu-1 --image warren-cell:0.2 --rings 1,5,20,rest --settle 60 --yes

Cells that run the image already are skipped: the same command goes on where it ended. Without `rest`,
no more cells are renewed than the rings have. Ctrl-C ends it after the ring that it is at.")]
pub struct UpgradeArgs {
    /// The swarm whose cells are renewed
    #[arg(long, value_name = "SWARM")]
    pub swarm: SwarmName,
    /// The image
    #[arg(long, value_name = "IMAGE")]
    pub image: String,
    /// How many cells are renewed together, ring by ring
    #[arg(long, value_name = "N,N,…", default_value = "1,2,rest")]
    pub rings: Rings,
    /// Seconds that a ring's cells must stay well before the next ring; an engine that takes an image
    /// back is told of within 15
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub settle: u64,
    /// Seconds within which a ring's cells must come up
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub connection: Connection,
}

/// What became of one cell, for `--json`.
#[derive(Serialize)]
struct Told<'a> {
    cell: CellId,
    ring: Option<usize>,
    image: &'a str,
    outcome: &'static str,
}

/// An upgrade on its way.
struct Upgrade<'a> {
    args: &'a UpgradeArgs,
    eyes: Eyes<'a>,
    limits: Limits,
    /// Cells of rings that are done.
    done: Vec<CellId>,
}

/// Renews ring after ring, and puts the one back that does not become good.
pub async fn upgrade(args: &UpgradeArgs) -> Result<(), Failure> {
    let api = Api::connect(&args.connection)?;
    api.swarm(&args.swarm).await?;
    let eyes = Eyes::open(&api, &args.swarm);
    let (settle, patience) = (Duration::from_secs(args.settle), Duration::from_secs(args.patience));
    let limits = Limits { settle, patience };
    let mut upgrade = Upgrade { args, eyes, limits, done: Vec::new() };
    let outcome = upgrade.run().await;
    upgrade.eyes.bar.finish_and_clear();
    outcome
}

impl Upgrade<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let look = self.eyes.look().await?;
        let Way { skipped, refused, rings } = way(&look, &self.args.image, &self.args.rings);
        if let Some(cell) = refused.first() {
            let what = format!(
                "{cell} is to run {} and does not: the engine took it back",
                self.args.image
            );
            let fix = format!("give it one that runs: warren cell set {cell} --image IMAGE");
            return Err(Failure::new(Exit::Conflict, what).fix(fix));
        }
        for cell in &skipped {
            self.tell(*cell, None, &self.args.image, "skipped", "runs it already")?;
        }
        if !rings.is_empty() {
            self.ask(&rings)?;
            self.eyes.listen()?;
        }
        for (index, ring) in rings.iter().enumerate() {
            if self.eyes.is_asked_to_end() {
                return Err(self.ended(rings.len() - index));
            }
            let name = format!("ring {} of {}", index + 1, rings.len());
            self.eyes.bar.set_length(ring.len() as u64);
            let outcome = self.ring(index + 1, &name, ring).await;
            outcome.map_err(|failure| failure.at(&name))?;
            self.done.extend(ring);
        }
        Ok(())
    }

    fn ask(&self, rings: &[Vec<CellId>]) -> Result<(), Failure> {
        if self.args.yes {
            return Ok(());
        }
        let (swarm, image) = (self.args.swarm.as_str(), &self.args.image);
        let sizes: Vec<_> = rings.iter().map(|ring| ring.len().to_string()).collect();
        let sizes = sizes.join(", then ");
        let consequence = format!("Cells of {swarm} are restarted with {image}: {sizes}.");
        typed("upgrading", swarm, &consequence, "stays as it is")
    }

    async fn ring(&mut self, number: usize, name: &str, ring: &[CellId]) -> Result<(), Failure> {
        let look = self.unburdened(name, ring).await?;
        let befores: Vec<Before> = ring.iter().filter_map(|cell| before(*cell, &look)).collect();
        let outcome = self.rise(name, &befores).await;
        let Some((cell, trouble)) = outcome.map_err(|failure| self.unjudged(failure, ring))? else {
            let image = &self.args.image;
            return befores.iter().try_for_each(|before| {
                self.tell(before.cell, Some(number), image, "upgraded", &format!("runs {image}"))
            });
        };
        let put_back = self.put_back(number, name, &befores).await;
        let put_back = put_back.map_err(|failure| {
            let what = format!("{cell}: {trouble}; and the ring cannot be put back");
            self.unjudged(failure.at(what), ring)
        })?;
        let what = format!("{cell}: {trouble}; {put_back}; {}", self.done_so_far());
        let fix = format!("see why with docker service logs {}-{cell}", self.args.swarm);
        Err(Failure::new(Exit::Failed, what).fix(fix))
    }

    /// Waits until nobody tells any more of an earlier version of the ring's cells that the engine
    /// took back: the word would be taken for one about this version.
    async fn unburdened(&mut self, name: &str, ring: &[CellId]) -> Result<Look, Failure> {
        self.eyes.bar.set_message(format!("{name}: until agents forget the last failure"));
        let begun = self.eyes.look().await?.at;
        loop {
            let look = self.eyes.look().await?;
            let is_burdened = |cell| look.cells.get(cell).is_some_and(|sight| sight.is_taken_back);
            let Some(cell) = ring.iter().find(|cell| is_burdened(cell)) else { return Ok(look) };
            if look.at - begun > server_host::agent::DRIFT_TOLD * 2 {
                let what = format!("{cell}: the engine keeps taking back what it is to run");
                return Err(Failure::new(Exit::Conflict, what).fix("warren node show NODE"));
            }
            if self.eyes.is_asked_to_end() {
                return Err(self.ended(1));
            }
            self.eyes.pause().await?;
        }
    }

    /// Sets the image and watches; tells what went wrong, if something did.
    async fn rise(
        &mut self,
        name: &str,
        ring: &[Before],
    ) -> Result<Option<(CellId, Trouble)>, Failure> {
        self.eyes.bar.set_message(format!("{name}: cells up"));
        for before in ring.iter().filter(|before| before.image != self.args.image) {
            if let Err(failure) = self.set(before.cell, &self.args.image).await {
                return match failure.exit {
                    Exit::PartlyDone => Err(failure),
                    _ => Ok(Some((before.cell, Trouble::Refused(failure.what().to_owned())))),
                };
            }
        }
        let began = self.eyes.look().await?.at;
        let mut rise = Rise::new(ring, &self.args.image, self.limits, began);
        loop {
            match rise.judge(&self.eyes.look().await?) {
                Verdict::Rising(up) => self.eyes.bar.set_position(up as u64),
                Verdict::Settling => {
                    self.eyes.bar.set_message(format!("{name}: settling"));
                    self.eyes.bar.set_position(ring.len() as u64);
                }
                Verdict::Good => return Ok(None),
                Verdict::Bad(cell, trouble) => return Ok(Some((cell, trouble))),
            }
            self.eyes.pause().await?;
        }
    }

    /// Sets the old images, where nobody else has set one, and waits until the cells run; tells what
    /// was done.
    async fn put_back(
        &mut self,
        number: usize,
        name: &str,
        ring: &[Before],
    ) -> Result<String, Failure> {
        self.eyes.bar.set_message(format!("{name}: going back"));
        let seen = self.eyes.look().await?;
        let is_ours = |before: &&Before| {
            let sight = seen.cells.get(&before.cell);
            sight.is_some_and(|sight| sight.image == self.args.image)
        };
        let (unknown, back): (Vec<Before>, Vec<_>) =
            ring.iter().filter(is_ours).cloned().partition(|b| b.image == self.args.image);
        for before in &back {
            self.set(before.cell, &before.image).await?;
        }
        let missing = self.returned(&back, &seen).await?;
        self.account(number, &back, &missing, &unknown)
    }

    /// Says of each cell what became of it, and all of it in a few words.
    fn account(
        &self,
        number: usize,
        back: &[Before],
        missing: &[CellId],
        unknown: &[Before],
    ) -> Result<String, Failure> {
        let back = back.iter().map(|before| {
            let image = before.image.escape_debug();
            match missing.contains(&before.cell) {
                false => (before, "put-back", format!("is back on {image}")),
                true => {
                    (before, "put-back-silent", format!("is back on {image}, but does not run yet"))
                }
            }
        });
        let left =
            |before| (before, "left", "had the image before and is left as it is".to_owned());
        let mut words = Vec::new();
        for (Before { cell, image, .. }, outcome, text) in back.chain(unknown.iter().map(left)) {
            self.tell(*cell, Some(number), image, outcome, &text)?;
            words.push(format!("{cell} {text}"));
        }
        Ok(if words.is_empty() {
            "nothing was to be put back".to_owned()
        } else {
            words.join(", ")
        })
    }

    /// Those that do not run after all patience.
    async fn returned(&mut self, back: &[Before], seen: &Look) -> Result<Vec<CellId>, Failure> {
        let mut watch = Return::new(back, seen, self.limits.settle);
        let began = seen.at;
        loop {
            let look = self.eyes.look().await?;
            let missing = watch.missing(&look);
            let limit = self.limits.patience + self.limits.settle;
            if missing.is_empty() || look.at - began >= limit {
                return Ok(missing);
            }
            self.eyes.bar.set_position((back.len() - missing.len()) as u64);
            self.eyes.pause().await?;
        }
    }

    /// Sets an image; a registrar that is away for a moment is asked again.
    async fn set(&mut self, cell: CellId, image: &str) -> Result<(), Failure> {
        let began = tokio::time::Instant::now();
        loop {
            match self.eyes.api.set_cell(cell, &json!({ "image": image })).await {
                Ok(_) => return Ok(()),
                Err(failure) if is_passing(&failure) && began.elapsed() < self.limits.patience => {
                    self.eyes.pause().await?;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn tell(
        &self,
        cell: CellId,
        ring: Option<usize>,
        image: &str,
        outcome: &'static str,
        text: &str,
    ) -> Result<(), Failure> {
        self.eyes.bar.suspend(|| match (self.args.connection.json, ring) {
            (true, _) => output::json(&Told { cell, ring, image, outcome }),
            (false, Some(ring)) => output::line(format_args!("ring {ring}: {cell} {text}")),
            (false, None) => output::line(format_args!("{cell} {text}")),
        })
    }

    fn done_so_far(&self) -> String {
        match self.done.is_empty() {
            true => "no cell was renewed".to_owned(),
            false => format!("renewed and good are {}", names(&self.done)),
        }
    }

    /// Ended where nothing is half done.
    fn ended(&self, left: usize) -> Failure {
        let what = format!("ended on request before the next ring; {}", self.done_so_far());
        let fix = format!("the same command goes on; rings that were not begun: {left}");
        Failure::new(Exit::PartlyDone, what).fix(fix)
    }

    /// Ended in the middle of a ring.
    fn unjudged(&self, failure: Failure, ring: &[CellId]) -> Failure {
        let (image, done) = (&self.args.image, self.done_so_far());
        let what = format!("{}; {} may run {image} unwatched; {done}", failure.what(), names(ring));
        Failure::new(failure.exit, what)
            .fix("look at them with warren cell list; the same command goes on")
    }
}

fn before(cell: CellId, look: &Look) -> Option<Before> {
    let sight = look.cells.get(&cell)?;
    let (image, term, was_reporting) = (sight.image.clone(), sight.term, sight.is_reporting);
    Some(Before { cell, image, term, was_reporting })
}

fn names(cells: &[CellId]) -> String {
    cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
