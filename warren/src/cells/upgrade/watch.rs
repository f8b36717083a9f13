//! Whether a ring is good: a decision over what was seen, and nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use protocol::Term;
use protocol::control::names::CellId;

/// A cell as it was before its image was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    pub cell: CellId,
    pub image: String,
    pub term: Option<Term>,
    pub was_reporting: bool,
}

/// What is seen of a cell at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// The image that it is to run.
    pub image: String,
    /// Its newest start.
    pub term: Option<Term>,
    /// Whether it tells of itself.
    pub is_reporting: bool,
    /// How old its newest report is; it may be one of an earlier start.
    pub report_age: Option<Duration>,
    /// Whether the agent says that the engine runs the old image in spite of the plan.
    pub is_taken_back: bool,
    /// What the agents say about it.
    pub drift: Vec<String>,
}

/// One look at a swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// How long it has been watched; while the registrar was away, nobody watched.
    pub at: Duration,
    /// Whether an agent that makes the changes tells of itself: without one, nobody would say that
    /// the engine took an image back.
    pub is_led: bool,
    /// The swarm's cells.
    pub cells: BTreeMap<CellId, Sight>,
}

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A ring's cells are to stay as they are for so long.
    pub settle: Duration,
    /// They are to come up within so long.
    pub patience: Duration,
}

/// How a ring stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// So many of its cells run the image.
    Rising(usize),
    /// All do, and are to stay so.
    Settling,
    /// The next ring may begin.
    Good,
    /// The ring is to go back.
    Bad(CellId, Trouble),
}

/// What was seen of a cell that is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It did not come up, and how it was at the end.
    Late { after: Duration, state: &'static str, drift: Vec<String> },
    /// It came up, and then started again.
    Restarted { from: Term, to: Term },
    /// The engine runs the old image again.
    TakenBack,
    /// Somebody else gave it another image.
    Changed(String),
    /// It was deleted.
    Gone,
    /// The registrar did not take the image.
    Refused(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { after, state, drift } => {
                write!(f, "{state} after {} s", after.as_secs())?;
                drift.iter().try_for_each(|line| write!(f, " ({})", line.escape_debug()))
            }
            Self::Restarted { from, to } => {
                write!(f, "it came up under term {from}, and then started again: term {to}")
            }
            Self::TakenBack => write!(f, "it failed, and the engine took it back"),
            Self::Changed(image) => {
                write!(f, "somebody else set it to {}", image.escape_debug())
            }
            Self::Gone => write!(f, "somebody else deleted it"),
            Self::Refused(why) => write!(f, "the registrar did not take the image: {why}"),
        }
    }
}

/// When each cell's newest start was first seen.
#[derive(Debug, Default)]
struct Starts(BTreeMap<CellId, (Term, Duration)>);

impl Starts {
    /// The start under which a cell reports, and for how long it has been seen. The registrar keeps the
    /// report of the start before, so only one counts that was made after this start was seen.
    fn reporting(&mut self, cell: CellId, sight: &Sight, at: Duration) -> Option<(Term, Duration)> {
        let term = sight.term?;
        let seen = self.0.entry(cell).or_insert((term, at));
        if seen.0 != term {
            *seen = (term, at);
        }
        let since = at.saturating_sub(seen.1);
        let is_its_own = sight.report_age.is_some_and(|age| age < since);
        (sight.is_reporting && is_its_own).then_some((term, since))
    }
}

/// Watches the cells of a ring from the moment at which their image was set.
#[derive(Debug)]
pub struct Rise<'a> {
    ring: &'a [Before],
    image: &'a str,
    limits: Limits,
    began: Duration,
    starts: Starts,
    up: BTreeMap<CellId, Term>,
    /// Since when all are well.
    settling: Option<Duration>,
    /// When all were well last.
    was_well: Duration,
}

impl<'a> Rise<'a> {
    /// Begins to watch.
    pub fn new(ring: &'a [Before], image: &'a str, limits: Limits, began: Duration) -> Self {
        let (starts, up) = (Starts::default(), BTreeMap::new());
        Self { ring, image, limits, began, starts, up, settling: None, was_well: began }
    }

