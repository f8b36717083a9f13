//! The identity that a path names: `/v1/identities/{name}` and what may lie below it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use protocol::AtSign;

use super::problem::Problem;

/// Where the name stands among the parts of a path; before the first slash is an empty one.
const PART: usize = 3;

/// The name in a request's path.
pub(super) struct Name(pub(super) AtSign);

impl<S: Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = parts.uri.path().split('/').nth(PART).unwrap_or_default();
        let text = decode(text).ok_or_else(|| {
            Problem::bad_path(
                "a % is not followed by two hexadecimal digits, or the bytes are not UTF-8",
            )
        })?;
        Ok(Self(AtSign::parse(&text)?))
    }
}

/// Undoes percent-encoding (RFC 3986, section 2.1). A lone `%` could stand for itself or be a
/// mistake, so it is refused rather than looked up.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_had_back(text: String) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(decode(&encoded), Some(text));
        }

        #[test]
        fn any_text_is_decoded_or_refused_and_never_grows(text in "[%a-f0-9🛠]{0,20}") {
            prop_assert!(decode(&text).is_none_or(|decoded| decoded.len() <= text.len()));
        }
    }

    #[test]
    fn only_whole_escapes_of_utf8_are_decoded() {
        for (text, decoded) in [
            ("alice", Some("alice")),
            ("%40alice", Some("@alice")),
            ("%F0%9f%9B%a0", Some("🛠")),
            ("🛠", Some("🛠")),
            ("%2500", Some("%00")),
            ("a+b", Some("a+b")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%+1", None),
            ("%4%30", None),
            ("%ff", None),
            ("%F0%9F", None),
        ] {
            assert_eq!(decode(text).as_deref(), decoded, "{text}");
        }
    }
}
