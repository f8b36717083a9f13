//! Bootstring (RFC 3492, sections 3 and 6) with the numbers of Punycode but for two: only small
//! letters and digits are basic, and the others begin at the blank, below all that a name may hold.

use super::text::Text;

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 0x20;

/// Whether a character stands for itself.
pub(super) fn is_basic(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Writes the digits that put all characters that are not basic in their places; none for a text
/// whose numbers run over, or whose digits have no room.
pub(super) fn encode<const N: usize>(text: &str, digits: &mut Text<N>) -> Option<()> {
    let (mut n, mut delta, mut bias) = (INITIAL_N, 0_u32, INITIAL_BIAS);
    let basic_len = u32::try_from(text.chars().filter(|c| is_basic(*c)).count()).ok()?;
    let mut handled = basic_len;
    let others = || text.chars().filter(|c| !is_basic(*c)).map(u32::from);
    while let Some(next) = others().filter(|code| *code >= n).min() {
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for c in text.chars() {
            let code = u32::from(c);
            if is_basic(c) || code < n {
                delta = delta.checked_add(1)?;
            } else if code == n {
                write(digits, delta, bias)?;
                bias = adapt(delta, handled + 1, handled == basic_len);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(())
}

/// Puts the characters that the digits tell of between the basic ones; none if they tell of
/// characters that there are not, or end within a number.
pub(super) fn decode(digits: &str, basic: &str) -> Option<String> {
    if !basic.chars().all(is_basic) {
        return None;
    }
    let mut text: Vec<char> = basic.chars().collect();
    let (mut n, mut at, mut bias) = (INITIAL_N, 0_u32, INITIAL_BIAS);
    let mut digits = digits.bytes();
    let mut is_first = true;
    while let Some(delta) = read(&mut digits, bias)? {
        let len = u32::try_from(text.len()).ok()?.checked_add(1)?;
        at = at.checked_add(delta)?;
        n = n.checked_add(at / len)?;
        at %= len;
        let c = char::from_u32(n).filter(|c| !is_basic(*c))?;
        text.insert(usize::try_from(at).ok()?, c);
        bias = adapt(delta, len, is_first);
        is_first = false;
        at += 1;
    }
    Some(text.into_iter().collect())
}

/// Appends a number, its lowest digit first; the last digit is the first below its threshold.
fn write<const N: usize>(digits: &mut Text<N>, mut number: u32, bias: u32) -> Option<()> {
    let mut k = BASE;
    loop {
        let t = threshold(k, bias);
        if number < t {
            return digits.push_char(digit(number));
        }
        digits.push_char(digit(t + (number - t) % (BASE - t)))?;
        number = (number - t) / (BASE - t);
        k += BASE;
    }
}

/// The next number; `Some(None)` at the end of the digits.
#[allow(clippy::option_option)]
fn read(digits: &mut impl Iterator<Item = u8>, bias: u32) -> Option<Option<u32>> {
    let (mut number, mut weight, mut k) = (0_u32, 1_u32, BASE);
    loop {
        let Some(byte) = digits.next() else {
            return (k == BASE).then_some(None);
        };
        let value = value(byte)?;
        number = number.checked_add(value.checked_mul(weight)?)?;
        let t = threshold(k, bias);
        if value < t {
            return Some(Some(number));
        }
        weight = weight.checked_mul(BASE - t)?;
        k += BASE;
    }
}

fn threshold(k: u32, bias: u32) -> u32 {
    k.saturating_sub(bias).clamp(T_MIN, T_MAX)
}

fn adapt(delta: u32, count: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / DAMP } else { delta / 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > ((BASE - T_MIN) * T_MAX) / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

fn digit(value: u32) -> char {
    match u8::try_from(value) {
        Ok(letter @ 0..26) => char::from(b'a' + letter),
        Ok(number @ 26..36) => char::from(b'0' + (number - 26)),
        _ => '-',
    }
}

fn value(digit: u8) -> Option<u32> {
    match digit {
        b'a'..=b'z' => Some(u32::from(digit - b'a')),
        b'0'..=b'9' => Some(u32::from(digit - b'0') + 26),
        _ => None,
    }
}
