//! What a run found: a row a statement.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed {
        /// What it demands.
        expected: String,
        /// What happened instead.
        seen: String,
    },
    /// It cannot be seen with what was given.
    NotApplicable {
        /// Why.
        reason: String,
    },
    /// It can only be seen inside, where these tests show it for our own servers.
    SeenInside {
        /// As `path/to/file.rs::name`.
        tests: Vec<&'static str>,
    },
}

/// A statement and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its number in section 10.
    pub number: u16,
    /// What it says.
    pub statement: &'static str,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took.
    pub millis: u128,
}

impl Outcome {
    fn words(&self) -> (&'static str, String) {
        match self {
            Self::Passed => ("passed", String::new()),
            Self::Failed { expected, seen } => {
                ("FAILED", format!("expected {expected}\nseen {seen}"))
            }
            Self::NotApplicable { reason } => ("not applicable", reason.clone()),
            Self::SeenInside { tests } => ("seen inside", tests.join("\n")),
        }
    }
}

/// The rows for a person.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["no.", "statement", "result", "remarks"]);
    for row in rows {
        let (result, remarks) = row.outcome.words();
        table.add_row([&row.number.to_string(), row.statement, result, &remarks]);
    }
    table
}

/// One sentence about all rows.
pub fn summary(rows: &[Row]) -> String {
    let count = |is: fn(&Outcome) -> bool| rows.iter().filter(|row| is(&row.outcome)).count();
    format!(
        "{} passed, {} failed, {} not applicable, {} seen inside",
        count(|outcome| *outcome == Outcome::Passed),
        count(|outcome| matches!(outcome, Outcome::Failed { .. })),
        count(|outcome| matches!(outcome, Outcome::NotApplicable { .. })),
        count(|outcome| matches!(outcome, Outcome::SeenInside { .. })),
    )
}

/// Whether nothing failed.
pub fn is_good(rows: &[Row]) -> bool {
    !rows.iter().any(|row| matches!(row.outcome, Outcome::Failed { .. }))
}
