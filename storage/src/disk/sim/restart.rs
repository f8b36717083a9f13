//! What a restart finds of a simulated disk.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Crash;
use super::world::{Change, Dir, Entry, Node, World, apply};

const SECTOR_BYTES: usize = 512;

impl World {
    /// The world after a restart: no faults, no counters, nothing unsynced.
    pub(super) fn after(&self, how: Crash) -> Self {
        let mut dice = Dice(match how {
            Crash::Torn(seed) => seed,
            Crash::Kept | Crash::Lost => 0,
        });
        let mut next = Self::default();
        for node in &self.nodes {
            let bytes = match how {
                Crash::Kept => node.seen.clone(),
                Crash::Lost => node.durable.clone(),
                Crash::Torn(_) => node.torn(&mut dice),
            };
            next.nodes.push(Node { seen: bytes.clone(), durable: bytes, unsynced: Vec::new() });
        }
        for (path, dir) in &self.dirs {
            let entries = match how {
                Crash::Kept => dir.seen.clone(),
                Crash::Lost => dir.durable.clone(),
                Crash::Torn(_) => dir.torn(&mut dice),
            };
            next.dirs.insert(path.clone(), Dir { seen: entries.clone(), durable: entries });
        }
        next.drop_unreachable();
        next
    }

    fn drop_unreachable(&mut self) {
        loop {
            let lost: Vec<PathBuf> = self
                .dirs
                .keys()
                .filter(|path| {
                    path.parent().is_some_and(|up| {
                        !self.dirs.get(up).is_some_and(|dir| dir.seen.contains_key(*path))
                    })
                })
                .cloned()
                .collect();
            if lost.is_empty() {
                return;
            }
            lost.iter().for_each(|path| drop(self.dirs.remove(path)));
        }
    }
}

impl Node {
    /// What a power failure leaves: each sector as it was at the last sync or after any later
    /// change, since the cache may have been written out at any moment; here and there a sector of
    /// which only the first bytes are newer; and the length after any of the changes.
    fn torn(&self, dice: &mut Dice) -> Vec<u8> {
        let versions = self.unsynced.len() + 1;
        let mut shapes = self.durable.clone();
        for change in &self.unsynced[..dice.below(versions)] {
            apply(&mut shapes, change);
        }
        let mut bytes = vec![0; shapes.len()];
        for (number, sector) in bytes.chunks_mut(SECTOR_BYTES).enumerate() {
            let start = number * SECTOR_BYTES;
            self.fill(sector, start, dice.below(versions));
            if dice.below(4) == 0 {
                let cut = dice.below(sector.len() + 1);
                let mut newer = sector.to_vec();
                self.fill(&mut newer, start, dice.below(versions));
                sector[..cut].copy_from_slice(&newer[..cut]);
            }
        }
        bytes
    }

    /// Fills a sector as it was after so many of the changes since the last sync.
    fn fill(&self, sector: &mut [u8], start: usize, changes: usize) {
        sector.fill(0);
        overlay(sector, start, 0, &self.durable);
        for change in &self.unsynced[..changes] {
            match change {
                Change::Write { offset, bytes } => overlay(sector, start, *offset, bytes),
                Change::Size(size) => {
                    let kept = size.saturating_sub(start).min(sector.len());
                    sector[kept..].fill(0);
                }
            }
        }
    }
}

/// Copies into a sector at `start` what a write at `offset` has for it.
fn overlay(sector: &mut [u8], start: usize, offset: usize, bytes: &[u8]) {
    let from = start.max(offset);
    let to = (start + sector.len()).min(offset + bytes.len());
    if from < to {
        sector[from - start..to - start].copy_from_slice(&bytes[from - offset..to - offset]);
    }
}

impl Dir {
    fn torn(&self, dice: &mut Dice) -> BTreeMap<PathBuf, Entry> {
        let mut entries = self.durable.clone();
        for (path, entry) in &self.seen {
            if self.durable.get(path) != Some(entry) && dice.below(2) == 0 {
                entries.insert(path.clone(), *entry);
            }
        }
        for path in self.durable.keys().filter(|path| !self.seen.contains_key(*path)) {
            if dice.below(2) == 0 {
                entries.remove(path);
            }
        }
        entries
    }
}

/// Splitmix64: small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % (end.max(1) as u64)).unwrap_or(0)
    }
}
