//! Asking before something is done that nothing undoes.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::{Exit, Failure};

/// Has the name typed of what is to be deleted.
///
/// # Errors
/// Where nobody can be asked, or the answer is another one.
pub fn confirm(name: &str, consequence: &str) -> Result<(), Failure> {
    typed("deleting", name, consequence, "was not deleted")
}

/// Has the name typed of what is to be done something to; says what was not done where it is not.
///
/// # Errors
/// Where nobody can be asked, or the answer is another one.
pub fn typed(doing: &str, name: &str, consequence: &str, undone: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let what = format!("{doing} {name} needs a confirmation, and stdin is no terminal");
        return Err(Failure::new(Exit::Usage, what).fix("pass --yes"));
    }
    eprint!("{consequence} Type {name} to go on: ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == name {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, format!("{name} {undone}")))
}
