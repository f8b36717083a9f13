//! What is ours: identities in cells, shared ones and those for one.

use std::fmt::Write as _;
use std::time::Instant;

use super::{DEDICATED, Runs, parallel, say};
use crate::lab::deploy::{SWARM, asks};
use crate::lab::error::Error;
use crate::lab::state::{Lab, write_whole};
use crate::lab::wait;

/// Longest that one command may take, and a registration of many.
const SECONDS_MAX: u64 = 120;
const MANY_SECONDS_MAX: u64 = 1_800;

/// Registrations of a file that are under way at once.
const AT_ONCE: &str = "32";

/// Ports of the cells for one: behind those of the deployment's.
const FIRST_PORT: u16 = 7_101;

/// Longest that cells may take to report what they did, and beyond their time to fall asleep.
const REPORT_SECONDS_MAX: u64 = 15;
const SLEEP_SECONDS_MAX: u64 = 60;

/// How many live in all cells, and what of them the cells' last reports say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Servers that are there.
    pub residents: u64,
    /// Those that are awake.
    pub awake: u64,
    /// Resident memory, as the cells say it.
    pub memory: u64,
}

/// Registers one after the other.
pub fn singly(lab: &Lab, count: u16) -> Result<Runs, Error> {
    say(&format!("{count} identities in cells, one after the other"));
    let start = Instant::now();
    let register = |number| {
        let start = Instant::now();
        let name = format!("@single{number}");
        asks(lab, SECONDS_MAX, &["identity", "register", &name, "--json"])?;
        Ok(start.elapsed().as_secs_f64())
    };
    let each = parallel::each(count, 1, register)?;
    Ok(Runs::new(each, start.elapsed().as_secs_f64()))
}

/// Registers many at once; returns how many a minute that makes.
#[allow(clippy::cast_precision_loss)]
pub fn many(lab: &Lab, count: u32) -> Result<f64, Error> {
    say(&format!("{count} identities in cells, {AT_ONCE} at once"));
    let file = lab.folder().join("names");
    let names = (0..count).fold(String::new(), |mut names, number| {
        // Writing into a string does not fail.
        let _ = writeln!(names, "@many{number}");
        names
    });
    write_whole(&file, &names)?;
    let file = file.to_string_lossy();
    let words = ["identity", "register", "--json", "--parallel", AT_ONCE, "--from", &file];
    let start = Instant::now();
    asks(lab, MANY_SECONDS_MAX, &words)?;
    Ok(f64::from(count) * 60.0 / start.elapsed().as_secs_f64())
}

/// Waits until the cells report that all of them are awake; where some sleep already, they are left
/// out.
pub fn wait_for_reports(lab: &Lab, registered: u64) -> Result<Counts, Error> {
    let what = format!("reports of {registered} identities");
    let start = Instant::now();
    wait::until(&what, 2 * REPORT_SECONDS_MAX, &lab.folder(), || {
        let counts = counts(lab)?;
        let is_over = start.elapsed().as_secs() >= REPORT_SECONDS_MAX;
        let is_there = counts.awake >= registered || is_over && counts.residents >= registered;
        Ok(is_there.then_some(counts))
    })
}

/// Waits until nobody is awake any more.
pub fn wait_for_sleep(lab: &Lab, sleep_after: u64) -> Result<Counts, Error> {
    wait::until("sleep", sleep_after + SLEEP_SECONDS_MAX, &lab.folder(), || {
        let counts = counts(lab)?;
        Ok((counts.awake == 0).then_some(counts))
    })
}

/// A cell each: from the wish for the cell to the answer of the identity in it.
pub fn dedicated(lab: &Lab, image: &str, count: u16, at_once: u16) -> Result<Runs, Error> {
    say(&format!("{count} identities that have a cell alone, {at_once} at once"));
    let start = Instant::now();
    let one = |number: u16| {
        let start = Instant::now();
        let port = FIRST_PORT.saturating_add(number).to_string();
        let words = ["cell", "create", "--swarm", SWARM, "--image", image, "--port", &port];
        let alone = ["--capacity", "1", "--memory", "128M", "--on", DEDICATED, "--wait"];
        asks(lab, SECONDS_MAX, &[&words[..], &alone].concat())?;
        let name = format!("@alone{number}");
        let words = ["identity", "register", &name, "--tier", "dedicated", "--json"];
        asks(lab, SECONDS_MAX, &words)?;
        Ok(start.elapsed().as_secs_f64())
    };
    let each = parallel::each(count, at_once, one)?;
    Ok(Runs::new(each, start.elapsed().as_secs_f64()))
}

fn counts(lab: &Lab) -> Result<Counts, Error> {
    let list = asks(lab, SECONDS_MAX, &["cell", "list", "--json"])?;
    let mut all = Counts::default();
    for line in list.lines() {
        let counted =
            parse(line).ok_or_else(|| Error::Shape(format!("a cell has not reported: {line}")))?;
        all.residents += counted.residents;
        all.awake += counted.awake;
        all.memory += counted.memory;
    }
    Ok(all)
}

/// By hand, for this program has no library for it: plain numbers with names of their own.
fn parse(line: &str) -> Option<Counts> {
    let (_, counts) = line.split_once("\"counts\":{")?;
    let (counts, _) = counts.split_once('}')?;
    let number = |name: &str| {
        let (_, rest) = counts.split_once(&format!("\"{name}\":"))?;
        rest.split(',').next()?.trim().parse().ok()
    };
    Some(Counts {
        residents: number("residents")?,
        awake: number("awake")?,
        memory: number("memory_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cell_uses_is_not_taken_for_what_it_may_use() {
        let line = r#"{"memory_bytes":9,"counts":{"residents":5,"awake":2,"connections":0,"memory_bytes":7,"fenced":0}}"#;
        let counts = parse(line).map(|counts| (counts.residents, counts.awake, counts.memory));
        assert_eq!(counts, Some((5, 2, 7)));
        assert!(parse(r#"{"memory_bytes":9,"counts":null}"#).is_none());
    }
}
