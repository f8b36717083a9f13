//! The commands of a personal server, one file for each verb (protocol notes, section 5).
//!
//! The parsers are written by hand and read each byte a bounded number of times. They take what the
//! grammars take, and what the SDKs send beside it: parts in any order, any case, newer parts.

mod batch;
mod config;
mod cram;
mod delete;
mod enroll;
mod error;
mod from;
mod grammar;
mod info;
mod keys;
mod llookup;
mod lookup;
mod monitor;
mod noop;
mod notify;
mod notify_all;
mod notify_id;
mod notify_list;
mod otp;
mod pkam;
mod plookup;
mod scan;
mod select;
mod stats;
mod sync_from;
mod update;
mod update_json;
mod update_meta;

pub use batch::{Batch, BatchCommand, response_json};
pub use config::Config;
pub use delete::Delete;
pub use enroll::{Decision, DefaultKeys, Enroll, EnrollRequest};
pub use error::VerbError;
pub use from::From;
pub use keys::{Keys, KeysPut, Visibility};
pub use llookup::Llookup;
pub use lookup::Lookup;
pub use monitor::Monitor;
pub use notify::{Message, MessageType, Notify, Operation, Priority, Strategy, Target};
pub use notify_all::NotifyAll;
pub use notify_list::NotifyList;
pub use otp::Otp;
pub use pkam::{HashingAlgo, Pkam, SigningAlgo};
pub use plookup::Plookup;
pub use scan::Scan;
pub use stats::Stats;
pub use sync_from::SyncFrom;
pub use update::Update;
pub use update_meta::UpdateMeta;

/// The verbs that a warren knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `from:`
    From,
    /// `cram:`
    Cram,
    /// `pkam:`
    Pkam,
    /// `pol`
    Pol,
    /// `update:`
    Update,
    /// `update:meta:`
    UpdateMeta,
    /// `llookup:`
    Llookup,
    /// `plookup:`
    Plookup,
    /// `lookup:`
    Lookup,
    /// `scan`
    Scan,
    /// `delete:`
    Delete,
    /// `stats`
    Stats,
    /// `config:`
    Config,
    /// `batch:`
    Batch,
    /// `sync:from:`
    SyncFrom,
    /// `notify:`
    Notify,
    /// `notify:all:`
    NotifyAll,
    /// `notify:status:`
    NotifyStatus,
    /// `notify:list`
    NotifyList,
    /// `notify:fetch:`
    NotifyFetch,
    /// `notify:remove:`
    NotifyRemove,
    /// `monitor`
    Monitor,
    /// `info`
    Info,
    /// `noop:`
    Noop,
    /// `enroll:`
    Enroll,
    /// `otp:`
    Otp,
    /// `keys:`
    Keys,
}

/// A command whose syntax is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Says who is there, and asks for a challenge.
    From(From),
    /// Answers the challenge with the activation secret.
    Cram {
        /// SHA-512 over secret and challenge, as 128 lower-case hexadecimal digits if it is right.
        digest: String,
    },
    /// Answers the challenge with a signature.
    Pkam(Pkam),
    /// Asks to be believed as the atSign that `from` named.
    Pol,
    /// Writes a value.
    Update(Update),
    /// Writes metadata.
    UpdateMeta(UpdateMeta),
    /// Reads a key of the own store.
    Llookup(Llookup),
    /// Reads another's public key.
    Plookup(Plookup),
    /// Reads what the caller may read.
    Lookup(Lookup),
    /// Lists keys.
    Scan(Scan),
    /// Deletes a key.
    Delete(Delete),
    /// What the server tells about itself.
    Stats(Stats),
    /// Who may not connect, and settings.
    Config(Config),
    /// Several commands.
    Batch(Batch),
    /// Reads the commit log.
    SyncFrom(SyncFrom),
    /// Sends a notification, or delivers one from another server.
    Notify(Box<Notify>),
    /// Sends a notification to several.
    NotifyAll(Box<NotifyAll>),
    /// How far a notification has come.
    NotifyStatus {
        /// Which.
        id: String,
    },
    /// Lists received notifications.
    NotifyList(NotifyList),
    /// One notification with all that is known about it.
    NotifyFetch {
        /// Which.
        id: String,
    },
    /// Forgets a notification.
    NotifyRemove {
        /// Which.
        id: String,
    },
    /// Turns the connection into one that is told of notifications.
    Monitor(Monitor),
    /// Version and uptime.
    Info {
        /// In milliseconds instead of words.
        brief: bool,
    },
    /// Waits.
    Noop {
        /// How long, at most [`crate::limits::NOOP_MILLIS_MAX`].
        millis: u64,
    },
    /// Asks for rights, or decides who has them.
    Enroll(Enroll),
    /// Makes passcodes.
    Otp(Otp),
    /// Keeps key material.
    Keys(Keys),
}

