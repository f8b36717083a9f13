//! Names as people choose them, about: 5 to 21 bytes, a few with an emoji, hosts shared by many.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use testkit::Random;

pub const SYLLABLES: [&str; 25] = [
    "an", "ber", "ca", "do", "el", "fi", "gra", "ho", "in", "ja", "ki", "lo", "ma", "ne", "ol",
    "pe", "qui", "ro", "sa", "ti", "ul", "ve", "wi", "yo", "zu",
];
pub const EMOJI: [&str; 4] = ["🛠", "🦄", "🐙", "🌍"];
/// Hosts that share the identities.
pub const HOSTS: u64 = 2_000;

/// Writes a list of different names with their addresses.
pub fn write(folder: &Path, count: u32) -> PathBuf {
    let file = folder.join("names.tsv");
    let mut out = BufWriter::new(File::create(&file).expect("a file"));
    let mut random = Random::new(1);
    // Their hashes take less memory than the names.
    let mut seen: HashSet<u64> = HashSet::with_capacity(count as usize);
    while seen.len() < count as usize {
        let name = name(&mut random);
        if seen.insert(hash(&name)) {
            let (host, port) = (random.below(HOSTS), 20_000 + random.below(40_000));
            writeln!(out, "{name}\thost{host:04}.swarm.example:{port}").expect("a line");
        }
    }
    out.flush().expect("the rest");
    file
}

/// Every so many-th name of a list.
pub fn sample(list: &Path, count: usize) -> Vec<String> {
    let lines = || BufReader::new(File::open(list).expect("the list")).lines();
    let step = (lines().count() / count).max(1);
    let name = |line: std::io::Result<String>| {
        line.expect("a line").split('\t').next().expect("a name").to_owned()
    };
    lines().step_by(step).map(name).collect()
}

fn name(random: &mut Random) -> String {
    let mut name = String::new();
    for _ in 0..2 + random.below(5) {
        name.push_str(pick(random, &SYLLABLES));
    }
    if random.below(2) == 0 {
        name.push_str(&random.below(100_000).to_string());
    }
    if random.below(100) < 3 {
        name.push_str(pick(random, &EMOJI));
    }
    name
}

fn pick(random: &mut Random, all: &[&'static str]) -> &'static str {
    let at = random.below(all.len() as u64);
    all[usize::try_from(at).expect("a small number")]
}

fn hash(name: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