    /// Judges the ring by one more look.
    pub fn judge(&mut self, look: &Look) -> Verdict {
        let (mut well, mut first_ill) = (0, None);
        for before in self.ring {
            match self.cell(before, look) {
                Err(trouble) => return Verdict::Bad(before.cell, trouble),
                Ok(Ok(())) => well += 1,
                Ok(Err(state)) => first_ill = first_ill.or(Some((before.cell, state))),
            }
        }
        if first_ill.is_none() && !look.is_led {
            let state = "no agent tells whether the engine kept the image";
            first_ill = self.ring.first().map(|before| (before.cell, state));
        }
        let Some((cell, state)) = first_ill else {
            self.was_well = look.at;
            let since = *self.settling.get_or_insert(look.at);
            let is_settled = look.at.saturating_sub(since) >= self.limits.settle;
            return if is_settled { Verdict::Good } else { Verdict::Settling };
        };
        self.settling = None;
        match self.is_late(look.at) {
            false => Verdict::Rising(well),
            true => {
                let after = look.at.saturating_sub(self.began);
                let drift = look.cells.get(&cell).map(|sight| sight.drift.clone());
                let drift = drift.unwrap_or_default();
                Verdict::Bad(cell, Trouble::Late { after, state, drift })
            }
        }
    }

    /// Whether it is well, or what is missing yet; the error is what no waiting mends.
    fn cell(&mut self, before: &Before, look: &Look) -> Result<Result<(), &'static str>, Trouble> {
        let cell = before.cell;
        let sight = look.cells.get(&cell).ok_or(Trouble::Gone)?;
        if sight.image != self.image {
            return Err(Trouble::Changed(sight.image.clone()));
        }
        if sight.is_taken_back {
            return Err(Trouble::TakenBack);
        }
        if let (Some(from), Some(to)) = (self.up.get(&cell).copied(), sight.term)
            && to > from
        {
            return Err(Trouble::Restarted { from, to });
        }
        let is_new = before.image == self.image || sight.term > before.term;
        if !is_new {
            return Ok(Err("no new process of it started"));
        }
        let Some((term, _)) = self.starts.reporting(cell, sight, look.at) else {
            return Ok(Err("its new process does not report"));
        };
        self.up.entry(cell).or_insert(term);
        Ok(Ok(()))
    }

    /// Cells that were well have as much time again, since a registrar that was started anew has
    /// heard of nobody; but not for ever.
    fn is_late(&self, at: Duration) -> bool {
        let Limits { settle, patience } = self.limits;
        at.saturating_sub(self.was_well) >= patience
            || at.saturating_sub(self.began) >= (patience + settle) * 2
    }
}

/// Watches cells whose old image was put back.
#[derive(Debug)]
pub struct Return<'a> {
    cells: &'a [Before],
    from: BTreeMap<CellId, Option<Term>>,
    settle: Duration,
    starts: Starts,
}

impl<'a> Return<'a> {
    /// Begins to watch, with what was seen before the image was put back.
    pub fn new(cells: &'a [Before], seen: &Look, settle: Duration) -> Self {
        let from = seen.cells.iter().map(|(cell, sight)| (*cell, sight.term)).collect();
        Self { cells, from, settle, starts: Starts::default() }
    }

    /// The cells that do not run yet. One that ran before the upgrade runs again when it reports under
    /// a new start, or has gone on for a while under the last one: what the engine took back already
    /// is not started once more.
    pub fn missing(&mut self, look: &Look) -> Vec<CellId> {
        let mut missing = Vec::new();
        for before in self.cells.iter().filter(|before| before.was_reporting) {
            let Some(sight) = look.cells.get(&before.cell) else { continue };
            let from = self.from.get(&before.cell).copied().flatten();
            let reporting = self.starts.reporting(before.cell, sight, look.at);
            let runs = |(term, since)| Some(term) > from || since >= self.settle;
            if !reporting.is_some_and(runs) {
                missing.push(before.cell);
            }
        }
        missing
    }
}

#[cfg(test)]
pub mod tests;
