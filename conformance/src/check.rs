//! What a statement says in the end, and the few comparisons it is made of.

use std::fmt::{Debug, Display};

/// Longest piece of an answer that a report repeats.
const SEEN_CHARS_MAX: usize = 240;

/// Why a statement did not simply hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// It does not hold.
    #[error("expected {expected}; seen {seen}")]
    Failed {
        /// What the statement demands.
        expected: String,
        /// What happened.
        seen: String,
    },
    /// It cannot be seen with what we were given.
    #[error("{0}")]
    NotApplicable(String),
}

/// The result of a statement, or of a step of one.
pub type Check<T = ()> = Result<T, Stop>;

/// A failure: what was demanded, and what was seen.
pub fn failed(expected: impl Display, seen: impl Display) -> Stop {
    Stop::Failed { expected: cut(&expected.to_string()), seen: cut(&seen.to_string()) }
}

/// A statement that cannot be seen here.
pub fn not_applicable(reason: impl Display) -> Stop {
    Stop::NotApplicable(reason.to_string())
}

/// Holds if `is_so`.
///
/// # Errors
/// [`Stop::Failed`] with both texts.
pub fn that(is_so: bool, expected: impl Display, seen: impl Display) -> Check {
    if is_so { Ok(()) } else { Err(failed(expected, seen)) }
}

/// Holds if both are the same; `what` says of what.
///
/// # Errors
/// [`Stop::Failed`] with both values.
pub fn same<S, E>(what: &str, seen: &S, expected: &E) -> Check
where
    S: PartialEq<E> + Debug + ?Sized,
    E: Debug + ?Sized,
{
    that(seen == expected, format_args!("{what}: {expected:?}"), format_args!("{seen:?}"))
}

/// Holds if the answer begins so.
///
/// # Errors
/// [`Stop::Failed`] with the answer.
pub fn begins(what: &str, answer: &str, start: &str) -> Check {
    that(answer.starts_with(start), format_args!("{what}: {start:?}…"), format_args!("{answer:?}"))
}

/// Holds if the answer contains the text.
///
/// # Errors
/// [`Stop::Failed`] with the answer.
pub fn contains(what: &str, answer: &str, text: &str) -> Check {
    that(answer.contains(text), format_args!("{what}: …{text:?}…"), format_args!("{answer:?}"))
}

/// Holds if the answer is an error with this code, in whichever shape.
///
/// # Errors
/// [`Stop::Failed`] with the answer.
pub fn code(what: &str, answer: &str, code: &str) -> Check {
    let shapes = ["error:", "error:{\"errorCode\":\""];
    let is_so = shapes.iter().any(|start| {
        answer.strip_prefix(start).is_some_and(|rest| {
            rest.strip_prefix(code).is_some_and(|rest| rest.starts_with(['-', ':', '"']))
        })
    });
    that(is_so, format_args!("{what}: {code}"), format_args!("{answer:?}"))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SEEN_CHARS_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}
