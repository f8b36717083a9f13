//! `batch:[{"id":1,"command":"…"},…]` (protocol notes 5.18).

use serde::{Deserialize, Serialize};

use super::VerbError;
use crate::ErrorCode;
use crate::limits::BATCH_COMMANDS_MAX;
use crate::response::Answer;

/// Commands that are done one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// In this order.
    pub commands: Vec<BatchCommand>,
}

/// One command of a batch. It is a line like any other, not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BatchCommand {
    /// The client's number, given back with the answer.
    pub id: i64,
    /// The line.
    pub command: String,
}

impl Batch {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let commands: Vec<_> = serde_json::from_str(args).map_err(|_| VerbError::Json)?;
        if commands.len() > BATCH_COMMANDS_MAX {
            let text = format!("a batch has at most {BATCH_COMMANDS_MAX} commands");
            return Err(VerbError::Arguments(text));
        }
        Ok(Self { commands })
    }
}

/// What one command of a batch came to, as a member of the answer.
#[must_use]
pub fn response_json(id: i64, outcome: Result<&Answer, ErrorCode>) -> String {
    #[derive(Serialize)]
    struct Wire<'a> {
        id: i64,
        response: Response<'a>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Response<'a> {
        Done { data: Option<&'a str> },
        Failed { error_code: &'a str, error_message: &'a str },
    }
    let response = match outcome {
        Ok(Answer::Data(text)) => Response::Done { data: Some(text) },
        Ok(Answer::Null | Answer::PolSuccess | Answer::Nothing) => Response::Done { data: None },
        Err(code) => {
            Response::Failed { error_code: code.code(), error_message: code.description() }
        }
    };
    // A struct of numbers and texts always serialises.
    serde_json::to_string(&Wire { id, response }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_batch_is_a_list_of_numbered_lines() {
        let batch = Batch::parse(r#"[{"id":1,"command":"a"},{"command":"b \"c\"","id":-7}]"#);
        let commands = batch.unwrap().commands;
        assert_eq!(commands[0], BatchCommand { id: 1, command: "a".into() });
        assert_eq!(commands[1], BatchCommand { id: -7, command: "b \"c\"".into() });
        assert_eq!(Batch::parse("[]").unwrap().commands, []);
        for bad in ["", "{}", "[1]", "[", r#"[{"id":1}]"#, r#"[{"id":"1","command":"a"}]"#] {
            assert_eq!(Batch::parse(bad), Err(VerbError::Json), "{bad}");
        }
        let one = r#"{"id":1,"command":"a"}"#;
        let list = |count| format!("[{}{one}]", format!("{one},").repeat(count - 1));
        assert_eq!(Batch::parse(&list(BATCH_COMMANDS_MAX)).unwrap().commands.len(), 256);
        let error = Batch::parse(&list(BATCH_COMMANDS_MAX + 1)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::IllegalArguments);
    }

    #[test]
    fn s160_a_response_has_the_number_of_its_command() {
        let done = response_json(1, Ok(&Answer::from("19")));
        assert_eq!(done, r#"{"id":1,"response":{"data":"19"}}"#);
        assert_eq!(response_json(2, Ok(&Answer::Null)), r#"{"id":2,"response":{"data":null}}"#);
        assert_eq!(
            response_json(2, Err(ErrorCode::InvalidSyntax)),
            r#"{"id":2,"response":{"error_code":"AT0003","error_message":"Invalid syntax"}}"#
        );
    }
}
