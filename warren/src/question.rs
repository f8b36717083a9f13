//! Asking before something is done that nothing undoes.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::{Exit, Failure};

/// Has the name typed of what is to be deleted.
///
/// # Errors
/// Where nobody can be asked, or the answer is another one.
pub fn confirm(name: &str, consequence: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let what = format!("deleting {name} needs a confirmation, and stdin is no terminal");
        return Err(Failure::new(Exit::Usage, what).fix("pass --yes"));
    }
    eprint!("{consequence} Type {name} to go on: ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == name {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, format!("{name} was not deleted")))
}