/// What a lookup asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Projection {
    /// The value.
    #[default]
    Value,
    /// The metadata.
    Meta,
    /// Key, value and metadata.
    All,
}

impl Verb {
    /// Chooses the verb of a command line; `None`: an invalid command.
    #[must_use]
    pub fn select(line: &str) -> Option<Self> {
        select::verb(line)
    }

    /// Whether only the owner may use it. Verbs that others may use too decide by themselves what
    /// each caller gets (protocol notes 5.1).
    #[must_use]
    pub fn needs_owner(self) -> bool {
        match self {
            Self::Update
            | Self::UpdateMeta
            | Self::Llookup
            | Self::Plookup
            | Self::Delete
            | Self::Stats
            | Self::Config
            | Self::Batch
            | Self::SyncFrom
            | Self::NotifyAll
            | Self::NotifyStatus
            | Self::NotifyFetch
            | Self::NotifyRemove
            | Self::Monitor
            | Self::Otp
            | Self::Keys => true,
            Self::From
            | Self::Cram
            | Self::Pkam
            | Self::Pol
            | Self::Lookup
            | Self::Scan
            | Self::Notify
            | Self::NotifyList
            | Self::Info
            | Self::Noop
            | Self::Enroll => false,
        }
    }
}

impl Command {
    /// Parses the line for which [`Verb::select`] gave `verb`.
    ///
    /// # Errors
    /// [`VerbError`], with the code and text for the client.
    pub fn parse(verb: Verb, line: &str) -> Result<Self, VerbError> {
        let line = line.trim();
        // Whatever is built from a command later, such as a line to another server, is one line too.
        if line.contains('\n') {
            return Err(VerbError::Syntax { hint: "A command is one line" });
        }
        let args = grammar::after_head(line);
        match verb {
            Verb::From => From::parse(args).map(Self::From),
            Verb::Cram => cram::parse(args).map(|digest| Self::Cram { digest }),
            Verb::Pkam => Pkam::parse(args).map(Self::Pkam),
            Verb::Pol => Ok(Self::Pol),
            Verb::Update => Update::parse(args).map(Self::Update),
            Verb::UpdateMeta => UpdateMeta::parse(args).map(Self::UpdateMeta),
            Verb::Llookup => Llookup::parse(args).map(Self::Llookup),
            Verb::Plookup => Plookup::parse(args).map(Self::Plookup),
            Verb::Lookup => Lookup::parse(args).map(Self::Lookup),
            Verb::Scan => Scan::parse(line).map(Self::Scan),
            Verb::Delete => Delete::parse(args).map(Self::Delete),
            Verb::Stats => Stats::parse(line).map(Self::Stats),
            Verb::Config => Config::parse(args).map(Self::Config),
            Verb::Batch => Batch::parse(args).map(Self::Batch),
            Verb::SyncFrom => SyncFrom::parse(args).map(Self::SyncFrom),
            Verb::Notify => Notify::parse(args).map(|notify| Self::Notify(Box::new(notify))),
            Verb::NotifyAll => NotifyAll::parse(args).map(|all| Self::NotifyAll(Box::new(all))),
            Verb::NotifyStatus => notify_id::status(args).map(|id| Self::NotifyStatus { id }),
            Verb::NotifyList => NotifyList::parse(args).map(Self::NotifyList),
            Verb::NotifyFetch => notify_id::fetch(args).map(|id| Self::NotifyFetch { id }),
            Verb::NotifyRemove => notify_id::remove(args).map(|id| Self::NotifyRemove { id }),
            Verb::Monitor => Monitor::parse(line).map(Self::Monitor),
            Verb::Info => Ok(Self::Info { brief: info::is_brief(args) }),
            Verb::Noop => noop::parse(args).map(|millis| Self::Noop { millis }),
            Verb::Enroll => Enroll::parse(args).map(Self::Enroll),
            Verb::Otp => Otp::parse(args).map(Self::Otp),
            Verb::Keys => Keys::parse(args).map(Self::Keys),
        }
    }
}

#[cfg(test)]
mod tests;
