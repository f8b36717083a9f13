//! Tables that people read on a terminal of eighty columns.

use std::fmt::Display;

use comfy_table::{CellAlignment, Table, presets};

use crate::failure::Failure;
use crate::output;

/// Prints rows below their headings, which programs that read a pipe do not get. Columns whose
/// heading ends with a blank are numbers.
pub fn print<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings.map(str::trim_end));
    for row in rows {
        table.add_row(row.map(|text| plain(&text)));
    }
    for (column, heading) in table.column_iter_mut().zip(headings) {
        if heading.ends_with(' ') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    let skipped = usize::from(!output::is_terminal());
    text.lines()
        .skip(skipped)
        .try_for_each(|line| output::line(line.strip_prefix(' ').unwrap_or(line).trim_end()))
}

/// Prints a name and what it is, one below the other.
pub fn fact(name: &str, value: impl Display) -> Result<(), Failure> {
    output::line(format_args!("{name:<14} {}", plain(&value.to_string())))
}

/// What machines say of themselves may not steer a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// At most `length` characters, of which the last one says that there were more.
pub fn short(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    text.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}

/// The end of a text that is longer than `length`: of an image, its name and version.
pub fn tail(text: &str, length: usize) -> String {
    let count = text.chars().count();
    if count <= length {
        return text.to_owned();
    }
    ['…'].into_iter().chain(text.chars().skip(count + 1 - length)).collect()
}

/// How long ago something was, in its largest unit.
pub fn age(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Bytes in the largest unit that has a whole number of them.
pub fn bytes(count: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units
        .into_iter()
        .find(|(size, _)| count >= 10 * size || (count >= *size && count.is_multiple_of(*size)));
    unit.map_or_else(|| format!("{count} B"), |(size, unit)| format!("{} {unit}", count / size))
}

/// Labels as they are typed.
pub fn labels<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let pairs = pairs.into_iter().map(|(name, value)| format!("{name}={value}"));
    let text = pairs.collect::<Vec<_>>().join(" ");
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_shortened_where_it_says_least() {
        assert_eq!((short("abcdef", 4), short("abcd", 4)), ("abc…".into(), "abcd".into()));
        assert_eq!(tail("registry.example.org/warren:1.2", 12), "…/warren:1.2");
        assert_eq!(tail("warren:1.2", 12), "warren:1.2");
    }

    #[test]
    fn nothing_in_a_table_steers_a_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\n\u{9b}c"), "a?[2Jb??c");
    }

    #[test]
    fn times_and_sizes_have_one_unit() {
        let ages = [0, 119_999, 120_000, 7_200_000, 172_800_000].map(age);
        assert_eq!(ages, ["0 s", "119 s", "2 min", "2 h", "2 d"]);
        let sizes = [5, 1 << 10, 512 << 20, (1 << 30) + 5, 3 << 30, 11 << 30].map(bytes);
        assert_eq!(sizes, ["5 B", "1 KiB", "512 MiB", "1024 MiB", "3 GiB", "11 GiB"]);
    }
}
