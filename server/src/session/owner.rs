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
use crate::keys;
use crate::notify::monitor::matches_stats;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::share::Standing;
use crate::verb::{
    Pattern, config, delete, llookup, lookup, monitor, notify, notify_fetch, notify_list,
    notify_remove, notify_status, plookup, scan, sees_everything, sync_from, update, update_meta,
};
use crate::view::View;

pub(crate) struct Owner {
    pub(super) caller: Caller,
    /// She may prove herself again, in another way.
    pending: Option<Challenge>,
    _proven: OwnerProven,
}

impl Owner {
    pub(super) fn new(caller: Caller, proven: OwnerProven) -> Self {
        Self { caller, pending: None, _proven: proven }
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
        let (ledger, limits) = (server.ledger(), &server.world().limits);
        match command {
            Command::Update(command) => {
                self.write(server, Operation::Update, |d| update::run(d, limits, command)).await
            }
            Command::UpdateMeta(command) => {
                self.write(server, Operation::Update, |d| update_meta::run(d, limits, &command))
                    .await
            }
            Command::Delete(command) => self.delete(server, &command).await,
            Command::Llookup(command) => ledger.read(|v| llookup::run(v, &command, now)).await,
            Command::Lookup(command) => self.lookup(server, &command).await,
            Command::Plookup(command) => self.plookup(server, &command).await,
            Command::Scan(command) => self.scan(server, &command).await,
            Command::Config(command) => server.write(|d| config::run(d, command)).await,
            Command::NotifyAll(command) => errands::notify_all(server, *command).await,
            Command::Stats(command) => errands::stats(server, &command).await,
            Command::SyncFrom(command) => {
                ledger.read(|v| sync_from::run(v, &command, &sees_everything)).await
            }
            Command::Notify(command) => self.notify(server, &command).await,
            Command::NotifyStatus { id } => ledger.read(|v| notify_status::run(v, &id, now)).await,
            Command::NotifyFetch { id } => ledger.read(|v| notify_fetch::run(v, &id, now)).await,
            Command::NotifyList(command) => {
                let list = |v: &mut View<'_>| notify_list::run(v, &command, None, now);
                server.survey(Standing::Owner, list).await
            }
            Command::NotifyRemove { id } => server.write(|d| notify_remove::run(d, &id)).await,
            Command::Pol => Err(Refusal::closing(
                ErrorCode::InternalException,
                "pol is for the servers of other atSigns",
            )),
            command => open::at_leisure(server, command).await,
        }
    }

    /// Writes, and answers the commit's id.
    async fn write(
        &self,
        server: &Arc<Server>,
        change: Operation,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<CommitId, Refusal>,
    ) -> Result<Answer, Refusal> {
        let commit = server.write(decide).await?;
        server.committed(change);
        Ok(Answer::Data(commit.to_string()))
    }

    async fn delete(&self, server: &Arc<Server>, command: &Delete) -> Result<Answer, Refusal> {
        let limits = &server.world().limits;
        self.write(server, Operation::Delete, |draft| delete::run(draft, limits, command)).await
    }

    async fn lookup(&self, server: &Arc<Server>, command: &Lookup) -> Result<Answer, Refusal> {
        let now = server.now();
        if command.owner == *server.identity() {
            return server.ledger().read(|view| lookup::as_owner(view, command, now)).await;
        }
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
            Some(peer) => remote::scan(server, peer, command).await,
            None => {
                let now = server.now();
                let scan = |view: &mut View<'_>| scan::as_owner(view, command, now);
                server.survey(Standing::Owner, scan).await
            }
        }
    }

    async fn notify(&self, server: &Arc<Server>, command: &Notify) -> Result<Answer, Refusal> {
        let limits = &server.world().limits;
        let sent = server.write(|draft| notify::as_owner(draft, limits, command)).await?;
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
        let mut subscription = server.monitors().subscribe(pattern.clone(), wants_stats, limits);
        let now = server.now();
        let backlog = server
            .survey(Standing::Owner, |view| monitor::backlog(view, &pattern, command.since, now))
            .await?;
        subscription.replays(&backlog);
        Ok(Reply::Monitor { subscription, backlog })
    }
}
