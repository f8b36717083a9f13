//! From a free name to a published one: each step durable before the next begins, publishing last.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use protocol::control::names::CellId;
use protocol::control::placement::Placement;
use protocol::{Address, AtSign, RegistrationId, VolumeId};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::error::RegisterError;
use crate::limits::{PORT_TRIES_MAX, RUNNING_MAX, STEP_DEADLINE, STEP_PAUSE_MS, STEP_TRIES_MAX};
use crate::names::{Claim, Home, NameRecord};
use crate::opening::random;
use crate::registrar::Registrar;
use crate::secret::ActivationSecret;
use crate::swarm::{Step, SwarmError};
use crate::tier::Tier;

/// What an owner gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Her identity.
    pub identity: AtSign,
    /// Where her server is.
    pub address: Address,
    /// With which she activates it.
    pub activation_secret: ActivationSecret,
    /// The cell that runs it, if that is not this process.
    pub cell: Option<CellId>,
}

impl Registrar {
    /// Registers `name`, or goes on with the registration `id` of it, or hands over again what
    /// that registration led to. It goes on to its end even if nobody waits for it any more.
    ///
    /// # Errors
    /// [`RegisterError`]; after [`RegisterError::Swarm`] the name stays reserved for `id`.
    pub async fn register(
        self: &Arc<Self>,
        name: AtSign,
        id: RegistrationId,
    ) -> Result<Registered, RegisterError> {
        self.register_in(name, id, Tier::Shared).await
    }

    /// The same in a cell of this kind. What the registration asked for first stays.
    ///
    /// # Errors
    /// As for [`register`](Self::register).
    pub async fn register_in(
        self: &Arc<Self>,
        name: AtSign,
        id: RegistrationId,
        tier: Tier,
    ) -> Result<Registered, RegisterError> {
        if !name.can_own_keys() {
            return Err(RegisterError::CannotOwnKeys(name));
        }
        if self.fleet.is_none() && tier != Tier::Shared {
            return Err(RegisterError::OneTier);
        }
        self.ledger.in_reach()?;
        let this = Arc::clone(self);
        // Ending it anywhere is safe, but a task of its own finishes what a client began.
        let task = tokio::spawn(async move { this.register_in_turn(&name, id, tier).await });
        tokio::select! {
            biased;
            outcome = task => outcome.map_err(|_| RegisterError::Stopping)?,
            // It goes on when the store does, and then is found by asking again.
            error = self.ledger.out_of_reach() => Err(error.into()),
        }
    }

    /// Takes up every unfinished registration and deletion, and returns when each was tried once.
    /// What fails is logged and stays for the next time.
    pub async fn resume(self: &Arc<Self>) {
        let this = Arc::clone(self);
        // As in `register`: whoever stops waiting must not cut a write off from its announcement.
        let resumed = tokio::spawn(async move { this.resume_all().await });
        if resumed.await.is_err() {
            tracing::warn!("the registrar stopped while it took up what was unfinished");
        }
    }

