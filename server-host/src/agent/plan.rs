//! Following what the registrar wants.

use std::time::Duration;

use protocol::control::fleet::Plan;
use protocol::control::names::SwarmName;
use protocol::control::roster::Position;

/// How far the plan was followed.
#[derive(Debug, Default)]
pub struct Followed {
    upto: Option<Position>,
    run_max: u64,
}

impl Followed {
    /// What to ask for next. Who knows nothing yet does not wait.
    #[must_use]
    pub fn path(&self, swarm: &SwarmName, wait: Duration) -> String {
        let (position, wait) = match self.upto {
            Some(upto) => (upto, wait.as_secs()),
            None => (Position { run: 0, number: 0 }, 0),
        };
        let Position { run, number } = position;
        format!("/v1/swarms/{swarm}/plan?run={run}&after={number}&wait={wait}")
    }
}

/// Takes what the registrar tells; none if it is what is known already.
///
/// # Errors
/// A plan of a run before one that was seen, or of the same run and an older number, comes from a
/// registrar that was set back or is no longer the one: it is not followed.
pub fn accept(followed: &mut Followed, plan: Plan) -> Result<Option<Plan>, String> {
    if plan.upto.run < followed.run_max {
        let (told, seen) = (plan.upto.run, followed.run_max);
        return Err(format!("its plan goes backwards: run {told} after run {seen}"));
    }
    if followed.upto.is_some_and(|upto| plan.upto < upto) {
        return Err("its plan goes backwards within one run".to_owned());
    }
    let mut cells: Vec<_> = plan.cells.iter().map(|cell| cell.cell).collect();
    let mut ports: Vec<_> = plan.cells.iter().map(|cell| cell.port).collect();
    for (what, is_twice) in [("cell", has_twice(&mut cells)), ("port", has_twice(&mut ports))] {
        if is_twice {
            return Err(format!("its plan has a {what} twice"));
        }
    }
    followed.run_max = plan.upto.run;
    let is_news = followed.upto.replace(plan.upto) != Some(plan.upto);
    Ok(is_news.then_some(plan))
}

fn has_twice<T: Ord>(items: &mut [T]) -> bool {
    items.sort_unstable();
    items.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plan(run: u64, number: u64) -> Plan {
        Plan { upto: Position { run, number }, cells: Vec::new(), nodes: Default::default() }
    }

    #[test]
    fn a_plan_that_goes_backwards_is_not_followed() {
        let mut followed = Followed::default();
        let swarm = SwarmName::parse("eu").unwrap();
        let wait = Duration::from_secs(25);
        assert_eq!(followed.path(&swarm, wait), "/v1/swarms/eu/plan?run=0&after=0&wait=0");
        assert!(accept(&mut followed, plan(3, 7)).unwrap().is_some());
        assert_eq!(followed.path(&swarm, wait), "/v1/swarms/eu/plan?run=3&after=7&wait=25");
        assert!(accept(&mut followed, plan(3, 7)).unwrap().is_none(), "nothing new");
        assert!(accept(&mut followed, plan(2, 99)).is_err());
        assert!(accept(&mut followed, plan(3, 6)).is_err());
        assert!(accept(&mut followed, plan(4, 0)).unwrap().is_some(), "a new run begins anew");
        assert!(accept(&mut followed, plan(3, 8)).is_err());
        assert_eq!(followed.path(&swarm, wait), "/v1/swarms/eu/plan?run=4&after=0&wait=25");
    }
}
