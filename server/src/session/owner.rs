//! A connection of the owner.

use std::sync::Arc;

use protocol::response::Answer;
use protocol::verb::{Delete, Lookup, Monitor, Notify, Operation, Plookup, Scan};
use protocol::{Command, ErrorCode};

use super::challenged::{Proof, answered};
use super::from::{self, Challenge};
use super::{Caller, Reply, Session, Step, errands, open, remote};
use crate::auth::OwnerProven;
use crate::draft::{CommitId, Draft};
use crate::enrol::record;
use crate::keys;
use crate::notify::monitor::{Audience, matches_stats};
use crate::refusal::Refusal;
use crate::rights::{Deed, Rights};
use crate::server::Server;
use crate::share::Standing;
use crate::verb::{
    Pattern, delete, llookup, lookup, monitor, notify, notify_fetch, notify_list, notify_remove,
    notify_status, plookup, scan, sync_from, update, update_meta,
};
use crate::view::View;

pub(crate) struct Owner {
    pub(super) caller: Caller,
    /// She may prove herself again, in another way.
    pending: Option<Challenge>,
    proven: OwnerProven,
    pub(super) rights: Rights,
}

impl Owner {
    pub(super) fn new(caller: Caller, proven: OwnerProven, rights: Rights) -> Self {
        Self { caller, pending: None, proven, rights }
    }

    /// What she may do on this connection.
    pub(super) fn rights(&self) -> &Rights {
        &self.rights
    }

    pub(super) fn came_by_secret(&self) -> bool {
        self.proven.by_secret()
    }

    pub(super) async fn handle(mut self, server: &Arc<Server>, command: Command) -> Step {
        let reply = match command {
            Command::Cram { digest } => {
                return answered(server, self.caller, self.pending, Proof::Cram(digest)).await;
            }
            Command::Pkam(pkam) => {
                return answered(server, self.caller, self.pending, Proof::Pkam(pkam)).await;
            }
            Command::From(command) => {
                let challenge = from::challenge(server, &mut self.caller, command).await;
                challenge.map(|(challenge, answer)| {
                    self.pending = Some(challenge);
                    answer.into()
                })
            }
            Command::Batch(batch) => errands::batch(&self, server, batch).await.map(Into::into),
            Command::Monitor(command) => self.monitor(server, &command).await,
            Command::Enroll(command) => self.enroll(server, command).await,
            command => self.run(server, command).await.map(Into::into),
        };
        (Session::Owner(self), reply)
    }

    pub(super) async fn run(
        &self,
        server: &Arc<Server>,
        command: Command,
    ) -> Result<Answer, Refusal> {
        let now = server.now();
        let (ledger, limits, rights) = (server.ledger(), &server.world().limits, &self.rights);
        match command {
            Command::Update(command) => {
                rights.check(Deed::Update, command.key.as_str())?;
                self.write(server, Operation::Update, |d| update::run(d, limits, command)).await
            }
            Command::UpdateMeta(command) => {
                rights.check(Deed::Update, command.key.as_str())?;
                self.write(server, Operation::Update, |d| update_meta::run(d, limits, &command))
                    .await
            }
            Command::Delete(command) => self.delete(server, &command).await,
            Command::Llookup(command) => {
                rights.check(Deed::Llookup, command.key.as_str())?;
                ledger.read(|v| llookup::run(v, &command, now)).await
            }
            Command::Lookup(command) => self.lookup(server, &command).await,
            Command::Plookup(command) => self.plookup(server, &command).await,
            Command::Scan(command) => self.scan(server, &command).await,
            Command::Config(command) => errands::config(self, server, command).await,
            Command::NotifyAll(command) => errands::notify_all(self, server, *command).await,
            Command::Stats(command) => errands::stats(server, rights, &command).await,
            Command::SyncFrom(command) => {
                let rights = rights.clone();
                let may_see = move |name: &str| rights.sees(name);
                let page = move |v: &mut View<'_>| sync_from::run(v, &command, &may_see);
                server.survey(Standing::Owner, page).await
            }
            Command::Notify(command) => self.notify(server, &command).await,
            Command::NotifyStatus { id } => {
                ledger.read(|v| notify_status::run(v, rights, &id, now)).await
            }
            Command::NotifyFetch { id } => {
                ledger.read(|v| notify_fetch::run(v, rights, &id, now)).await
            }
            Command::NotifyList(command) => {
                let rights = rights.clone();
                let list = move |v: &mut View<'_>| notify_list::as_owner(v, &rights, &command, now);
                server.survey(Standing::Owner, list).await
            }
            Command::NotifyRemove { id } => {
                self.decide(server, |d| notify_remove::run(d, rights, &id)).await
            }
            Command::Otp(command) => self.otp(server, command).await,
            Command::Keys(command) => self.keys(server, command).await,
            Command::Info { brief: false } => self.info(server).await,
            Command::Pol => Err(Refusal::closing(
                ErrorCode::InternalException,
                "pol is for the servers of other atSigns",
            )),
            command => open::at_leisure(server, command).await,
        }
    }

