//! A hundred million names that are different by the way they are made, in the order of their bytes.
//!
//! A name is two to six syllables, no two of which begin with the same letter; behind them may stand
//! a number, and an emoji. So the tree of all syllables, walked in order, gives every name once and
//! sorted, and nothing but the packed names is ever in memory.

use std::num::NonZeroU16;
use std::sync::Arc;

use atlas::{Atlas, Packer, Place, Segment};
use protocol::{Epoch, HostName};
use testkit::Random;

use crate::directory::names::{EMOJI, HOSTS, SYLLABLES};

/// Syllables of the shortest and of the longest names; each length has as many names.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=6;
/// Names after which complete segments are put aside.
const DRAIN_EVERY: u64 = 100_000;

pub struct Population {
    pub atlas: Atlas,
    /// Some of the names, from everywhere.
    pub asked: Vec<String>,
    /// Others, in no order.
    pub changing: Vec<String>,
}

struct Census {
    random: Random,
    hosts: Vec<HostName>,
    packer: Packer,
    segments: Vec<Arc<Segment>>,
    /// How many names a beginning of so many syllables has, and what is owed of it.
    shares: [f64; 7],
    owed: [f64; 7],
    made: u64,
    ask_every: u64,
    change_every: u64,
    asked: Vec<String>,
    changing: Vec<String>,
}

/// About `count` names, of which so many are to be asked for and so many are to change.
pub fn make(count: u32, asked: usize, changing: usize) -> Population {
    let host = |n| HostName::parse(&host_name(n)).expect("a host name");
    let mut shares = [0.0; 7];
    for length in LENGTHS {
        let power = i32::try_from(length).expect("a small number");
        let beginnings = (SYLLABLES.len() as f64).powi(power);
        shares[length] = f64::from(count) / LENGTHS.count() as f64 / beginnings;
    }
    let every = |wanted: usize| (u64::from(count) / (wanted as u64).max(1)).max(1);
    let mut census = Census {
        random: Random::new(1),
        hosts: (0..HOSTS).map(host).collect(),
        packer: Packer::default(),
        segments: Vec::new(),
        shares,
        owed: [0.0; 7],
        made: 0,
        ask_every: every(asked),
        change_every: every(changing),
        asked: Vec::new(),
        changing: Vec::new(),
    };
    census.visit(&mut String::new(), 0);
    census.finish()
}

/// The name of the host with this number.
pub fn host_name(number: u64) -> String {
    format!("host{number:04}.swarm.example")
}

impl Census {
    fn visit(&mut self, beginning: &mut String, syllables: usize) {
        let own = self.due(syllables);
        let is_marked = own > 0 && self.random.below(33) == 0;
        if own > 0 {
            if !is_marked {
                self.add(beginning);
            }
            self.numbered(beginning, own - 1);
        }
        if syllables < *LENGTHS.end() {
            for syllable in SYLLABLES {
                beginning.push_str(syllable);
                self.visit(beginning, syllables + 1);
                beginning.truncate(beginning.len() - syllable.len());
            }
        }
        if is_marked {
            let emoji = self.emoji();
            self.add(&format!("{beginning}{emoji}"));
        }
    }

    fn due(&mut self, syllables: usize) -> u64 {
        self.owed[syllables] += self.shares[syllables];
        let whole = self.owed[syllables].floor();
        self.owed[syllables] -= whole;
        whole as u64
    }

    /// So many with different numbers below 100,000.
    fn numbered(&mut self, beginning: &str, count: u64) {
        let count = count.min(100_000);
        let mut ends: Vec<String> = Vec::new();
        for at in 0..count {
            let (from, to) = (at * 100_000 / count, (at + 1) * 100_000 / count);
            let number = from + self.random.below(to - from);
            let emoji = if self.random.below(33) == 0 { self.emoji() } else { "" };
            ends.push(format!("{beginning}{number}{emoji}"));
        }
        ends.sort_unstable();
        ends.iter().for_each(|name| self.add(name));
    }

    fn emoji(&mut self) -> &'static str {
        EMOJI[self.random.below(EMOJI.len() as u64) as usize]
    }

    fn add(&mut self, name: &str) {
        let host = &self.hosts[self.random.below(HOSTS) as usize];
        let port = NonZeroU16::new(20_000 + self.random.below(40_000) as u16).expect("not 0");
        let place = Place { host: host.into(), port, epoch: Epoch::FIRST };
        self.packer.push(name.as_bytes(), place).expect("names come in order");
        self.made += 1;
        if self.made.is_multiple_of(DRAIN_EVERY) {
            self.segments.extend(self.packer.drain().into_iter().map(Arc::new));
        }
        if self.made.is_multiple_of(self.ask_every) {
            self.asked.push(name.to_owned());
        } else if self.made % self.change_every == 1 % self.change_every {
            self.changing.push(name.to_owned());
        }
    }

    fn finish(mut self) -> Population {
        let rest = self.packer.finish().expect("it fits");
        self.segments.extend(rest.into_iter().map(Arc::new));
        for at in (1..self.changing.len()).rev() {
            self.changing.swap(at, self.random.below(at as u64 + 1) as usize);
        }
        let atlas = Atlas::new(self.segments).expect("in order");
        Population { atlas, asked: self.asked, changing: self.changing }
    }
}
