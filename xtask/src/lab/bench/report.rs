//! What was measured, for people and for programs, and whether the goals are met.

use super::Runs;
use super::cells::Counts;
use super::memory::Charged;
use super::peer::Peer;

/// Identities in cells come to be so many times as fast as containers …
const RATE_GOAL: f64 = 20.0;

/// … and one that is awake costs this part of one.
const MEMORY_GOAL: f64 = 100.0;

/// All of a run.
pub struct Report {
    pub build: String,
    pub singly: Runs,
    /// Identities a minute.
    pub many: f64,
    pub dedicated: Runs,
    pub peer: Peer,
    /// The cells before anybody lived in them, with everybody awake, and with everybody asleep.
    pub with_none: Charged,
    pub with_awake: Charged,
    pub with_asleep: Charged,
    /// All the rest of the fleet: with nobody, and with everybody.
    pub beside_none: Charged,
    pub beside_awake: Charged,
    /// The cells for one.
    pub alone: Charged,
    pub awake: Counts,
    pub asleep: Counts,
}

impl Report {
    /// Two tables.
    pub fn print(&self) {
        println!("\nThe image: {}\n", self.build);
        self.print_times();
        self.print_memory();
        println!(
            "\nGoals: in cells at least {RATE_GOAL} times as fast as `docker run`: {:.1}, {}; \
             awake, at most 1/{MEMORY_GOAL} of a container: 1/{:.0}, {}.",
            self.rate(),
            verdict(self.rate() >= RATE_GOAL),
            self.memory(),
            verdict(self.memory() >= MEMORY_GOAL),
        );
    }

    fn print_times(&self) {
        println!("From the command to the identity's answer over TLS.\n");
        println!(
            "| {:44} | {:>6} | {:>6} | {:>8} | beside it |",
            "what", "p50 ms", "p99 ms", "a minute"
        );
        println!("| {:-<44} | {:->6} | {:->6} | {:->8} | --------- |", "", "", "", "");
        let alone = format!("alone in a cell ({})", self.dedicated.each.len());
        let peer = format!("docker run, a container each ({})", self.peer.starts.each.len());
        self.print_runs(
            &format!("in cells, one at a time ({})", self.singly.each.len()),
            &self.singly,
        );
        let (many, ratio) = (self.many, self.rate());
        println!(
            "| {:44} | {:>6} | {:>6} | {many:>8.1} | {ratio:>8.1}× |",
            "in cells, 32 at once", "", ""
        );
        self.print_runs(&alone, &self.dedicated);
        self.print_runs(&peer, &self.peer.starts);
    }

    fn print_runs(&self, what: &str, runs: &Runs) {
        let (p50, p99) = (runs.at(50) * 1e3, runs.at(99) * 1e3);
        let (rate, ratio) = (runs.per_minute(), runs.per_minute() / self.peer.starts.per_minute());
        println!("| {what:44} | {p50:>6.0} | {p99:>6.0} | {rate:>8.1} | {ratio:>8.1}× |");
    }

    fn print_memory(&self) {
        println!("\nMemory, all charged: control groups, shims, port proxies.\n");
        println!(
            "| {:24} | containers | {:>10} | {:>9} | {:>8} | a container is |",
            "what", "identities", "all KiB", "each KiB"
        );
        println!(
            "| {:-<24} | ---------- | {:->10} | {:->9} | {:->8} | -------------- |",
            "", "", "", ""
        );
        self.print_charged("cells, nobody in them", &self.with_none, 0);
        self.print_charged("cells, awake and idle", &self.with_awake, self.awake.awake);
        self.print_charged("cells, asleep", &self.with_asleep, self.asleep.residents);
        self.print_charged("alone in a cell", &self.alone, self.alone.containers);
        self.print_charged("docker run", &self.peer.memory, self.peer.memory.containers);
        self.print_charged("the fleet beside, nobody", &self.beside_none, 0);
        self.print_charged("the fleet beside, all", &self.beside_awake, 0);
        let Counts { residents, awake, memory } = self.awake;
        println!(
            "\n{awake} of {residents} were awake; the cells say that they had {} KiB resident. Each identity \
             added {:.1} KiB to the cells and {:.1} KiB to the fleet beside (registrar, directories, \
             routers, agents).",
            memory / 1_024,
            self.growth(&self.with_none, &self.with_awake) / 1_024.0,
            self.growth(&self.beside_none, &self.beside_awake) / 1_024.0,
        );
    }

