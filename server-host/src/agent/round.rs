//! One look at the engine, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::control::fleet::Plan;

use super::engine::{Answer, Engine, EngineTask};
use super::reconcile::{Action, Decision, Seen, Written, reconcile};
use super::template::{CELL_LABEL, Means, Template};
use crate::limits::ACTIONS_A_ROUND_MAX;

/// Asks the engine for everything that a decision needs.
///
/// # Errors
/// Whatever the engine fails with first.
pub async fn look(engine: &impl Engine, template: &Template, api_minor: u16) -> Answer<Seen> {
    let secrets = engine.secrets().await?;
    let secrets = secrets.into_iter().map(|secret| (secret.name, secret.id)).collect();
    Ok(Seen {
        services: engine.services(&template.swarm).await?,
        nodes: engine.nodes().await?,
        means: Means { secrets, api_minor },
    })
}

/// Looks, decides and does it; with `is_dry` it only says what it would do. One action that fails
/// keeps none of the others from being tried.
///
/// # Errors
/// If the engine does not tell what there is.
pub async fn round(
    engine: &impl Engine,
    plan: &Plan,
    template: &Template,
    written: &mut Written,
    api_minor: u16,
    is_dry: bool,
) -> Answer<Decision> {
    let seen = look(engine, template, api_minor).await?;
    let mut decision = reconcile(plan, &seen, template, written);
    if is_dry {
        return Ok(decision);
    }
    written.retain(|cell, _| plan.cells.iter().any(|planned| planned.cell == *cell));
    remember(&seen, &decision, written);
    for action in decision.actions.iter().take(ACTIONS_A_ROUND_MAX) {
        match carry_out(engine, action).await {
            Ok(()) => {
                tracing::info!(%action, "the swarm was changed");
                if let Some((cell, hash)) = action.writes() {
                    written.insert(cell, hash.to_owned());
                }
            }
            Err(error) => {
                tracing::warn!(%action, %error, "the swarm cannot be changed");
                decision.drift.push(format!("cannot {action}: {error}"));
            }
        }
    }
    if decision.actions.is_empty() {
        decision.drift.extend(idle(&seen, &engine.tasks().await?));
    }
    Ok(decision)
}

/// A service that is as it should be counts as written, by whichever agent: when it is gone one day,
/// somebody removed it.
fn remember(seen: &Seen, decision: &Decision, written: &mut Written) {
    let touched: BTreeSet<_> = decision
        .actions
        .iter()
        .filter_map(|action| action.writes().map(|(cell, _)| cell))
        .collect();
    for service in &seen.services {
        let label = |name| service.labels.get(name);
        let Some(cell) = label(CELL_LABEL).and_then(|text| text.parse().ok()) else { continue };
        if let Some(hash) = label(super::template::SPEC_LABEL)
            && !touched.contains(&cell)
        {
            written.entry(cell).or_insert_with(|| hash.clone());
        }
    }
}

async fn carry_out(engine: &impl Engine, action: &Action) -> Answer<()> {
    match action {
        Action::Create { spec, .. } => engine.create(spec).await.map(drop),
        Action::Update { id, version, spec, .. } => engine.update(id, *version, spec).await,
        Action::Remove { id, .. } => engine.remove(id).await,
        Action::SetAvailability { node, availability } => {
            engine.set_availability(node, *availability).await
        }
    }
}

/// Cells of which nothing runs, and why the engine thinks so.
fn idle(seen: &Seen, tasks: &[EngineTask]) -> Vec<String> {
    let mut why = BTreeMap::new();
    for task in tasks {
        let (is_running, error) = why.entry(&task.service).or_insert((false, None));
        *is_running |= task.is_running;
        *error = error.or(task.error.as_deref());
    }
    let line = |service: &super::engine::EngineService| {
        let (is_running, error) = why.get(&service.id).copied().unwrap_or_default();
        let reason = error.map_or_else(String::new, |error| format!(": {error}"));
        (!is_running).then(|| format!("{} does not run yet{reason}", service.name))
    };
    seen.services.iter().filter_map(line).collect()
}
