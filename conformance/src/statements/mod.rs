//! The statements, a file a group, as section 10 has them.

mod apkam;
mod authentication;
mod directory;
mod enrolment;
mod errors;
mod framing;
mod lookup;
mod monitor;
mod notify;
mod pol;
mod scan;
mod sync;
mod tls;
mod update;

use crate::Statement;

/// All statements in the order of their numbers.
pub fn all() -> Vec<Statement> {
    [
        directory::STATEMENTS,
        framing::STATEMENTS,
        errors::STATEMENTS,
        tls::STATEMENTS,
        authentication::STATEMENTS,
        pol::STATEMENTS,
        update::STATEMENTS,
        lookup::STATEMENTS,
        scan::STATEMENTS,
        sync::STATEMENTS,
        notify::STATEMENTS,
        monitor::STATEMENTS,
        enrolment::STATEMENTS,
        apkam::STATEMENTS,
    ]
    .concat()
}
