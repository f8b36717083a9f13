//! Short ASCII text on the stack: who is asked for an address allocates nothing.

/// At most `N` ASCII characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    pub(super) const EMPTY: Self = Self { bytes: [0; N], length: 0 };

    /// Appends; none where there is no room, or where it is not ASCII.
    pub(super) fn push(&mut self, text: &str) -> Option<()> {
        let end = self.length.checked_add(text.len())?;
        let room = self.bytes.get_mut(self.length..end).filter(|_| text.is_ascii())?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Some(())
    }

    pub(super) fn push_char(&mut self, c: char) -> Option<()> {
        self.push(c.encode_utf8(&mut [0; 4]))
    }

    pub(super) fn as_str(&self) -> &str {
        let text = self.bytes.get(..self.length).and_then(|text| str::from_utf8(text).ok());
        text.unwrap_or_default()
    }
}
