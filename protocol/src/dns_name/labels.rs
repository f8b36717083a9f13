//! The labels of one name.

use super::bootstring;
use super::text::Text;
use super::{NO_DIGITS, PIECE_BYTES_MAX, PIECES_MAX, is_plain};

/// Letters and digits of the longest encoded text.
const TEXT_BYTES_MAX: usize = PIECES_MAX * PIECE_BYTES_MAX;
/// The same with the dots between pieces and the mark.
const LABELS_BYTES_MAX: usize = TEXT_BYTES_MAX + PIECES_MAX - 1 + "u1-".len();

/// The labels of a name, with dots between them; made without an allocation.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a>(Written<'a>);

#[expect(clippy::large_enum_variant, reason = "it lives on the stack, while a name is written")]
#[derive(Debug, Clone, Copy)]
enum Written<'a> {
    Plain(&'a str),
    Coded(Text<LABELS_BYTES_MAX>),
}

impl<'a> Labels<'a> {
    /// The labels of this name, which stands without its `@`; none for a name so long that no DNS
    /// name could hold it, and for none at all.
    #[must_use]
    pub fn of(bare: &'a str) -> Option<Self> {
        match is_plain(bare) {
            true => Some(Self(Written::Plain(bare))),
            false if bare.is_empty() => None,
            false => coded(bare).map(|text| Self(Written::Coded(text))),
        }
    }

    /// As they are written in front of a zone.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Written::Plain(bare) => bare,
            Written::Coded(text) => text.as_str(),
        }
    }
}

fn coded(bare: &str) -> Option<Text<LABELS_BYTES_MAX>> {
    let mut text = Text::<TEXT_BYTES_MAX>::EMPTY;
    bootstring::encode(bare, &mut text)?;
    if text.as_str().is_empty() {
        text.push(NO_DIGITS)?;
    }
    if bare.chars().any(bootstring::is_basic) {
        text.push("-")?;
        bare.chars().filter(|c| bootstring::is_basic(*c)).try_for_each(|c| text.push_char(c))?;
    }
    let mut labels = Text::EMPTY;
    let (mut piece, mut rest) = cut(text.as_str());
    let mut count = 1;
    while !rest.is_empty() {
        labels.push(piece)?;
        labels.push(".")?;
        (piece, rest) = cut(rest);
        count += 1;
    }
    let mark = ["u1-", "u2-", "u3-", "u4-"].get(count - 1)?;
    labels.push(mark)?;
    labels.push(piece)?;
    Some(labels)
}

/// The first piece, which neither begins nor ends with the one hyphen of the text, and the rest.
fn cut(text: &str) -> (&str, &str) {
    if text.len() <= PIECE_BYTES_MAX {
        return (text, "");
    }
    let at = match text.find('-') {
        Some(at) if at == PIECE_BYTES_MAX || at + 1 == PIECE_BYTES_MAX => PIECE_BYTES_MAX - 2,
        _ => PIECE_BYTES_MAX,
    };
    text.split_at(at)
}
