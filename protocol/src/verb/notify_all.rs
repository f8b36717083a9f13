//! `notify:all:[options:]@bob,@carol:key[@owner][:value]` (protocol notes 5.13).

use super::notify::{self, Notify};
use super::{Message, MessageType, Operation, Priority, Strategy, Target, VerbError, grammar};
use crate::limits::NOTIFY_ALL_MAX;
use crate::{AtSign, MetadataPatch};

const HINT: &str = "e.g. notify:all:update:messageType:key:@bob,@carol:phone.wavi@alice:+1";

const SYNTAX: VerbError = VerbError::Syntax { hint: HINT };

/// Sends the same to several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyAll {
    /// To whom, each once, at least one.
    pub recipients: Vec<AtSign>,
    /// What, to the first of them.
    pub notify: Notify,
}

impl NotifyAll {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let mut rest = grammar::strip_word(args, "all").ok_or(SYNTAX)?;
        let mut operation = Operation::default();
        let mut message_type = MessageType::default();
        let mut patch = MetadataPatch::default();
        while !rest.starts_with('@') {
            let (word, tail) = rest.split_once(':').ok_or(SYNTAX)?;
            rest = tail;
            match word.to_ascii_lowercase().as_str() {
                "update" => operation = Operation::Update,
                "delete" => operation = Operation::Delete,
                word => {
                    let (value, tail) = rest.split_once(':').ok_or(SYNTAX)?;
                    rest = tail;
                    match (word, value.to_ascii_lowercase().as_str()) {
                        ("messagetype", "key") => message_type = MessageType::Key,
                        ("messagetype", "text") => message_type = MessageType::Text,
                        _ if patch.take(word, value)? => {}
                        _ => return Err(SYNTAX),
                    }
                }
            }
        }
        let (list, message) = rest.split_once(':').ok_or(SYNTAX)?;
        let recipients = recipients(list)?;
        let message = match message_type {
            MessageType::Text if message.is_empty() => return Err(SYNTAX),
            MessageType::Text => Message::Text(message.to_owned()),
            MessageType::Key => notify::key_message(message)?,
        };
        let target = Target::For(recipients.first().cloned().ok_or(SYNTAX)?);
        let notify = Notify {
            id: None,
            operation,
            priority: Priority::default(),
            strategy: Strategy::default(),
            latest_n: 1,
            notifier: None,
            ttln: None,
            patch,
            target,
            message,
        };
        Ok(Self { recipients, notify })
    }

    /// What is signed: the key without its recipient, or the text.
    #[must_use]
    pub fn signed_text(&self, sender: &AtSign) -> String {
        match &self.notify.message {
            Message::Key { entity, owner, .. } => {
                format!("{entity}{}", owner.as_ref().unwrap_or(sender))
            }
            Message::Text(text) => text.clone(),
        }
    }
}

fn recipients(list: &str) -> Result<Vec<AtSign>, VerbError> {
    let mut recipients = Vec::new();
    for name in list.split(',') {
        let name = grammar::at_sign(name, HINT)?;
        if recipients.contains(&name) {
            continue;
        }
        if recipients.len() == NOTIFY_ALL_MAX {
            let text = format!("notify:all has at most {NOTIFY_ALL_MAX} recipients");
            return Err(VerbError::Arguments(text));
        }
        recipients.push(name);
    }
    Ok(recipients)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_message_goes_to_a_list_of_names() {
        let all = NotifyAll::parse(
            "all:delete:messageType:key:ttr:-1:ccd:true:@bob,@carol,@bob:k.x@alice:a:b",
        );
        let NotifyAll { recipients, notify } = all.unwrap();
        let names: Vec<_> = recipients.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["@bob", "@carol"]);
        assert_eq!((notify.operation, notify.value()), (Operation::Delete, Some("a:b")));
        assert_eq!((notify.patch.ttr, notify.patch.ccd), (Some(-1), Some(true)));
        let alice = AtSign::parse("@alice").unwrap();
        let all = NotifyAll::parse("all:@bob:k.x").unwrap();
        assert_eq!((all.signed_text(&alice), all.notify.value()), ("k.x@alice".into(), None));
        let text = NotifyAll::parse("all:messageType:text:@bob,@carol:hello there").unwrap();
        assert_eq!(text.notify.message, Message::Text("hello there".into()));
    }

    #[test]
    fn what_names_nobody_or_too_many_is_refused() {
        for bad in [
            "all",
            "all:",
            "all:@bob",
            "all:@bob:",
            "all:@bob,:k",
            "all:@bob,@:k",
            "all:ttl:-1:@bob:k",
            "all:strange:1:@bob:k",
            "all:messageType:text:@bob:",
        ] {
            assert!(NotifyAll::parse(bad).is_err(), "{bad}");
        }
        let list = |count| (0..count).map(|n| format!("@n{n}")).collect::<Vec<_>>().join(",");
        let parse = |count| NotifyAll::parse(&format!("all:{}:k", list(count)));
        assert_eq!(parse(NOTIFY_ALL_MAX).unwrap().recipients.len(), NOTIFY_ALL_MAX);
        assert!(matches!(parse(NOTIFY_ALL_MAX + 1), Err(VerbError::Arguments(_))));
    }
}
