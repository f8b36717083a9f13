//! Passcodes, with which an app that nobody knows may ask to be enrolled (the protocol's section
//! 4.6): drawn ones are good once, the one that the owner sets is good until she sets another.

use protocol::{AtSign, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::{Choice, ConstantTimeEq};

use super::record::until;
use crate::draft::Draft;
use crate::keys::{self, PASSCODE};
use crate::limits::{PASSCODE_MILLIS, PASSCODES_MAX};
use crate::records::Change;
use crate::refusal::Refusal;
use crate::view::View;

/// What a drawn one is made of: neither `0` nor `O`, which look alike.
const ALPHABET: &[u8; 34] = b"ABCDEFGHIJKLMNPQRSTUVWXYZ123456789";
const CHARS: usize = 6;
/// The name of the one that the owner sets.
const PERMANENT: &str = "spp";

/// Draws a passcode with at least one digit; none if there is no randomness.
pub(crate) fn draw() -> Option<String> {
    let random = SystemRandom::new();
    loop {
        let mut code = String::with_capacity(CHARS);
        while code.len() < CHARS {
            let mut byte = [0];
            random.fill(&mut byte).ok()?;
            code.extend(character(byte[0]));
        }
        if code.bytes().any(|b| b.is_ascii_digit()) {
            return Some(code);
        }
    }
}

/// Each character as often as any other: the bytes that are left over are thrown away.
fn character(byte: u8) -> Option<char> {
    let count = ALPHABET.len();
    let byte = usize::from(byte);
    let is_fair = byte < 256 / count * count;
    is_fair.then(|| ALPHABET.get(byte % count).copied().map(char::from)).flatten()
}

/// Keeps a drawn one; false if too many wait to be used.
pub(crate) fn keep_drawn(
    draft: &mut Draft<'_>,
    code: &str,
    ttl: Option<i64>,
) -> Result<bool, Refusal> {
    if all(&mut draft.view, draft.identity, draft.now)?.len() >= PASSCODES_MAX {
        return Ok(false);
    }
    let code = code.to_ascii_lowercase();
    let key = keys::passcode(&code, draft.identity)?;
    let ends = draft.now.plus_millis(ttl.unwrap_or(PASSCODE_MILLIS));
    let metadata = until(draft, Some(ends));
    draft.put(&key, Change::Value, metadata, Some(code))?;
    Ok(true)
}

/// Sets the one that is good again and again.
pub(crate) fn set(draft: &mut Draft<'_>, code: String, ttl: Option<i64>) -> Result<(), Refusal> {
    let key = keys::passcode(PERMANENT, draft.identity)?;
    let metadata = until(draft, ttl.map(|ttl| draft.now.plus_millis(ttl)));
    draft.put(&key, Change::Value, metadata, Some(code)).map(|_| ())
}

/// Whether this is a passcode. A drawn one is none any more after that.
pub(crate) fn spend(draft: &mut Draft<'_>, sent: &str) -> Result<bool, Refusal> {
    let sent = sent.to_ascii_lowercase();
    let mut is_good = Choice::from(0);
    let mut spent = None;
    // All are compared, each in a time that does not tell where it differs.
    for (name, code) in all(&mut draft.view, draft.identity, draft.now)? {
        let is_it = code.as_bytes().ct_eq(sent.as_bytes());
        is_good |= is_it;
        if bool::from(is_it) {
            spent = Some(name);
        }
    }
    let permanent = keys::passcode(PERMANENT, draft.identity)?;
    if let Some(name) = spent.filter(|name| *name != permanent.as_str()) {
        draft.delete(&keys::parse(&name)?)?;
    }
    Ok(is_good.into())
}

/// The names and codes of all that are good now.
fn all(
    view: &mut View<'_>,
    owner: &AtSign,
    now: Timestamp,
) -> Result<Vec<(String, String)>, Refusal> {
    let end = format!("{PASSCODE}{owner}");
    let mut all = Vec::new();
    for name in view.names("private:", now)? {
        if !name.ends_with(&end) {
            continue;
        }
        if let Some(code) = view.value(&name, now)? {
            all.push((name, code));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn s197_a_drawn_passcode_has_six_characters_of_the_alphabet_and_a_digit() {
        for _ in 0..2_000 {
            let code = draw().unwrap();
            assert_eq!(code.len(), CHARS, "{code}");
            assert!(code.bytes().all(|b| ALPHABET.contains(&b)), "{code}");
            assert!(code.bytes().any(|b| b.is_ascii_digit()), "{code}");
        }
    }

    #[test]
    fn every_character_is_drawn_as_often_as_any_other() {
        let drawn: Vec<char> = (0..=u8::MAX).filter_map(character).collect();
        assert_eq!(drawn.len(), 7 * ALPHABET.len());
        for c in ALPHABET {
            assert_eq!(drawn.iter().filter(|d| **d == char::from(*c)).count(), 7);
        }
    }
}