    async fn resume_all(self: &Arc<Self>) {
        let names = self.book().unfinished();
        let mut tasks = JoinSet::new();
        for name in names {
            if tasks.len() >= RUNNING_MAX {
                tasks.join_next().await;
            }
            let this = Arc::clone(self);
            tasks.spawn(async move { this.resume_in_turn(&name).await });
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn register_in_turn(
        &self,
        name: &AtSign,
        id: RegistrationId,
        tier: Tier,
    ) -> Result<Registered, RegisterError> {
        let _turn = self.turns.take(name).await.ok_or(RegisterError::Busy)?;
        let record = self.claim(name, id, tier).await?;
        let home = self.finish(name, record).await?;
        let activation_secret = self.secret(name, &home);
        let (address, cell) = (self.address(name, &home)?, home.cell);
        Ok(Registered { identity: name.clone(), address, activation_secret, cell })
    }

    /// The record of `name` if it is this registration's, which it is now if the name was free.
    async fn claim(
        &self,
        name: &AtSign,
        id: RegistrationId,
        tier: Tier,
    ) -> Result<NameRecord, RegisterError> {
        let last = match self.ledger.name(name).await? {
            None => None,
            Some(NameRecord::Retired(tombstone)) => Some(tombstone),
            Some(NameRecord::Deleting(_)) => return Err(RegisterError::BeingDeleted(name.clone())),
            Some(record) if record.claim().is_some_and(|claim| claim.registration == id) => {
                return Ok(record);
            }
            Some(_) => return Err(RegisterError::Taken(name.clone())),
        };
        let record = NameRecord::reserve(last, id, tier, self.clock.now())?;
        self.write(name, |_| Ok(record)).await
    }

    async fn resume_in_turn(&self, name: &AtSign) {
        let Some(_turn) = self.turns.take(name).await else { return };
        if let Err(error) = self.resume_name(name).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(identity = %name, %error, cause, "left unfinished for now");
        }
    }

    async fn resume_name(&self, name: &AtSign) -> Result<(), RegisterError> {
        match self.ledger.name(name).await? {
            Some(NameRecord::Deleting(home)) => self.finish_deletion(name, home).await,
            Some(record) if record.state().is_unfinished() => {
                self.finish(name, record).await.map(drop)
            }
            // Somebody else finished it meanwhile.
            _ => Ok(()),
        }
    }

    /// Takes a registration through all the steps that are left. The caller has the name's turn.
    async fn finish(&self, name: &AtSign, first: NameRecord) -> Result<Home, RegisterError> {
        let mut record = first;
        let mut ports_left = PORT_TRIES_MAX;
        loop {
            if let NameRecord::Published(home) = record {
                return Ok(home);
            }
            record = match (self.step(name, record).await, record.home()) {
                (Err(RegisterError::Swarm { source: SwarmError::PortTaken, .. }), Some(home))
                    if ports_left > 0
                        && let Some(port) = home.port =>
                {
                    ports_left -= 1;
                    self.place_again(name, *home, port).await?
                }
                (outcome, _) => outcome?,
            };
        }
    }

    /// The one step that `record` awaits, done and durable.
    async fn step(&self, name: &AtSign, record: NameRecord) -> Result<NameRecord, RegisterError> {
        let next = match record {
            NameRecord::Reserved(claim) => return self.place(name, claim).await,
            NameRecord::Placed(home) => {
                self.insist(Step::Create, name, &home).await?;
                NameRecord::Created(home.at(self.clock.now()))
            }
            NameRecord::Created(home) => {
                self.insist(Step::Start, name, &home).await?;
                NameRecord::Started(home.at(self.clock.now()))
            }
            NameRecord::Started(home) => {
                self.insist(Step::Probe, name, &home).await?;
                NameRecord::Reachable(home.at(self.clock.now()))
            }
            NameRecord::Reachable(home) => NameRecord::Published(home.at(self.clock.now())),
            NameRecord::Published(_) => return Ok(record),
            NameRecord::Deleting(_) | NameRecord::Retired(_) => {
                return Err(RegisterError::BeingDeleted(name.clone()));
            }
        };
        self.write(name, |_| Ok(next)).await
    }

    async fn place(&self, name: &AtSign, claim: Claim) -> Result<NameRecord, RegisterError> {
        let (volume, now) = (VolumeId::from_bytes(random()?), self.clock.now());
        let (fleet, needs_port) = (self.fleet.as_ref(), self.addressing.needs_ports());
        let placed = self.write(name, |ports| {
            let port = needs_port.then(|| ports.choose(now)).transpose()?;
            let cell = fleet.map(|fleet| fleet.settle(volume, claim.tier)).transpose()?;
            Ok(NameRecord::Placed(claim.place(port, volume, now).in_cell(cell)))
        });
        let placed = placed.await;
        if let (Err(_), Some(fleet)) = (&placed, fleet) {
            fleet.leave(volume);
        }
        placed
    }

    /// Another port for a server whose port somebody else holds. Its volume stays.
    async fn place_again(
        &self,
        name: &AtSign,
        home: Home,
        port: NonZeroU16,
    ) -> Result<NameRecord, RegisterError> {
        tracing::warn!(identity = %name, port, "the port is taken, trying another");
        self.insist(Step::Stop, name, &home).await?;
        let now = self.clock.now();
        self.write(name, |ports| {
            ports.avoid(port, now);
            Ok(NameRecord::Placed(home.moved_to(ports.choose(now)?, now)))
        })
        .await
    }

    /// Asks the swarm for a step, a few times if what fails may pass.
    pub(crate) async fn insist(
        &self,
        step: Step,
        name: &AtSign,
        home: &Home,
    ) -> Result<(), RegisterError> {
        let placement = self.placement(name, home)?;
        let secret = self.secret(name, home);
        let mut tries = 0;
        loop {
            let asked = self.ask(step, &placement, &secret, tries > 0);
            let outcome = timeout(STEP_DEADLINE, asked).await.unwrap_or(Err(SwarmError::Late));
            let Err(source) = outcome else { return Ok(()) };
            self.metrics.failed(step);
            tries += 1;
            if tries == STEP_TRIES_MAX || !source.may_pass() {
                return Err(RegisterError::Swarm { identity: name.clone(), step, source });
            }
            sleep(Duration::from_millis(STEP_PAUSE_MS << tries)).await;
        }
    }

    async fn ask(
        &self,
        step: Step,
        placement: &Placement,
        secret: &ActivationSecret,
        is_again: bool,
    ) -> Result<(), SwarmError> {
        match step {
            Step::Create => self.swarm.create(placement, secret).await,
            Step::Start => self.swarm.start(placement).await,
            Step::Probe => {
                // A host that began anew since may have lost the route.
                if is_again {
                    self.swarm.start(placement).await?;
                }
                self.swarm.probe(placement).await
            }
            Step::Stop => self.swarm.stop(placement).await,
            Step::Remove => self.swarm.remove(placement).await,
        }
    }
}
