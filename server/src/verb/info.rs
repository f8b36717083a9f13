//! `info` (the protocol's section 5.19).

use std::time::Duration;

use protocol::response::Answer;
use serde::Serialize;

use crate::enrol::Enrolment;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Brief<'a> {
    version: &'a str,
    uptime_as_millis: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Full<'a> {
    version: &'a str,
    uptime_as_words: String,
    #[serde(rename = "apkam_metadata", skip_serializing_if = "Option::is_none")]
    enrolment: Option<&'a Enrolment>,
}

/// Version and uptime.
pub(crate) fn run(version: &str, uptime: Duration, brief: bool) -> Answer {
    if !brief {
        return full(version, uptime, None);
    }
    let uptime_as_millis = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX);
    // A struct of texts and numbers always serialises.
    let json = serde_json::to_string(&Brief { version, uptime_as_millis });
    Answer::Data(json.unwrap_or_default())
}

/// The same in words, and the enrolment on which the connection stands, if any.
pub(crate) fn full(version: &str, uptime: Duration, enrolment: Option<&Enrolment>) -> Answer {
    let uptime_as_words = words(uptime.as_secs());
    let json = serde_json::to_string(&Full { version, uptime_as_words, enrolment });
    // A struct of texts and numbers always serialises.
    Answer::Data(json.unwrap_or_default())
}

/// Larger units only if they are not 0, and then all smaller ones.
fn words(seconds: u64) -> String {
    let units = [
        (seconds / 86_400, "days"),
        (seconds / 3_600 % 24, "hours"),
        (seconds / 60 % 60, "minutes"),
        (seconds % 60, "seconds"),
    ];
    let first = units.iter().position(|(count, _)| *count > 0).unwrap_or(units.len() - 1);
    let shown = units.iter().skip(first).map(|(count, unit)| format!("{count} {unit}"));
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s195_uptime_is_told_in_words_or_in_milliseconds() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (61, "1 minutes 1 seconds"),
            (3_723, "1 hours 2 minutes 3 seconds"),
            (86_400, "1 days 0 hours 0 minutes 0 seconds"),
        ] {
            assert_eq!(words(seconds), text);
        }
        let brief = run("3.0.52", Duration::from_millis(12_345), true);
        let json = r#"{"version":"3.0.52","uptimeAsMillis":12345}"#;
        assert_eq!(brief, Answer::Data(json.to_owned()));
        let full = run("3.0.52", Duration::from_secs(5), false);
        let json = r#"{"version":"3.0.52","uptimeAsWords":"5 seconds"}"#;
        assert_eq!(full, Answer::Data(json.to_owned()));
    }
}
