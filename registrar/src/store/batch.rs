//! What is written together.

use std::collections::BTreeMap;

/// Keys and their new values; none where the record goes. Of two words about one key the later
/// counts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Batch(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Batch {
    /// The record under `key` becomes this.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key, Some(value));
    }

    /// The record under `key` goes.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.0.insert(key, None);
    }

    /// Puts what is in `later` behind what is here.
    pub fn append(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// In the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_words_about_one_key_the_later_counts() {
        let (mut first, mut later) = (Batch::default(), Batch::default());
        first.put(b"a".to_vec(), b"1".to_vec());
        first.put(b"b".to_vec(), b"1".to_vec());
        later.delete(b"a".to_vec());
        later.put(b"c".to_vec(), b"2".to_vec());
        first.append(later);
        let all: Vec<_> = first.iter().collect();
        let expected: [(&[u8], Option<&[u8]>); 3] =
            [(b"a", None), (b"b", Some(b"1")), (b"c", Some(b"2"))];
        assert_eq!(all, expected);
    }
}
