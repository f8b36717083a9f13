//! What may stand in front of a notification's target.

use super::{HINT, MessageType, Operation, Priority, SYNTAX, Strategy, Target};
use crate::MetadataPatch;
use crate::limits::{NOTIFICATION_ID_BYTES_MAX, NOTIFIER_BYTES_MAX};
use crate::metadata::not_negative;
use crate::verb::{VerbError, grammar};

/// Options and metadata of one command.
#[derive(Default)]
pub(super) struct Options {
    pub(super) id: Option<String>,
    pub(super) operation: Operation,
    pub(super) message_type: MessageType,
    pub(super) priority: Priority,
    pub(super) strategy: Strategy,
    pub(super) latest_n: Option<u32>,
    pub(super) notifier: Option<String>,
    pub(super) ttln: Option<i64>,
    pub(super) patch: MetadataPatch,
}

impl Options {
    /// Reads options and metadata, in any order, up to the target; gives back what is behind it.
    pub(super) fn parse(args: &str) -> Result<(Self, Target, &str), VerbError> {
        let mut options = Self::default();
        let mut rest = args;
        loop {
            if let Some(target) = rest.strip_prefix('@') {
                let (name, message) = target.split_once(':').ok_or(SYNTAX)?;
                return Ok((options, Target::For(grammar::at_sign(name, HINT)?), message));
            }
            let (word, tail) = rest.split_once(':').ok_or(SYNTAX)?;
            rest = match word.to_ascii_lowercase().as_str() {
                // One SDK leaves an empty word where it has no operation.
                "" => tail,
                "public" => return Ok((options, Target::Public, tail)),
                "update" => {
                    options.operation = Operation::Update;
                    tail
                }
                "delete" => {
                    options.operation = Operation::Delete;
                    tail
                }
                word => {
                    let (value, tail) = tail.split_once(':').ok_or(SYNTAX)?;
                    options.take(word, value)?;
                    tail
                }
            };
        }
    }

    fn take(&mut self, word: &str, value: &str) -> Result<(), VerbError> {
        match (word, value.to_ascii_lowercase().as_str()) {
            ("id", _) if is_id(value) => self.id = Some(value.to_owned()),
            ("messagetype" | "message_type", "key") => self.message_type = MessageType::Key,
            ("messagetype" | "message_type", "text") => self.message_type = MessageType::Text,
            ("priority", "low") => self.priority = Priority::Low,
            ("priority", "medium") => self.priority = Priority::Medium,
            ("priority", "high") => self.priority = Priority::High,
            ("strategy", "all") => self.strategy = Strategy::All,
            ("strategy", "latest") => self.strategy = Strategy::Latest,
            ("latestn", number) => self.latest_n = Some(number.parse().map_err(|_| SYNTAX)?),
            ("notifier", _) if is_notifier(value) => self.notifier = Some(value.to_owned()),
            ("ttln", _) => self.ttln = Some(not_negative("ttln", value)?),
            _ if self.patch.take(word, value)? => {}
            _ => return Err(SYNTAX),
        }
        Ok(())
    }
}

fn is_id(text: &str) -> bool {
    (1..=NOTIFICATION_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_notifier(text: &str) -> bool {
    (1..=NOTIFIER_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_whitespace)
}
