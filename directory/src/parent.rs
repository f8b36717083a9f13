//! What lies beyond this directory: a parent that is asked for the names that are not here.
//!
//! A private directory answers for its own people, and its clients want the rest of the world too.
//! A parent that cannot be asked, or does not answer in time, never makes a name unknown: the caller
//! closes the connection instead, as the line protocol has no answer for an error. Where parents
//! form a ring, a question that comes back meets itself here and waits for its own answer, until its
//! deadline ends all of them with that same error.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use net::dial::Dialer;
use net::lookup::{DirectoryClient, LookupError};
use protocol::{Address, AtSign};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use crate::limits::{
    PARENT_ANSWERS_MAX, PARENT_DEADLINE, PARENT_FOUND_AGE_MAX, PARENT_QUESTIONS_MAX,
    PARENT_UNKNOWN_AGE_MAX,
};

/// The directory above this one.
#[derive(Debug)]
pub struct Parent {
    client: DirectoryClient,
    remembered: Mutex<Answers>,
    questions: Mutex<HashMap<AtSign, Arc<Question>>>,
}

/// The parent did not say whether there is such a name.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ParentError {
    /// It cannot be asked, or did not answer.
    #[error("the parent directory did not answer")]
    Unanswered(#[source] Arc<LookupError>),
    /// Its answer takes longer than anybody here would wait.
    #[error("the parent directory did not answer in time")]
    Deadline,
    /// [`PARENT_QUESTIONS_MAX`] is reached.
    #[error("the parent directory has too many questions to answer already")]
    Busy,
}

/// Where a name is; none if the parent says that nobody has it.
type Answer = Option<Address>;

/// One name on its way; everybody who wants to know it waits for the same answer.
type Question = OnceCell<Result<Answer, ParentError>>;

impl Parent {
    /// The parent at this address.
    #[must_use]
    pub fn new(address: Address, dialer: Dialer) -> Self {
        let client = DirectoryClient::new(address, dialer);
        Self { client, remembered: Mutex::default(), questions: Mutex::default() }
    }

    /// What the parent says of this name, or said a short while ago.
    ///
    /// # Errors
    /// [`ParentError`] where it says nothing.
    pub async fn resolve(&self, name: &AtSign) -> Result<Answer, ParentError> {
        if let Some(answer) = lock(&self.remembered).get(name, Instant::now()) {
            return Ok(answer);
        }
        let asking = Asking::begin(self, name)?;
        let answer = asking.question.get_or_init(|| self.ask(name));
        let answer = timeout(PARENT_DEADLINE, answer).await;
        answer.map_err(|_| ParentError::Deadline)?.clone()
    }

    async fn ask(&self, name: &AtSign) -> Result<Answer, ParentError> {
        let answer = self.client.ask_anew(name, PARENT_DEADLINE).await;
        let answer = answer.map_err(|error| ParentError::Unanswered(Arc::new(error)))?;
        lock(&self.remembered).insert(name.clone(), answer.clone(), Instant::now());
        Ok(answer)
    }
}

/// One who waits for an answer. A question that nobody waits for, or that is answered, is dropped.
struct Asking<'a> {
    parent: &'a Parent,
    name: &'a AtSign,
    question: Arc<Question>,
}

impl<'a> Asking<'a> {
    fn begin(parent: &'a Parent, name: &'a AtSign) -> Result<Self, ParentError> {
        let mut questions = lock(&parent.questions);
        let question = match questions.get(name) {
            Some(question) => Arc::clone(question),
            None if questions.len() >= PARENT_QUESTIONS_MAX => return Err(ParentError::Busy),
            None => Arc::clone(questions.entry(name.clone()).or_default()),
        };
        drop(questions);
        Ok(Self { parent, name, question })
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut questions = lock(&self.parent.questions);
        let is_ours = questions.get(self.name).is_some_and(|q| Arc::ptr_eq(q, &self.question));
        // The map's and ours: nobody else waits, and under the lock nobody comes.
        let is_last = Arc::strong_count(&self.question) <= 2;
        if is_ours && (is_last || self.question.initialized()) {
            questions.remove(self.name);
        }
    }
}

/// The newer half of what is remembered and the older one, which goes as a whole.
#[derive(Debug, Default)]
struct Answers {
    newer: HashMap<AtSign, (Answer, Instant)>,
    older: HashMap<AtSign, (Answer, Instant)>,
}

impl Answers {
    fn get(&self, name: &AtSign, now: Instant) -> Option<Answer> {
        let (answer, until) = self.newer.get(name).or_else(|| self.older.get(name))?;
        (now < *until).then(|| answer.clone())
    }

    fn insert(&mut self, name: AtSign, answer: Answer, now: Instant) {
        if self.newer.len() >= PARENT_ANSWERS_MAX / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        let age_max = if answer.is_some() { PARENT_FOUND_AGE_MAX } else { PARENT_UNKNOWN_AGE_MAX };
        self.newer.insert(name, (answer, now + age_max));
    }
}

/// What a panic left is consistent: both maps are changed by single calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::time::Duration;

    fn name(number: usize) -> AtSign {
        AtSign::parse(&format!("name{number}")).unwrap()
    }

    #[test]
    fn answers_are_remembered_for_a_short_while_and_no_more_than_so_many() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        let address = Address::parse("localhost:1").ok();
        answers.insert(name(0), address.clone(), now);
        answers.insert(name(1), None, now);
        let after = |age: Duration| now + age - Duration::from_millis(1);
        assert_eq!(answers.get(&name(0), after(PARENT_FOUND_AGE_MAX)), Some(address));
        assert_eq!(answers.get(&name(0), now + PARENT_FOUND_AGE_MAX), None);
        assert_eq!(answers.get(&name(1), after(PARENT_UNKNOWN_AGE_MAX)), Some(None));
        assert_eq!(answers.get(&name(1), now + PARENT_UNKNOWN_AGE_MAX), None);
        for number in 0..2 * PARENT_ANSWERS_MAX {
            answers.insert(name(number), None, now);
            assert!(answers.newer.len() + answers.older.len() <= PARENT_ANSWERS_MAX);
        }
        assert_eq!(answers.get(&name(2 * PARENT_ANSWERS_MAX - 1), now), Some(None));
    }
}
