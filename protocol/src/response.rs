//! Answers of a personal server as bytes (protocol notes 2.3, 2.4).
//!
//! An answer and the prompt behind it are one piece, and must leave in one write: most SDKs stop
//! reading at the chunk that holds the line end.

use serde::Serialize;

use crate::{AtSign, ErrorCode};

/// What stands behind an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt<'a> {
    /// `@`: nobody is authenticated. Also behind the errors of another server's connection.
    Open,
    /// `@alice@`: the owner, or the other atSign that is authenticated.
    Identity(&'a AtSign),
    /// Nothing: the connection is a monitor, and a prompt would stick to its next line.
    Silent,
}

/// How errors look on a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorShape {
    /// `error:AT0003-text`
    #[default]
    Classic,
    /// `error:{"errorCode":"AT0003","errorDescription":"text"}`, for clients after version 3.0.37.
    Json,
}

/// What a command answers when it succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `data:` and this text. Some verbs answer with a blank in front of it.
    Data(String),
    /// `data:null`
    Null,
    /// The new prompt alone, without a line end.
    PolSuccess,
    /// Not a byte.
    Nothing,
}

/// What a command answers when it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code.
    pub code: ErrorCode,
    /// What happened, for a person.
    pub message: String,
    /// It is told as the command's result, `error:AT0026:message`, whatever the client's version
    /// (protocol notes 2.4, shape (c)): clients wait for exactly such lines.
    pub is_result: bool,
}

impl Fault {
    /// Makes one.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), is_result: false }
    }

    /// One that is told as the command's result.
    #[must_use]
    pub fn result(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { is_result: true, ..Self::new(code, message) }
    }

    /// An enrolment that nobody made, or whose time is over. The id is echoed up to 64 characters.
    #[must_use]
    pub fn no_enrollment(id: &str) -> Self {
        let id: String = id.chars().take(64).collect();
        let text = format!("enrollment_id: {id} is expired or invalid");
        Self::result(ErrorCode::TooManyRequests, text)
    }

    /// An empty line, or a verb that nobody handles (protocol notes 2.6).
    #[must_use]
    pub fn invalid_command() -> Self {
        Self::new(ErrorCode::InvalidSyntax, "invalid command")
    }

    /// An owner's verb on a connection that is not the owner's (protocol notes 2.7).
    #[must_use]
    pub fn needs_owner() -> Self {
        Self::new(ErrorCode::Unauthenticated, "Command cannot be executed without auth")
    }

    /// A command beyond [`crate::limits::COMMAND_BYTES_MAX`]; the connection closes after it.
    #[must_use]
    pub fn command_too_long() -> Self {
        Self::new(
            ErrorCode::BufferLimit,
            "InboundBuffer overflow: server received request which exceeded the buffer size \
             limit. Terminating the connection.",
        )
    }

    /// A key that is not there. The text is echoed up to 300 characters.
    #[must_use]
    pub fn key_not_found(key: &str) -> Self {
        let key: String = key.chars().take(300).collect();
        Self::new(ErrorCode::KeyNotFound, format!("{key} does not exist in keystore"))
    }
}

impl From<&str> for Answer {
    fn from(text: &str) -> Self {
        Self::Data(text.to_owned())
    }
}

/// What one connection too many gets; it has no prompt (protocol notes 2.9).
pub const INBOUND_LIMIT: &[u8] = b"error:AT0012-Inbound connection limit exceeded\n";

/// An answer with its prompt.
#[must_use]
pub fn encode_answer(answer: &Answer, prompt: Prompt<'_>) -> Vec<u8> {
    let prompt_bytes = match prompt {
        Prompt::Identity(name) => name.bare().len() + 2,
        Prompt::Open | Prompt::Silent => 1,
    };
    let mut bytes = Vec::new();
    match answer {
        Answer::Data(text) => {
            bytes.reserve_exact("data:\n".len() + text.len() + prompt_bytes);
            bytes.extend_from_slice(b"data:");
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b'\n');
        }
        Answer::Null => bytes.extend_from_slice(b"data:null\n"),
        Answer::PolSuccess => {}
        Answer::Nothing => return bytes,
    }
    push_prompt(&mut bytes, prompt);
    bytes
}

/// An error with its prompt. `owner`: the connection is the owner's, who is told the code's
/// description; the others are told the message alone.
#[must_use]
pub fn encode_fault(fault: &Fault, owner: bool, shape: ErrorShape, prompt: Prompt<'_>) -> Vec<u8> {
    let message = one_line(&fault.message);
    let text = if owner {
        format!("{} : {message}", fault.code.description())
    } else {
        format!("Exception: {message}")
    };
    let mut bytes = match shape {
        _ if fault.is_result => format!("error:{}:{message}\n", fault.code.code()),
        ErrorShape::Classic => format!("error:{}-{text}\n", fault.code.code()),
        ErrorShape::Json => format!("error:{}\n", fault_json(fault.code, &text)),
    }
    .into_bytes();
    push_prompt(&mut bytes, prompt);
    bytes
}

