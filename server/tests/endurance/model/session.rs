//! One connection: who has proved to be at its other end, and how.

use protocol::response::ErrorShape;

use super::{OWNER, PEER};
use crate::enrolled::By;

const CHALLENGE_MILLIS: i64 = 60_000;

/// Who has proved to be at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Open,
    Owner,
    Peer,
}

/// How somebody has proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proved {
    Secret,
    Key,
    Enrolment(String),
    Peer,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    pub who: Who,
    pub is_monitor: bool,
    pub shows_certificate: bool,
    /// The played peer has laid out the right signature for the challenge.
    pub is_signed: bool,
    /// What an owner's connection stands on, if not on everything.
    pub enrolment: Option<String>,
    /// When it asked to be enrolled.
    pub asked: Vec<i64>,
    is_by_secret: bool,
    challenge: Option<Challenge>,
    shape: ErrorShape,
}

#[derive(Debug, Clone)]
struct Challenge {
    is_own: bool,
    text: String,
    made: i64,
}

impl Session {
    pub fn new(shows_certificate: bool) -> Self {
        Self {
            who: Who::Open,
            is_monitor: false,
            shows_certificate,
            is_signed: false,
            enrolment: None,
            asked: Vec::new(),
            is_by_secret: false,
            challenge: None,
            shape: ErrorShape::Classic,
        }
    }

    /// What stands behind an answer now.
    pub fn prompt(&self, is_error: bool) -> String {
        match self.who {
            Who::Owner if self.is_monitor => String::new(),
            Who::Owner => format!("{OWNER}@"),
            Who::Peer if !is_error => format!("{PEER}@"),
            Who::Peer | Who::Open => "@".to_owned(),
        }
    }

    /// The text to answer, if one was asked of the owner (or of a peer).
    pub fn challenge(&self, is_own: bool) -> Option<&str> {
        let challenge = self.challenge.as_ref().filter(|c| c.is_own == is_own);
        challenge.map(|c| c.text.as_str())
    }

    /// The answer of a `from`.
    pub fn challenged(&mut self, is_own: bool, text: &str, now: i64) {
        self.challenge = Some(Challenge { is_own, text: text.to_owned(), made: now });
        self.is_signed = false;
        if self.who == Who::Peer {
            self.who = Who::Open;
        }
    }

    /// Whether it was asked to prove anything.
    pub(super) fn is_challenged(&self) -> bool {
        self.challenge.is_some()
    }

    pub fn ask(&mut self, shape: ErrorShape) {
        self.shape = shape;
    }

    pub fn shape(&self) -> ErrorShape {
        self.shape
    }

    /// Somebody has proved who they are; none: nobody has.
    pub fn become_of(&mut self, proved: Option<&Proved>) {
        self.who = match proved {
            None => Who::Open,
            Some(Proved::Peer) => Who::Peer,
            Some(_) => Who::Owner,
        };
        self.is_monitor &= self.who == Who::Owner;
        self.is_by_secret = proved == Some(&Proved::Secret);
        self.challenge = None;
        self.stand_on(match proved {
            Some(Proved::Enrolment(id)) => Some(id.clone()),
            _ => None,
        });
    }

    /// A monitor of other rights is none any more.
    pub(super) fn stand_on(&mut self, enrolment: Option<String>) {
        self.is_monitor &= self.enrolment == enrolment;
        self.enrolment = enrolment;
    }

    pub(super) fn by(&self) -> By {
        match self.who {
            Who::Owner if self.is_by_secret => By::Secret,
            Who::Owner => By::Owner,
            Who::Peer | Who::Open => By::Anybody,
        }
    }

    pub(super) fn fresh(&self, is_own: bool, now: i64) -> Option<&str> {
        let challenge = self.challenge.as_ref().filter(|c| c.is_own == is_own);
        challenge.filter(|c| now <= c.made + CHALLENGE_MILLIS).map(|c| c.text.as_str())
    }
}
