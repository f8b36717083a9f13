//! Amounts as people type them: `512M` of memory, `1.5` processors, `zone=a`.

/// Reads `512M`, `2G` or a plain number of bytes; units are powers of 1024.
pub fn memory(text: &str) -> Result<u64, String> {
    let bad =
        || "memory is a number of bytes, with K, M or G behind it if you like: 512M".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..).unwrap_or_default() {
        "" | "B" => 0,
        "K" | "KiB" | "k" => 10,
        "M" | "MiB" | "m" => 20,
        "G" | "GiB" | "g" => 30,
        _ => return Err(bad()),
    };
    let number: u64 = plain(digits).ok_or_else(bad)?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(bad)
}

/// Reads processors as a decimal number, and gives thousandths of one.
pub fn cpus(text: &str) -> Result<u32, String> {
    let bad =
        || "processors are a number with at most three digits behind the point: 1.5".to_owned();
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if part.is_empty() || part.len() > 3 {
        return Err(bad());
    }
    let whole: u32 = plain(whole).ok_or_else(bad)?;
    let part: u32 = plain(&format!("{part:0<3}")).ok_or_else(bad)?;
    let millis = whole.checked_mul(1_000).and_then(|millis| millis.checked_add(part));
    millis.filter(|millis| *millis > 0).ok_or_else(bad)
}

/// Reads a label and its value.
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("a label is NAME=VALUE, such as zone=a".to_owned()),
    }
}

/// Digits and nothing else.
fn plain<T: std::str::FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn amounts_are_read_as_people_mean_them() {
        assert_eq!(memory("512M"), Ok(512 << 20));
        assert_eq!(memory("2GiB"), Ok(2 << 30));
        assert_eq!(memory("1000"), Ok(1_000));
        for bad in ["", "M", "0", "-1", "1.5G", "1T", "1 G", "+1", "18446744073709551615K", "5µ"] {
            assert!(memory(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            ["1", "1.5", "0.25", "2.125"].map(|text| cpus(text).unwrap()),
            [1_000, 1_500, 250, 2_125]
        );
        for bad in ["", "0", "0.000", ".5", "1.", "1.2345", "-1", "+1", "1,5", "4294968"] {
            assert!(cpus(bad).is_err(), "{bad:?}");
        }
        assert_eq!(label("zone=a=b"), Ok(("zone".into(), "a=b".into())));
        for bad in ["", "zone", "=a", "zone="] {
            assert!(label(bad).is_err(), "{bad:?}");
        }
    }
}