    /// Decides and writes, unless the enrolment on which the connection stands has ended since it
    /// was looked at: both happen under one lock.
    pub(super) async fn decide<T>(
        &self,
        server: &Server,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        server
            .write(|draft| {
                if let Some(id) = self.rights.enrolment() {
                    record::approved(&mut draft.view, id, draft.identity, draft.now)?;
                }
                decide(draft)
            })
            .await
    }

    /// Writes, and answers the commit's id.
    async fn write(
        &self,
        server: &Arc<Server>,
        change: Operation,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<CommitId, Refusal>,
    ) -> Result<Answer, Refusal> {
        let commit = self.decide(server, decide).await?;
        server.committed(change);
        Ok(Answer::Data(commit.to_string()))
    }

    async fn delete(&self, server: &Arc<Server>, command: &Delete) -> Result<Answer, Refusal> {
        self.rights.check(Deed::Delete, command.key.as_str())?;
        let limits = &server.world().limits;
        self.write(server, Operation::Delete, |draft| delete::run(draft, limits, command)).await
    }

    async fn lookup(&self, server: &Arc<Server>, command: &Lookup) -> Result<Answer, Refusal> {
        let (rights, now) = (&self.rights, server.now());
        if command.owner == *server.identity() {
            return server.ledger().read(|v| lookup::as_owner(v, rights, command, now)).await;
        }
        let name = format!("{}:{}{}", server.identity(), command.entity, command.owner);
        rights.check(Deed::Lookup, &name)?;
        remote::lookup(server, command).await
    }

    async fn plookup(&self, server: &Arc<Server>, command: &Plookup) -> Result<Answer, Refusal> {
        if command.owner != *server.identity() {
            return remote::plookup(server, command).await;
        }
        if command.entity.as_str() == keys::SIGNING_PUBLIC {
            server.ensure_signing().await?;
        }
        let now = server.now();
        server.ledger().read(|view| plookup::own(view, command, now)).await
    }

    async fn scan(&self, server: &Arc<Server>, command: &Scan) -> Result<Answer, Refusal> {
        match command.of.as_ref().filter(|of| *of != server.identity()) {
            Some(peer) => {
                let shared = remote::scan(server, peer, command).await?;
                Ok(scan::shared(&self.rights, server.identity(), shared))
            }
            None => {
                let (rights, command, now) = (self.rights.clone(), command.clone(), server.now());
                let scan = move |view: &mut View<'_>| scan::as_owner(view, &rights, &command, now);
                server.survey(Standing::Owner, scan).await
            }
        }
    }

    async fn notify(&self, server: &Arc<Server>, command: &Notify) -> Result<Answer, Refusal> {
        let (limits, rights) = (&server.world().limits, &self.rights);
        let decided = self.decide(server, |d| notify::as_owner(d, limits, rights, command));
        let sent = decided.await?;
        if let Some(at) = sent.arrived {
            server.announce(at);
        }
        server.deliver();
        Ok(Answer::Data(sent.id))
    }

    async fn monitor(&self, server: &Arc<Server>, command: &Monitor) -> Result<Reply, Refusal> {
        let pattern = Pattern::compile(command.regex.as_deref())?;
        let wants_stats = !command.strict || matches_stats(&pattern, server.identity());
        let limits = &server.world().limits;
        // First listen, then look: what comes between is told twice rather than not at all, and the
        // subscription knows what it was told.
        let audience = Audience {
            pattern,
            rights: self.rights.clone(),
            self_notifications: command.self_notifications,
        };
        let mut subscription = server.monitors().subscribe(audience.clone(), wants_stats, limits);
        let (since, now) = (command.since, server.now());
        let look = move |view: &mut View<'_>| monitor::backlog(view, &audience, since, now);
        let backlog = server.survey(Standing::Owner, look).await?;
        subscription.replays(&backlog);
        Ok(Reply::Monitor { subscription, backlog })
    }
}
