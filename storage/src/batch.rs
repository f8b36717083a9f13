//! A batch: changes that become durable together or not at all.

use std::fmt;

use crate::format::{Op, Ops, push_op};
use crate::limits::{BATCH_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// Changes that become durable together or not at all. A later change of a key counts.
#[derive(Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    ops: u32,
    refused: Option<BatchError>,
}

/// Why a store does not take a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A key is empty or too long.
    #[error("a key has 1 to {KEY_BYTES_MAX} bytes, this one has {0}")]
    Key(usize),
    /// A value is too large.
    #[error("a value has at most {VALUE_BYTES_MAX} bytes, this one has {0}")]
    Value(usize),
    /// The batch as a whole is too large.
    #[error("a batch has at most {BATCH_BYTES_MAX} bytes")]
    Whole,
}

impl Batch {
    /// A batch without changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The key has this value from now on. What exceeds a limit is not taken up; the store refuses
    /// the whole batch then.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> &mut Self {
        self.push(key, Op::Put { key, value }, value.len())
    }

    /// The key has no value from now on.
    pub fn delete(&mut self, key: &[u8]) -> &mut Self {
        self.push(key, Op::Delete { key }, 0)
    }

    fn push(&mut self, key: &[u8], op: Op<'_>, value_bytes: usize) -> &mut Self {
        const OP_OVERHEAD_BYTES: usize = 7;
        let total = self.bytes.len() + key.len() + value_bytes + OP_OVERHEAD_BYTES;
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            self.refused.get_or_insert(BatchError::Key(key.len()));
        } else if value_bytes > VALUE_BYTES_MAX {
            self.refused.get_or_insert(BatchError::Value(value_bytes));
        } else if total > BATCH_BYTES_MAX {
            self.refused.get_or_insert(BatchError::Whole);
        } else {
            push_op(&mut self.bytes, op);
            self.ops += 1;
        }
        self
    }

    /// How many changes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops as usize
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops == 0 && self.refused.is_none()
    }

    pub(crate) fn check(&self) -> Result<(), BatchError> {
        self.refused.map_or(Ok(()), Err)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn ops(&self) -> impl Iterator<Item = Op<'_>> {
        Ops::new(&self.bytes).filter_map(Result::ok)
    }
}

/// Never what is in it.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} changes, {} bytes)", self.ops, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_a_limit_is_not_copied_and_remembered() {
        let mut batch = Batch::new();
        batch.put(b"", b"v");
        assert_eq!(batch.check(), Err(BatchError::Key(0)));
        assert!(!batch.is_empty(), "an empty batch would be taken for a success");

        let mut batch = Batch::new();
        batch.delete(&[b'k'; KEY_BYTES_MAX + 1]);
        assert_eq!(batch.check(), Err(BatchError::Key(KEY_BYTES_MAX + 1)));

        let mut batch = Batch::new();
        let large = vec![0; VALUE_BYTES_MAX];
        batch.put(b"k", &large).put(b"l", &large);
        assert_eq!(batch.check(), Err(BatchError::Whole));
        assert!(batch.bytes().len() < 2 * VALUE_BYTES_MAX);
    }

    #[test]
    fn a_batch_does_not_show_what_is_in_it() {
        let mut batch = Batch::new();
        batch.put(b"secret", b"value");
        assert_eq!(format!("{batch:?}"), "Batch(1 changes, 18 bytes)");
    }
}
