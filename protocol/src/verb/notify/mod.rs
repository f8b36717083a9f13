//! `notify[:options…][:metadata…]:public|@for:entity[@owner][:value]` (protocol notes 5.12).

mod options;
mod words;

use options::Options;
pub use words::{MessageType, Operation, Priority, Strategy};

use super::{VerbError, grammar};
use crate::key::{AtKey, KeyError};
use crate::{AtSign, Entity, MetadataPatch};

const HINT: &str = "e.g. notify:update:messageType:key:@bob:phone.wavi@alice:+1 555 0100";

const SYNTAX: VerbError = VerbError::Syntax { hint: HINT };

/// Sends a notification, or delivers one from another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// The id that the sender gave it.
    pub id: Option<String>,
    /// What happened.
    pub operation: Operation,
    /// How urgent it is.
    pub priority: Priority,
    /// Which of several waiting ones are delivered.
    pub strategy: Strategy,
    /// With [`Strategy::Latest`]: how many, at least 1.
    pub latest_n: u32,
    /// In whose name `latest` counts.
    pub notifier: Option<String>,
    /// How long it may wait, in milliseconds.
    pub ttln: Option<i64>,
    /// Metadata of the key that it tells of.
    pub patch: MetadataPatch,
    /// For whom.
    pub target: Target,
    /// What it says.
    pub message: Message,
}

/// For whom a notification is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A public key: for the owner alone.
    Public,
    /// For this atSign.
    For(AtSign),
}

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A key was changed.
    Key {
        /// Which.
        entity: Entity,
        /// Whose; the sender's if absent.
        owner: Option<AtSign>,
        /// To what.
        value: Option<String>,
    },
    /// A text for its own sake.
    Text(String),
}

impl Notify {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let (options, target, rest) = Options::parse(args)?;
        let message = match options.message_type {
            MessageType::Text if rest.is_empty() => return Err(SYNTAX),
            MessageType::Text => Message::Text(rest.to_owned()),
            MessageType::Key => key_message(rest)?,
        };
        if options.strategy == Strategy::Latest && options.notifier.is_none() {
            return Err(VerbError::LatestWithoutNotifier);
        }
        Ok(Self {
            id: options.id,
            operation: options.operation,
            priority: options.priority,
            strategy: options.strategy,
            latest_n: options.latest_n.unwrap_or(1).max(1),
            notifier: options.notifier,
            ttln: options.ttln,
            patch: options.patch,
            target,
            message,
        })
    }

    /// Whether it is about a key or a text.
    #[must_use]
    pub fn message_type(&self) -> MessageType {
        match self.message {
            Message::Key { .. } => MessageType::Key,
            Message::Text(_) => MessageType::Text,
        }
    }

    /// The value that comes with a key.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        match &self.message {
            Message::Key { value, .. } => value.as_deref(),
            Message::Text(_) => None,
        }
    }

    /// Whether the value, or the text, is encrypted: never with public keys; a text only where it
    /// says so; any other key unless it says not.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        match (&self.message, &self.target) {
            (Message::Key { .. }, Target::Public) => false,
            (Message::Key { .. }, Target::For(_)) => self.patch.is_encrypted.unwrap_or(true),
            (Message::Text(_), _) => self.patch.is_encrypted.unwrap_or(false),
        }
    }

    /// The key that it is about; `None` for a text.
    ///
    /// # Errors
    /// [`KeyError`] where the parts do not make a key.
    pub fn key(&self, sender: &AtSign) -> Result<Option<AtKey>, KeyError> {
        let Message::Key { entity, owner, .. } = &self.message else { return Ok(None) };
        let owner = owner.as_ref().unwrap_or(sender);
        match &self.target {
            Target::Public => AtKey::public(entity, owner),
            Target::For(with) => AtKey::shared(with, entity, owner),
        }
        .map(Some)
    }

    /// The notification's key text: the key, or the text behind its recipient.
    ///
    /// # Errors
    /// [`KeyError`] where the parts do not make a key.
    pub fn subject(&self, sender: &AtSign) -> Result<String, KeyError> {
        match (&self.message, &self.target) {
            (Message::Text(text), Target::For(with)) => Ok(format!("{with}:{text}")),
            (Message::Text(text), Target::Public) => Ok(format!("public:{text}")),
            (Message::Key { .. }, _) => {
                Ok(self.key(sender)?.map_or_else(String::new, |key| key.as_str().to_owned()))
            }
        }
    }

    /// Whether `sender` may send it: nobody sends in another's name.
    ///
    /// # Errors
    /// [`VerbError::Unauthorized`].
    pub fn check_sender(&self, sender: &AtSign) -> Result<(), VerbError> {
        match &self.message {
            Message::Key { owner: Some(owner), .. } if owner != sender => {
                Err(VerbError::Unauthorized(format!(
                    "{owner} is not authorized to send notification as {sender}"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether `recipient`'s server may take it from `sender`: the key is the sender's, and it is
    /// for this recipient. Otherwise a peer could overwrite what another has shared.
    ///
    /// # Errors
    /// [`VerbError::Unauthorized`].
    pub fn check_delivery(&self, sender: &AtSign, recipient: &AtSign) -> Result<(), VerbError> {
        self.check_sender(sender)?;
        match &self.target {
            Target::For(target) if target == recipient => Ok(()),
            Target::For(_) | Target::Public => {
                Err(VerbError::Unauthorized(format!("{sender} can notify only {recipient} here")))
            }
        }
    }
}

/// `entity[@owner][:value]`. An entity contains neither `:` nor `@`, a value may contain both.
pub(super) fn key_message(text: &str) -> Result<Message, VerbError> {
    let end = text.find([':', '@']).unwrap_or(text.len());
    let (entity, tail) = text.split_at(end);
    let (owner, value) = match tail.strip_prefix('@') {
        Some(tail) => match tail.split_once(':') {
            Some((owner, value)) => (Some(owner), value),
            None => (Some(tail), ""),
        },
        None => (None, tail.strip_prefix(':').unwrap_or_default()),
    };
    let owner = owner.map(|owner| grammar::at_sign(owner, HINT)).transpose()?;
    if entity.is_empty() {
        return Err(SYNTAX);
    }
    let entity = Entity::parse(entity).map_err(|error| VerbError::InvalidKey(error.to_string()))?;
    Ok(Message::Key { entity, owner, value: (!value.is_empty()).then(|| value.to_owned()) })
}

#[cfg(test)]
mod tests;
