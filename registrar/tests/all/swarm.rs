//! A host that keeps its servers in memory and fails when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard};

use protocol::control::placement::Placement;
use protocol::{AtSign, Epoch, HostLabel, VolumeId};
use registrar::{ActivationSecret, Step, Swarm, SwarmError, SwarmStep};
use tokio::sync::Notify;

/// What happens to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Nothing is done, and the caller hears why.
    Fail(SwarmError),
    /// It is done, and the caller hears of a failure.
    DoneButFail(SwarmError),
    /// The caller dies before it is done.
    DieBefore,
    /// The caller dies after it is done.
    DieAfter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeServer {
    pub identity: AtSign,
    pub epoch: Epoch,
    pub secret: String,
}

type Rule = Arc<dyn Fn(usize, Step) -> Fault + Send + Sync>;

#[derive(Default)]
pub struct Host {
    pub servers: BTreeMap<VolumeId, FakeServer>,
    /// Open routes by port.
    pub routes: BTreeMap<u16, VolumeId>,
    /// Ports that other programs hold.
    pub taken: BTreeSet<u16>,
    pub calls: Vec<(Step, AtSign, u16)>,
    rule: Option<Rule>,
}

#[derive(Default)]
pub struct FakeSwarm {
    host: Mutex<Host>,
    died: Notify,
}

impl FakeSwarm {
    pub fn host(&self) -> MutexGuard<'_, Host> {
        self.host.lock().unwrap()
    }

    /// The rule decides by the number of the call, from 0, and its step.
    pub fn set_rule(&self, rule: impl Fn(usize, Step) -> Fault + Send + Sync + 'static) {
        self.host().rule = Some(Arc::new(rule));
    }

    pub fn heal(&self) {
        self.host().rule = None;
    }

    /// Waits until a caller was to die.
    pub async fn died(&self) {
        self.died.notified().await;
    }

    async fn call(
        &self,
        step: Step,
        placement: &Placement,
        act: impl FnOnce(&mut Host) -> Result<(), SwarmError> + Send,
    ) -> Result<(), SwarmError> {
        let fault = {
            let mut host = self.host();
            let number = host.calls.len();
            host.calls.push((step, placement.identity.clone(), placement.address.port.get()));
            host.rule.clone().map_or(Fault::None, |rule| rule(number, step))
        };
        match fault {
            Fault::None => act(&mut self.host()),
            Fault::Fail(error) => Err(error),
            Fault::DoneButFail(error) => act(&mut self.host()).and(Err(error)),
            Fault::DieBefore => self.die().await,
            Fault::DieAfter => {
                act(&mut self.host())?;
                self.die().await
            }
        }
    }

    async fn die(&self) -> Result<(), SwarmError> {
        self.died.notify_one();
        std::future::pending().await
    }
}

impl Swarm for FakeSwarm {
    fn create<'a>(
        &'a self,
        placement: &'a Placement,
        secret: &'a ActivationSecret,
    ) -> SwarmStep<'a> {
        Box::pin(self.call(Step::Create, placement, |host| {
            let server = FakeServer {
                identity: placement.identity.clone(),
                epoch: placement.epoch,
                secret: secret.expose().to_owned(),
            };
            let there = host.servers.entry(placement.volume).or_insert_with(|| server.clone());
            assert_eq!(*there, server, "create must say the same each time");
            Ok(())
        }))
    }

    fn start<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(self.call(Step::Start, placement, |host| {
            let port = way(placement);
            if host.taken.contains(&port) {
                return Err(SwarmError::PortTaken);
            }
            let before = host.routes.insert(port, placement.volume);
            assert!(before.is_none_or(|volume| volume == placement.volume), "two on one port");
            Ok(())
        }))
    }

    fn probe<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(self.call(Step::Probe, placement, |host| match host.routes.get(&way(placement)) {
            Some(volume) if host.servers.contains_key(volume) => Ok(()),
            _ => Err(SwarmError::NotReachable("connection refused".into())),
        }))
    }

    fn stop<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(self.call(Step::Stop, placement, |host| {
            host.routes.retain(|_, volume| *volume != placement.volume);
            Ok(())
        }))
    }

    fn remove<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(self.call(Step::Remove, placement, |host| {
            host.servers.remove(&placement.volume);
            Ok(())
        }))
    }
}

/// Her port; of who has none, one below all others that stands for her name.
fn way(placement: &Placement) -> u16 {
    let [high, low, ..] = *HostLabel::of(&placement.identity).as_bytes();
    placement.port.map_or(u16::from_be_bytes([high, low]) % 1_024, NonZeroU16::get)
}
