//! Whom we compare ourselves with.

pub mod bare_log;
pub mod redis;
pub mod sqlite;
