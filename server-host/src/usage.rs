//! What each identity used: counted by its server while it is awake, kept here until it is told. Only
//! who used something since has an entry.

use std::collections::HashMap;

use protocol::control::usage::{USAGE_ROWS_MAX, UsageBatch, UsageRow, Used};
use protocol::{AtSign, VolumeId};
use server::Server;
use tokio::time::Instant;

use crate::cell::{Cell, State, Tenants};
use crate::limits::USAGE_INTERVAL;

/// What was used and is not told yet.
#[derive(Default)]
pub(crate) struct Usage(HashMap<VolumeId, UsageRow>);

impl Usage {
    fn add(&mut self, volume: VolumeId, identity: &AtSign, used: Used) {
        let row = self.0.entry(volume);
        let row =
            row.or_insert_with(|| UsageRow { identity: identity.clone(), used: Used::default() });
        row.used = row.used.and_then(used);
    }

    /// Somebody was woken.
    pub(crate) fn woken(&mut self, volume: VolumeId, identity: &AtSign) {
        self.add(volume, identity, Used { wakes: 1, ..Used::default() });
    }

    /// What a server counted since it was asked last.
    pub(crate) fn collect(&mut self, volume: VolumeId, server: &Server) {
        let tally = server.take_tally();
        let used = Used {
            commands: tally.commands,
            bytes_in: tally.bytes_in,
            bytes_out: tally.bytes_out,
            wakes: 0,
            awake_ms: u64::try_from(tally.awake.as_millis()).unwrap_or(u64::MAX),
            stored_bytes: tally.stored_bytes,
        };
        self.add(volume, server.identity(), used);
    }

    fn take(&mut self, count_max: usize) -> Vec<UsageRow> {
        let some: Vec<VolumeId> = self.0.keys().take(count_max).copied().collect();
        let rows = some.iter().filter_map(|volume| self.0.remove(volume)).collect();
        if self.0.is_empty() {
            self.0.shrink_to_fit();
        }
        rows
    }
}

impl Tenants {
    fn collect_usage(&mut self) {
        let Self { all, awake, usage, .. } = self;
        for volume in awake.keys() {
            if let Some(State::Awake(server)) = all.get(volume).map(|tenant| &tenant.state) {
                usage.collect(*volume, server);
            }
        }
    }
}

impl Cell {
    /// What those who are awake used until now, and what others used before, goes into the accounts
    /// that are told.
    pub(crate) fn collect_usage(&self) {
        self.0.tenants().collect_usage();
    }

    fn take_usage(&self) -> Vec<UsageRow> {
        self.0.tenants().usage.take(USAGE_ROWS_MAX)
    }
}

/// Tells it batch by batch; one that was not taken is told again, with its number.
pub(crate) struct Telling {
    number: u64,
    untold: Vec<UsageRow>,
    collected: Instant,
}

impl Telling {
    pub(crate) fn new() -> Self {
        Self { number: 0, untold: Vec::new(), collected: Instant::now() }
    }

    /// The next batch, if there is one.
    pub(crate) fn batch(&mut self, cell: &Cell) -> Option<UsageBatch> {
        if self.untold.is_empty() {
            if self.collected.elapsed() >= USAGE_INTERVAL {
                cell.collect_usage();
                self.collected = Instant::now();
            }
            self.untold = cell.take_usage();
            self.number += u64::from(!self.untold.is_empty());
        }
        let is_some = !self.untold.is_empty();
        is_some.then(|| UsageBatch { number: self.number, rows: self.untold.clone() })
    }

    /// The registrar has it.
    pub(crate) fn told(&mut self) {
        self.untold = Vec::new();
    }
}
