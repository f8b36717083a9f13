//! Medians with their range, and tables.

use std::fmt;

use comfy_table::{Table, presets};

/// Several rounds of one measurement.
pub struct Rounds(Vec<f64>);

impl Rounds {
    /// Takes at least one round.
    pub fn new(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self(rounds)
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value below which the share `q` of all rounds lies.
    pub fn quantile(&self, q: f64) -> f64 {
        let last = self.0.len() - 1;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let index = (last as f64 * q).round() as usize;
        self.0[index.min(last)]
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.0[0], self.0[self.0.len() - 1]);
        write!(f, "{:.0} [{least:.0}..{most:.0}]", self.median())
    }
}

/// A table without frills.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table
}

/// Whether a goal is met, for a table's last column.
pub fn goal(met: bool) -> String {
    if met { "met".into() } else { "MISSED".into() }
}