fn push_prompt(bytes: &mut Vec<u8>, prompt: Prompt<'_>) {
    match prompt {
        Prompt::Open => bytes.push(b'@'),
        Prompt::Identity(name) => {
            bytes.push(b'@');
            bytes.extend_from_slice(name.bare().as_bytes());
            bytes.push(b'@');
        }
        Prompt::Silent => {}
    }
}

fn fault_json(code: ErrorCode, text: &str) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        error_code: &'a str,
        error_description: &'a str,
    }
    // A struct of two texts always serialises.
    serde_json::to_string(&Wire { error_code: code.code(), error_description: text })
        .unwrap_or_default()
}

/// A message may quote a client's input; whatever some reader takes for a line end becomes a blank.
fn one_line(message: &str) -> String {
    let is_line_end = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    message.chars().map(|c| if is_line_end(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn alice() -> AtSign {
        AtSign::parse("@alice").unwrap()
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_answer_ends_with_the_prompt_of_its_connection() {
        let alice = alice();
        let data = Answer::Data("17".into());
        for (answer, prompt, bytes) in [
            (&data, Prompt::Open, "data:17\n@"),
            (&data, Prompt::Identity(&alice), "data:17\n@alice@"),
            (&data, Prompt::Silent, "data:17\n"),
            (&Answer::Null, Prompt::Open, "data:null\n@"),
            (&Answer::PolSuccess, Prompt::Identity(&alice), "@alice@"),
            (&Answer::Nothing, Prompt::Open, ""),
            (&Answer::Data(" [1]".into()), Prompt::Open, "data: [1]\n@"),
        ] {
            assert_eq!(text(encode_answer(answer, prompt)), bytes);
        }
    }

    #[test]
    fn a_value_that_starts_with_data_keeps_it() {
        let answer = encode_answer(&Answer::Data("data:x data:y".into()), Prompt::Silent);
        assert_eq!(text(answer), "data:data:x data:y\n");
    }

    #[test]
    fn a_large_answer_is_allocated_once() {
        let answer =
            encode_answer(&Answer::Data("x".repeat(1_000_000)), Prompt::Identity(&alice()));
        assert_eq!(answer.len(), answer.capacity());
        assert!(answer.ends_with(b"x\n@alice@"));
    }

    #[test]
    fn an_open_connection_is_told_the_message_and_the_owner_the_code_as_well() {
        // Checklist 17, 18, 33, 44, 45.
        let alice = alice();
        let invalid = Fault::invalid_command();
        let missing = Fault::key_not_found("public:x@alice");
        for (fault, owner, bytes) in [
            (&invalid, false, "error:AT0003-Exception: invalid command\n@"),
            (&invalid, true, "error:AT0003-Invalid syntax : invalid command\n@alice@"),
            (
                &missing,
                false,
                "error:AT0015-Exception: public:x@alice does not exist in keystore\n@",
            ),
            (
                &missing,
                true,
                "error:AT0015-key not found : public:x@alice does not exist in keystore\n@alice@",
            ),
            (
                &Fault::needs_owner(),
                false,
                "error:AT0401-Exception: Command cannot be executed without auth\n@",
            ),
        ] {
            let prompt = if owner { Prompt::Identity(&alice) } else { Prompt::Open };
            let encoded = encode_fault(fault, owner, ErrorShape::Classic, prompt);
            assert_eq!(text(encoded), bytes);
        }
    }

    #[test]
    fn a_newer_client_gets_its_errors_as_json() {
        // Checklist 41.
        let fault = Fault::new(ErrorCode::InvalidSyntax, "no \"x\"");
        let encoded = encode_fault(&fault, false, ErrorShape::Json, Prompt::Open);
        assert_eq!(
            text(encoded),
            "error:{\"errorCode\":\"AT0003\",\"errorDescription\":\"Exception: no \\\"x\\\"\"}\n@"
        );
    }

    #[test]
    fn what_is_told_as_a_result_looks_the_same_for_every_client() {
        let fault = Fault::result(ErrorCode::ApkamFailed, "enrollment_id: 1 is\npending");
        for shape in [ErrorShape::Classic, ErrorShape::Json] {
            let encoded = encode_fault(&fault, shape == ErrorShape::Json, shape, Prompt::Open);
            assert_eq!(text(encoded), "error:AT0026:enrollment_id: 1 is pending\n@");
        }
    }

    #[test]
    fn a_message_cannot_break_out_of_its_line() {
        let fault = Fault::new(ErrorCode::InvalidKey, "a\nb\r\u{85}\u{2028}c");
        let encoded = encode_fault(&fault, false, ErrorShape::Classic, Prompt::Silent);
        assert_eq!(text(encoded), "error:AT0016-Exception: a b   c\n");
    }
}
