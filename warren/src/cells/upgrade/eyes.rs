//! Looking at a swarm again and again, while somebody may want to stop.

use std::time::Duration;

use indicatif::ProgressBar;
use protocol::control::names::SwarmName;
use tokio::time::{Instant, sleep};

use super::watch::{Look, Sight};
use crate::api::{Api, CellView, NodeView};
use crate::failure::{Exit, Failure};
use crate::signals::EndSignals;
use crate::waiting::bar;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a registrar may be away.
const AWAY_MAX: Duration = Duration::from_secs(300);

/// Whoever looks.
pub struct Eyes<'a> {
    pub api: &'a Api,
    pub bar: ProgressBar,
    swarm: &'a SwarmName,
    signals: Option<EndSignals>,
    is_asked_to_end: bool,
    watched: Duration,
    looked: Option<Instant>,
}

impl<'a> Eyes<'a> {
    pub fn open(api: &'a Api, swarm: &'a SwarmName) -> Self {
        let (bar, signals, is_asked_to_end) = (bar("renewing cells"), None, false);
        Self { api, bar, swarm, signals, is_asked_to_end, watched: Duration::ZERO, looked: None }
    }

    /// From here on, Ctrl-C is a wish and no longer an end.
    pub fn listen(&mut self) -> Result<(), Failure> {
        self.signals = Some(EndSignals::listen()?);
        Ok(())
    }

    /// Whether somebody wants it to end when a good moment comes.
    pub fn is_asked_to_end(&self) -> bool {
        self.is_asked_to_end
    }

    /// Looks; a registrar that is away for a while is waited for, and that while is no watching.
    pub async fn look(&mut self) -> Result<Look, Failure> {
        let asked = Instant::now();
        loop {
            match self.ask().await {
                Ok((cells, nodes)) => {
                    let now = Instant::now();
                    self.watched += self.looked.map_or(Duration::ZERO, |last| now - last);
                    self.looked = Some(now);
                    return Ok(self.seen(cells, &nodes));
                }
                Err(failure) if is_passing(&failure) && asked.elapsed() < AWAY_MAX => {
                    self.looked = None;
                    self.pause().await?;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Waits for a moment. The first wish to end is kept for later; the second one ends it here.
    pub async fn pause(&mut self) -> Result<(), Failure> {
        let Some(signals) = &mut self.signals else {
            sleep(PAUSE).await;
            return Ok(());
        };
        tokio::select! {
            () = sleep(PAUSE) => return Ok(()),
            () = signals.first() => {}
        }
        if self.is_asked_to_end {
            return Err(Failure::new(Exit::PartlyDone, "ended on request"));
        }
        self.is_asked_to_end = true;
        let word = "warren: ends after this ring; once more to leave it as it is";
        self.bar.suspend(|| eprintln!("{word}"));
        Ok(())
    }

    async fn ask(&self) -> Result<(Vec<CellView>, Vec<NodeView>), Failure> {
        Ok((self.api.cells().await?, self.api.nodes().await?))
    }

    fn seen(&self, cells: Vec<CellView>, nodes: &[NodeView]) -> Look {
        let reports = nodes.iter().filter(|node| node.swarm == *self.swarm);
        let reports = reports.filter(|node| node.is_reporting());
        let reports: Vec<_> = reports.filter_map(|node| node.report.as_ref()).collect();
        let is_led = reports.iter().any(|report| report.engine.is_leader);
        let drift: Vec<&String> = reports.iter().flat_map(|report| &report.drift).collect();
        let ours = cells.into_iter().filter(|cell| cell.swarm == *self.swarm);
        let live = ours.filter(|cell| cell.state == "active");
        let cells = live.map(|cell| (cell.cell, sight(cell, &drift))).collect();
        Look { at: self.watched, is_led, cells }
    }
}

/// Whether a failure may be gone when one asks again.
pub fn is_passing(failure: &Failure) -> bool {
    matches!(failure.exit, Exit::Unavailable | Exit::TimedOut)
}

fn sight(cell: CellView, drift: &[&String]) -> Sight {
    let taken_back = server_host::agent::taken_back(cell.cell);
    let name = cell.cell.to_string();
    let names = |line: &str| {
        line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| {
            word == name || word.strip_suffix(&name).is_some_and(|front| front.ends_with('-'))
        })
    };
    let named = drift.iter().filter(|line| names(line));
    Sight {
        is_reporting: cell.is_reporting(),
        report_age: cell.report_age_ms.map(Duration::from_millis),
        is_taken_back: drift.iter().any(|line| **line == taken_back),
        drift: named.map(|line| (*line).clone()).collect(),
        term: cell.start.map(|start| start.term),
        image: cell.image,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_cell_has_the_lines_that_name_it_and_no_others() {
        let view = serde_json::json!({
            "cell": 3, "swarm": "eu-1", "image": "i", "port": 1, "capacity": 1, "memory_bytes": 1,
            "millicpus": 1, "on": {}, "state": "active", "identities": 0, "start": null,
            "report_age_ms": null, "counts": null, "address": null,
        });
        let lines = [
            "eu-1-cell-3 does not run: no such image",
            "cannot update cell-3 to x: y",
            "cell-31 was changed by hand",
            "eu-1-cell-33 does not run",
        ];
        let lines = lines.map(str::to_owned);
        let of = |lines: &[String]| {
            let drift: Vec<&String> = lines.iter().collect();
            sight(serde_json::from_value(view.clone()).unwrap(), &drift)
        };
        let seen = of(&lines);
        assert_eq!((seen.drift.as_slice(), seen.is_taken_back), (&lines[..2], false));
        let other = server_host::agent::taken_back("cell-31".parse().unwrap());
        assert!(!of(&[other]).is_taken_back);
        assert!(of(&[server_host::agent::taken_back("cell-3".parse().unwrap())]).is_taken_back);
    }
}
