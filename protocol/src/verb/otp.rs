//! `otp:get[:ttl:<ms>]`, `otp:put:<code>[:ttl:<ms>]` (protocol notes 4.6).

use super::{VerbError, grammar};
use crate::limits::PASSCODE_BYTES_MAX;

const HINT: &str = "e.g. otp:get or otp:put:<6 or more letters and digits>:ttl:<milliseconds>";

/// Shortest passcode that an owner may choose, in characters.
const CHARS_MIN: usize = 6;

/// Passcodes, with which a further device may ask to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Otp {
    /// Draws one that is good once.
    Get {
        /// For how many milliseconds.
        ttl: Option<i64>,
    },
    /// Sets the one that is good again and again.
    Put {
        /// It, in lower case: passcodes are compared so.
        code: String,
        /// For how many milliseconds.
        ttl: Option<i64>,
    },
}

impl Otp {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let (word, rest) = args.split_once(':').unwrap_or((args, ""));
        match word.to_ascii_lowercase().as_str() {
            "get" => Ok(Self::Get { ttl: ttl(rest)? }),
            "put" => {
                let (code, rest) = rest.split_once(':').unwrap_or((rest, ""));
                Ok(Self::Put { code: passcode(code)?, ttl: ttl(rest)? })
            }
            _ => Err(VerbError::Syntax { hint: HINT }),
        }
    }
}

fn passcode(code: &str) -> Result<String, VerbError> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let is_good = (CHARS_MIN..=PASSCODE_BYTES_MAX).contains(&code.len());
    if is_good && code.bytes().all(is_word) {
        Ok(code.to_ascii_lowercase())
    } else {
        Err(VerbError::Syntax { hint: HINT })
    }
}

/// 0 is as good as nothing.
fn ttl(text: &str) -> Result<Option<i64>, VerbError> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = grammar::strip_word(text, "ttl").unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let millis = is_number.then(|| digits.parse::<i64>().ok()).flatten();
    millis.map(|millis| Some(millis).filter(|m| *m > 0)).ok_or(VerbError::Syntax { hint: HINT })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passcodes_are_drawn_or_set_for_a_time() {
        let put = |code: &str, ttl| Some(Otp::Put { code: code.to_owned(), ttl });
        for (args, otp) in [
            ("get", Some(Otp::Get { ttl: None })),
            ("GET", Some(Otp::Get { ttl: None })),
            ("get:ttl:500", Some(Otp::Get { ttl: Some(500) })),
            ("get:ttl:0", Some(Otp::Get { ttl: None })),
            ("put:Abc_12", put("abc_12", None)),
            ("put:abcdef:TTL:7", put("abcdef", Some(7))),
            ("put:abcde", None),
            ("put:abcd-f", None),
            ("put:äbcdef", None),
            ("put", None),
            ("put::ttl:7", None),
            ("get:ttl:", None),
            ("get:ttl:-1", None),
            ("get:ttl:99999999999999999999", None),
            ("get:abcdef", None),
            ("take", None),
            ("", None),
        ] {
            assert_eq!(Otp::parse(args).ok(), otp, "{args}");
        }
        assert!(Otp::parse(&format!("put:{}", "a".repeat(PASSCODE_BYTES_MAX + 1))).is_err());
    }
}
