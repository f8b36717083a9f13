//! Enrolments: further devices and apps of the owner, each with a key pair of its own and rights in
//! some namespaces (the protocol's sections 4.6 to 4.8).
//!
//! An app asks, with a passcode that the owner gave it; the owner decides; then the app's key lets it
//! in. What is known of an enrolment is one key in the store, so that it is as durable as all else.
//! The names of these keys are the reference's, and they are in no commit log.

pub(crate) mod guard;
pub(crate) mod passcode;
pub(crate) mod record;
pub(crate) mod state;

pub(crate) use guard::{Guard, Origin, Pace};
pub(crate) use record::{Enrolment, Kept};
pub(crate) use state::State;
