//! What the program says when something went wrong, and the code that it exits with.

use std::fmt;
use std::process::ExitCode;

/// How a command ended, for scripts. The numbers are part of the command line's promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It failed, and no other code says how.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// What was asked for does not exist.
    NotFound = 3,
    /// The credentials or the policy do not allow it.
    Refused = 4,
    /// It exists already, or somebody else holds it.
    Conflict = 5,
    /// A service is not there now; trying again may help.
    Unavailable = 6,
    /// No answer in time.
    TimedOut = 7,
    /// Some of many were done.
    PartlyDone = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure that names its fix.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    what: String,
    fix: Option<String>,
}

impl Failure {
    /// A failure described in one sentence without a full stop.
    pub fn new(exit: Exit, what: impl fmt::Display) -> Self {
        Self { exit, what: what.to_string(), fix: None }
    }

    /// The same, with what the person can do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl fmt::Display) -> Self {
        self.fix = Some(fix.to_string());
        self
    }

    /// The same, with the thing that it is about in front.
    #[must_use]
    pub fn at(mut self, thing: impl fmt::Display) -> Self {
        self.what = format!("{thing}: {}", self.what);
        self
    }

    /// An error with its whole chain of causes.
    pub fn from_error(exit: Exit, error: &dyn std::error::Error) -> Self {
        Self::new(exit, chain(error))
    }

    /// What went wrong.
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        match &self.fix {
            Some(fix) => write!(f, "\n  fix: {fix}"),
            None => Ok(()),
        }
    }
}

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
