//! Running statements side by side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::check::{Check, Stop};
use crate::statement::{How, Statement};
use crate::{Outcome, Row, World};

/// Statements under way at once: most of them wait for a clock, not for a processor.
const SIDE_BY_SIDE: usize = 24;

/// No statement takes longer.
const STATEMENT_MAX: Duration = Duration::from_secs(50);

/// Runs the statements; `on_row` is told each as it ends. The rows are in the order of numbers.
pub async fn run(
    world: &Arc<World>,
    statements: &[Statement],
    mut on_row: impl FnMut(&Row) + Send,
) -> Vec<Row> {
    let permits = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut running = JoinSet::new();
    let mut rows = Vec::with_capacity(statements.len());
    for statement in statements.iter().copied() {
        if !matches!(statement.how, How::Alone(_)) {
            let (world, permits) = (Arc::clone(world), Arc::clone(&permits));
            running.spawn(async move {
                let _permit = permits.acquire_owned().await;
                row(world, statement).await
            });
        }
    }
    while let Some(ended) = running.join_next().await {
        // A statement that panics is a mistake of ours; its number is then missing in the rows.
        if let Ok(row) = ended {
            on_row(&row);
            rows.push(row);
        }
    }
    for statement in statements.iter().copied() {
        if matches!(statement.how, How::Alone(_)) {
            let row = row(Arc::clone(world), statement).await;
            on_row(&row);
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| row.number);
    rows
}

async fn row(world: Arc<World>, statement: Statement) -> Row {
    let began = Instant::now();
    let outcome = match statement.how {
        How::Inside(tests) => Outcome::SeenInside { tests: tests.to_vec() },
        How::Outside(run) | How::Alone(run) => {
            let ended = timeout(STATEMENT_MAX, run(world)).await;
            ended.map_or_else(|_| endless(), of)
        }
    };
    let millis = began.elapsed().as_millis();
    Row { number: statement.number, statement: statement.text, outcome, millis }
}

fn of(check: Check) -> Outcome {
    match check {
        Ok(()) => Outcome::Passed,
        Err(Stop::Failed { expected, seen }) => Outcome::Failed { expected, seen },
        Err(Stop::NotApplicable(reason)) => Outcome::NotApplicable { reason },
    }
}

fn endless() -> Outcome {
    Outcome::Failed { expected: "an end".into(), seen: format!("none within {STATEMENT_MAX:?}") }
}
