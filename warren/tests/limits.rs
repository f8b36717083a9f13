//! `docs/limits.md` lists every limit as the code has it. After a change of one:
//! `WARREN_BLESS=1 cargo nextest run -p warren --test limits`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

const CRATES: [&str; 8] = [
    "protocol",
    "server",
    "server-host",
    "swarm-router",
    "net",
    "storage",
    "directory",
    "registrar",
];

/// Behind this line of the document, everything is made from the code.
const MARK: &str = "<!-- From here on made from the code; see warren/tests/limits.rs. -->\n";

/// A limit: its name, its value as the code writes it, and what its comment says.
struct Limit {
    name: String,
    value: String,
    meaning: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The constants of a source, and the fields of `Default` with the comments of their declarations.
fn limits_of(source: &str) -> Vec<Limit> {
    let (mut limits, mut comment, mut comments) = (Vec::new(), Vec::new(), Vec::new());
    let source = source.split("#[cfg(test)]").next().unwrap();
    let mut lines = source.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.trim().to_owned());
            continue;
        }
        let mut whole = line.to_owned();
        let constant = line.trim_start_matches("pub").trim_start_matches("(crate)").trim_start();
        if let Some(constant) = constant.strip_prefix("const ").filter(|c| !c.starts_with('_')) {
            while !whole.ends_with(';') {
                whole.push_str(lines.next().unwrap());
            }
            let (_, value) = whole.split_once('=').unwrap();
            let name = constant.split(':').next().unwrap().to_owned();
            let value = value.trim().trim_end_matches(';').to_owned();
            limits.push(Limit { name, value, meaning: comment.join(" ") });
        } else if let Some((name, kind)) = line.split_once(": ") {
            let name = name.trim_start_matches("pub ").to_owned();
            if line.starts_with("pub ") && kind.ends_with(',') {
                comments.push((name, comment.join(" ")));
            } else if let Some((_, meaning)) = comments.iter().find(|(known, _)| *known == name) {
                let value = kind.trim_end_matches(',').to_owned();
                limits.push(Limit { name, value, meaning: meaning.clone() });
            }
        }
        comment.clear();
    }
    limits
}

/// A value as people write it, if it is a number or a time; otherwise as the code has it.
fn in_words(value: &str) -> String {
    let inner = |name| value.strip_prefix(name).and_then(|rest: &str| rest.strip_suffix(')'));
    if let Some(seconds) = inner("Duration::from_secs(").and_then(number) {
        return format!("{seconds} s");
    }
    if let Some(millis) = inner("Duration::from_millis(").and_then(number) {
        return if millis % 1000 == 0 {
            format!("{} s", millis / 1000)
        } else {
            format!("{millis} ms")
        };
    }
    if let Some(rate) = value.strip_prefix("Rate {") {
        return rate.trim_end_matches('}').trim().replace('_', "").replace("persecond", "a second");
    }
    let is_binary = value.contains("<<") || value.contains("1024");
    match number(value) {
        Some(number) if !is_binary => number.to_string(),
        Some(bytes) if bytes >= 1 << 20 && bytes % (1 << 20) == 0 => format!("{} Mi", bytes >> 20),
        Some(bytes) if bytes >= 1 << 12 && bytes % (1 << 10) == 0 => format!("{} Ki", bytes >> 10),
        Some(number) => number.to_string(),
        None => value.to_owned(),
    }
}

/// Differences, products and shifts of numbers.
fn number(text: &str) -> Option<u64> {
    if let Some((left, right)) = text.rsplit_once(" - ") {
        return number(left)?.checked_sub(number(right)?);
    }
    let text = text.trim().trim_start_matches('(').trim_end_matches(')');
    if let Some((left, right)) = text.split_once("<<") {
        return number(left)?.checked_shl(u32::try_from(number(right)?).ok()?);
    }
    let mut product: u64 = 1;
    for factor in text.split('*') {
        product = product.checked_mul(factor.trim().replace('_', "").parse().ok()?)?;
    }
    Some(product)
}

fn made_from_the_code() -> String {
    let mut text = String::new();
    for name in CRATES {
        let source = std::fs::read_to_string(root().join(name).join("src/limits.rs")).unwrap();
        let limits = limits_of(&source);
        assert!(!limits.is_empty(), "{name} has no limits");
        write!(text, "\n## {name}\n\n| limit | value | what it bounds |\n| --- | --- | --- |\n")
            .unwrap();
        for Limit { name, value, meaning } in limits {
            assert!(!meaning.is_empty(), "{name} says nothing of itself");
            let meaning = meaning.replace('|', "\\|");
            writeln!(text, "| `{name}` | {} | {meaning} |", in_words(&value)).unwrap();
        }
    }
    text
}

#[test]
fn the_table_of_limits_says_what_the_code_does() {
    let path = root().join("docs/limits.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, table) = document.split_once(MARK).expect("the mark stands in the document");
    let made = made_from_the_code();
    if std::env::var_os("WARREN_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{MARK}{made}")).unwrap();
        return;
    }
    let first = table.lines().zip(made.lines()).find(|(written, made)| written != made);
    assert!(table == made, "docs/limits.md is not up to date, first: {first:#?}");
}

#[test]
fn values_are_read_as_the_compiler_reads_them() {
    for (value, expected) in [
        ("10_240_000", "10240000"),
        ("16 * 1024", "16 Ki"),
        ("96 << 20", "96 Mi"),
        ("30 * 24 * 3_600_000", "2592000000"),
        ("Duration::from_secs(24 * 3600)", "86400 s"),
        ("Duration::from_millis(2_592_000_000)", "2592000 s"),
        ("Duration::from_millis(50)", "50 ms"),
        ("(2 << 30) - 1", "2147483647"),
        ("Rate { burst: 1_000, per_second: 200 }", "burst: 1000, a second: 200"),
    ] {
        assert_eq!(in_words(value), expected, "{value}");
    }
}