    fn print_charged(&self, what: &str, charged: &Charged, identities: u64) {
        let all = charged.total() / 1_024;
        let (mut each, mut ratio) = (String::new(), String::new());
        if identities > 0 {
            each = format!("{:.1}", share(charged, identities) / 1_024.0);
            ratio = format!("{:.1}×", self.container() / share(charged, identities));
        }
        let containers = charged.containers;
        println!(
            "| {what:24} | {containers:>10} | {identities:>10} | {all:>9} | {each:>8} | {ratio:>14} |"
        );
    }

    /// By hand, for this program has no library for it: numbers, and one text, which is quoted.
    pub fn print_json(&self) {
        let runs = |runs: &Runs| {
            let (p50, p99, rate) = (runs.at(50) * 1e3, runs.at(99) * 1e3, runs.per_minute());
            let count = runs.each.len();
            format!(
                "{{\"count\":{count},\"p50_ms\":{p50:.1},\"p99_ms\":{p99:.1},\"per_minute\":{rate:.1}}}"
            )
        };
        let charged = |charged: &Charged, identities: u64| {
            let Charged { containers, groups, shims, proxies } = charged;
            format!(
                "{{\"containers\":{containers},\"identities\":{identities},\"groups_bytes\":{groups},\
                 \"shims_bytes\":{shims},\"proxies_bytes\":{proxies}}}"
            )
        };
        let fields = [
            ("image", format!("{:?}", self.build)),
            ("singly", runs(&self.singly)),
            ("many_per_minute", format!("{:.1}", self.many)),
            ("dedicated", runs(&self.dedicated)),
            ("docker_run", runs(&self.peer.starts)),
            ("memory_nobody", charged(&self.with_none, 0)),
            ("memory_awake", charged(&self.with_awake, self.awake.awake)),
            ("memory_asleep", charged(&self.with_asleep, self.asleep.residents)),
            ("memory_beside_nobody", charged(&self.beside_none, 0)),
            ("memory_beside_awake", charged(&self.beside_awake, self.awake.residents)),
            ("memory_alone", charged(&self.alone, self.alone.containers)),
            ("memory_docker_run", charged(&self.peer.memory, self.peer.memory.containers)),
            ("rate_ratio", format!("{:.2}", self.rate())),
            ("rate_goal_met", (self.rate() >= RATE_GOAL).to_string()),
            ("memory_ratio", format!("{:.2}", self.memory())),
            ("memory_goal_met", (self.memory() >= MEMORY_GOAL).to_string()),
        ];
        let fields = fields.map(|(name, value)| format!("\"{name}\":{value}"));
        println!("{{{}}}", fields.join(","));
    }

    /// How many times as fast as containers.
    fn rate(&self) -> f64 {
        self.many / self.peer.starts.per_minute()
    }

    /// Into how many that are awake a container goes: each with its part of the whole cells, and
    /// what it added to the fleet beside.
    fn memory(&self) -> f64 {
        let beside = self.growth(&self.beside_none, &self.beside_awake);
        self.container() / (share(&self.with_awake, self.awake.awake) + beside)
    }

    fn container(&self) -> f64 {
        share(&self.peer.memory, self.peer.memory.containers)
    }

    /// What each identity added.
    #[allow(clippy::cast_precision_loss)]
    fn growth(&self, before: &Charged, after: &Charged) -> f64 {
        let grown = after.total().saturating_sub(before.total());
        grown as f64 / self.awake.residents.max(1) as f64
    }
}

#[allow(clippy::cast_precision_loss)]
fn share(charged: &Charged, among: u64) -> f64 {
    charged.total() as f64 / among as f64
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}
