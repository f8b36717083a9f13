//! The life of an enrolment:
//!
//! ```text
//!            approve              revoke
//!  Pending ──────────▶ Approved ──────────▶ Revoked ───▶ deleted
//!     │                   ▲                    │           ▲
//!     │                   └────────────────────┘           │
//!     │ deny                     unrevoke                  │
//!     └──────────────────▶ Denied ─────────────────────────┘
//! ```
//!
//! Whatever it is, it ends when its time is over.

use protocol::EnrollmentId;
use protocol::enrollment::EnrollmentStatus;
use protocol::verb::Decision;
use serde::{Deserialize, Serialize};

/// How far an enrolment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Pending,
    Approved,
    Denied,
    Revoked,
}

/// What a decision makes of an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Becomes(State),
    Goes,
}

/// A decision that cannot be made about an enrolment that is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forbidden;

impl State {
    /// What the decision makes of it.
    pub(crate) fn after(self, decision: &Decision) -> Result<Next, Forbidden> {
        match (self, decision) {
            (Self::Pending, Decision::Approve(_)) | (Self::Revoked, Decision::Unrevoke) => {
                Ok(Next::Becomes(Self::Approved))
            }
            (Self::Pending, Decision::Deny) => Ok(Next::Becomes(Self::Denied)),
            (Self::Approved, Decision::Revoke { .. }) => Ok(Next::Becomes(Self::Revoked)),
            (Self::Denied | Self::Revoked, Decision::Delete) => Ok(Next::Goes),
            _ => Err(Forbidden),
        }
    }

    pub(crate) fn status(self) -> EnrollmentStatus {
        match self {
            Self::Pending => EnrollmentStatus::Pending,
            Self::Approved => EnrollmentStatus::Approved,
            Self::Denied => EnrollmentStatus::Denied,
            Self::Revoked => EnrollmentStatus::Revoked,
        }
    }
}

/// The text for the client whose decision is forbidden.
pub(crate) fn forbidden(
    decision: &Decision,
    id: &EnrollmentId,
    status: EnrollmentStatus,
) -> String {
    let (verb, only) = match decision {
        Decision::Approve(_) => ("approve", "pending enrollments can be approved"),
        Decision::Deny => ("deny", "pending enrollments can be denied"),
        Decision::Revoke { .. } => ("revoke", "approved enrollments can be revoked"),
        Decision::Unrevoke => ("un-revoke", "revoked enrollments can be un-revoked"),
        Decision::Delete => {
            return format!(
                "Failed to delete enrollment id: {id} | Cause: Cannot delete {} enrollments. Only \
                 denied and revoked enrollments can be deleted",
                status.as_str()
            );
        }
    };
    let (word, status) = (decision.word(), status.as_str());
    format!(
        "Failed to {word} enrollment id: {id}. Cannot {verb} a {status} enrollment. Only {only}"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::verb::DefaultKeys;

    use super::*;

    #[test]
    fn s203_only_the_drawn_transitions_exist() {
        let keys =
            DefaultKeys { encryption_private_key: "p".into(), self_encryption_key: "s".into() };
        let decisions = [
            Decision::Approve(keys),
            Decision::Deny,
            Decision::Revoke { force: false },
            Decision::Unrevoke,
            Decision::Delete,
        ];
        let becomes = |state| Ok(Next::Becomes(state));
        let no = Err(Forbidden);
        for (state, nexts) in [
            (State::Pending, [becomes(State::Approved), becomes(State::Denied), no, no, no]),
            (State::Approved, [no, no, becomes(State::Revoked), no, no]),
            (State::Denied, [no, no, no, no, Ok(Next::Goes)]),
            (State::Revoked, [no, no, no, becomes(State::Approved), Ok(Next::Goes)]),
        ] {
            for (decision, next) in decisions.iter().zip(nexts) {
                assert_eq!(state.after(decision), next, "{state:?} {}", decision.word());
            }
        }
    }

    #[test]
    fn s203_a_forbidden_decision_is_told_in_the_protocols_words() {
        let id = EnrollmentId::parse("e").unwrap();
        let text = |decision| forbidden(&decision, &id, EnrollmentStatus::Pending);
        assert_eq!(
            text(Decision::Unrevoke),
            "Failed to unrevoke enrollment id: e. Cannot un-revoke a pending enrollment. Only \
             revoked enrollments can be un-revoked"
        );
        assert_eq!(
            text(Decision::Delete),
            "Failed to delete enrollment id: e | Cause: Cannot delete pending enrollments. Only \
             denied and revoked enrollments can be deleted"
        );
    }
}
