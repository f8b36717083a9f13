//! The latest word about each thing, numbered in the order in which the words came. Pure.
//!
//! A follower that knows all words up to a number gets the later ones; one that might have missed a
//! word that is no longer kept gets the whole.

use std::collections::{BTreeMap, BTreeSet};

/// Words about things with names `K`. Only the latest about each is kept, and of those that end a
/// thing only so many.
pub struct Latest<K, W> {
    newest: u64,
    /// Who knows less than this may have missed a word that is gone.
    floor: u64,
    words: BTreeMap<K, (u64, W)>,
    order: BTreeMap<u64, K>,
    /// Numbers of words that end a thing: who begins anew needs none of them.
    ends: BTreeSet<u64>,
    ends_max: usize,
}

/// What a follower gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<W> {
    /// Where it stands then.
    pub upto: u64,
    /// Whether this is all there is.
    pub is_whole: bool,
    /// In the order in which they came; of a whole in the order of their names.
    pub words: Vec<W>,
}

impl<K: Ord + Copy, W: Clone> Latest<K, W> {
    /// No words; of those that end a thing at most `ends_max` are kept.
    pub fn new(ends_max: usize) -> Self {
        let (words, order, ends) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { newest: 0, floor: 0, words, order, ends, ends_max }
    }

    /// Number of the newest word.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// The latest word about each thing, in the order of their names.
    pub fn words(&self) -> impl Iterator<Item = &W> {
        self.words.values().map(|(_, word)| word)
    }

    /// The latest word about a thing.
    pub fn get(&self, key: K) -> Option<&W> {
        self.words.get(&key).map(|(_, word)| word)
    }

    /// The next word about a thing.
    pub fn say(&mut self, key: K, word: W) {
        self.newest += 1;
        if let Some((before, _)) = self.words.insert(key, (self.newest, word)) {
            self.order.remove(&before);
            self.ends.remove(&before);
        }
        self.order.insert(self.newest, key);
    }

    /// A word after which there is nothing to say about a thing.
    pub fn end(&mut self, key: K, word: W) {
        self.say(key, word);
        self.ends.insert(self.newest);
        if self.ends.len() > self.ends_max
            && let Some(oldest) = self.ends.first().copied()
            && let Some(key) = self.order.get(&oldest).copied()
        {
            self.forget(key);
        }
    }

    /// The same word in other terms: whoever knows it needs not hear of it.
    pub fn amend(&mut self, key: K, word: W) {
        if let Some((_, old)) = self.words.get_mut(&key) {
            *old = word;
        }
    }

    /// Nothing was ever said about this thing. Who has not heard it takes the whole.
    pub fn forget(&mut self, key: K) {
        if let Some((number, _)) = self.words.remove(&key) {
            self.order.remove(&number);
            self.ends.remove(&number);
            self.floor = self.floor.max(number);
        }
    }

    /// Something changed that is told in full each time.
    pub fn touch(&mut self) {
        self.newest += 1;
    }

    /// Whether there is nothing that a follower at `number` does not know.
    pub fn is_known(&self, number: Option<u64>) -> bool {
        number == Some(self.newest)
    }

    /// What a follower gets that knows all up to `number`, at most `max` words unless it needs all.
    pub fn after(&self, number: Option<u64>, max: usize) -> Part<W> {
        match number.filter(|number| (self.floor..=self.newest).contains(number)) {
            Some(number) => self.later(number, max),
            None => self.whole(),
        }
    }

    fn later(&self, number: u64, max: usize) -> Part<W> {
        let mut later = self.order.range(number + 1..);
        let mut upto = number;
        let mut words = Vec::new();
        for (number, key) in later.by_ref().take(max) {
            upto = *number;
            words.extend(self.get(*key).cloned());
        }
        if later.next().is_none() {
            upto = self.newest;
        }
        Part { upto, is_whole: false, words }
    }

    fn whole(&self) -> Part<W> {
        let lasting = self.words.values().filter(|(number, _)| !self.ends.contains(number));
        let words = lasting.map(|(_, word)| word.clone()).collect();
        Part { upto: self.newest, is_whole: true, words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(upto: u64, is_whole: bool, words: &[&'static str]) -> Part<&'static str> {
        Part { upto, is_whole, words: words.to_vec() }
    }

    #[test]
    fn a_follower_gets_the_latest_words_in_order_and_no_more_than_it_can_take() {
        let mut log = Latest::new(10);
        for (key, word) in [(1, "a"), (2, "b"), (1, "c"), (3, "d")] {
            log.say(key, word);
        }
        assert_eq!(log.after(Some(0), 9), part(4, false, &["b", "c", "d"]));
        assert_eq!(log.after(Some(2), 1), part(3, false, &["c"]));
        assert_eq!(log.after(Some(4), 9), part(4, false, &[]));
        log.touch();
        assert_eq!(log.after(Some(4), 9), part(5, false, &[]));
        assert!(log.is_known(Some(5)) && !log.is_known(Some(4)) && !log.is_known(None));
    }

    #[test]
    fn who_is_new_or_ahead_gets_the_whole_without_what_has_ended() {
        let mut log = Latest::new(10);
        log.say(2, "b");
        log.say(1, "a");
        log.end(2, "gone");
        assert_eq!(log.after(None, 1), part(3, true, &["a"]));
        assert_eq!(log.after(Some(4), 9), part(3, true, &["a"]));
        assert_eq!(log.after(Some(0), 9), part(3, false, &["a", "gone"]));
    }

    #[test]
    fn who_may_have_missed_an_end_that_is_forgotten_gets_the_whole() {
        let mut log = Latest::new(1);
        log.end(1, "gone 1");
        assert_eq!(log.after(Some(0), 9), part(1, false, &["gone 1"]));
        log.end(2, "gone 2");
        assert_eq!(log.after(Some(0), 9), part(2, true, &[]));
        assert_eq!(log.after(Some(1), 9), part(2, false, &["gone 2"]));
        assert_eq!(log.words.len(), 1);
        log.say(2, "back");
        log.end(3, "gone 3");
        assert_eq!(log.after(Some(1), 9), part(4, false, &["back", "gone 3"]));
    }

    #[test]
    fn an_amended_word_is_not_told_again() {
        let mut log = Latest::new(10);
        log.say(1, "make");
        log.amend(1, "keep");
        assert_eq!(log.after(Some(1), 9), part(1, false, &[]));
        assert_eq!(log.after(Some(0), 9), part(1, false, &["keep"]));
    }
}
