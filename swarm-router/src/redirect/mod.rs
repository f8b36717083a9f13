//! One socket for a whole range of ports: the kernel brings their connections to it.
//!
//! A rule of the kernel's packet filter (nf_tables, spoken to over netlink) changes the port of what
//! begins a connection to one of this machine's own addresses and a port of the ranges to that of the
//! front; the accepted socket still tells which port was meant ([`meant`]). The table belongs to the
//! socket that made it: however this process ends, the kernel removes it.
//!
//! **Who else is there.** A port on which another program of this machine listens stays its own: such
//! ports are asked of the kernel and kept in a set that the rules leave alone
//! ([`Redirect::refresh`]). Single ports that somebody publishes with rules (Docker does) come
//! first, for their rules have a lower priority. Connections that this machine began, or that were
//! there before, are no beginnings and pass. What goes through to other machines and containers is
//! not for an own address, and passes too.
//!
//! **What it costs.** The kernel keeps track of each redirected connection
//! (`net.netfilter.nf_conntrack_max` bounds them), and a firewall sees the front's port.

mod message;
mod rules;
mod socket;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};

use self::message::Batch;
use self::rules::Plan;
use self::socket::{KernelSocket, listening_ports};

/// Why there is no redirect.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// This process may not change the packet filter.
    #[error("the packet filter is not this process's to change (it needs CAP_NET_ADMIN)")]
    NotAllowed(#[source] io::Error),
    /// The kernel has no packet filter, or one that is too old or lacks parts.
    #[error("this kernel cannot redirect a range of ports (it needs nf_tables, Linux 5.12)")]
    NotThere(#[source] io::Error),
    /// What was handed over is no socket to the packet filter.
    #[error("what was handed over is no socket to the packet filter")]
    NoFilter,
    /// Anything else.
    #[error("the packet filter could not be changed")]
    Failed(#[source] io::Error),
}

impl RedirectError {
    fn of(error: io::Error) -> Self {
        // As Linux numbers them: no such file, wrong value, no such family, protocol or operation.
        const NOT_THERE: [i32; 6] = [2, 22, 93, 95, 97, 102];
        match error.raw_os_error() {
            Some(1 | 13) => Self::NotAllowed(error),
            Some(code) if NOT_THERE.contains(&code) => Self::NotThere(error),
            _ => Self::Failed(error),
        }
    }
}

/// The redirect of a router. It lasts until this and every copy of its socket is gone.
#[derive(Debug)]
pub struct Redirect {
    plan: Plan,
    state: Mutex<State>,
    socket: KernelSocket,
}

#[derive(Debug)]
struct State {
    next: u32,
    busy: BTreeSet<u16>,
}

impl Redirect {
    /// Redirects these ports of this address, or of all own ones where it is unspecified, to the port
    /// of the front.
    ///
    /// # Errors
    /// [`RedirectError`] if it cannot be, and then nothing has changed.
    pub fn establish(
        front: SocketAddr,
        ports: Vec<RangeInclusive<u16>>,
    ) -> Result<Self, RedirectError> {
        let socket = KernelSocket::to_filter().map_err(RedirectError::of)?;
        let redirect = Self::over(socket, front, ports);
        redirect.renew()?;
        Ok(redirect)
    }

    /// Goes on with the redirect of another process, whose socket this is. Nothing changes before
    /// [`renew`](Self::renew).
    ///
    /// # Errors
    /// [`RedirectError::NoFilter`] if it is another kind of socket.
    pub fn adopt(
        socket: OwnedFd,
        front: SocketAddr,
        ports: Vec<RangeInclusive<u16>>,
    ) -> Result<Self, RedirectError> {
        let socket = KernelSocket::adopt(socket).ok_or(RedirectError::NoFilter)?;
        Ok(Self::over(socket, front, ports))
    }

    fn over(socket: KernelSocket, front: SocketAddr, ports: Vec<RangeInclusive<u16>>) -> Self {
        let table = format!("warren-router-{}", front.port());
        let plan = Plan { table, address: front.ip(), ports, front: front.port() };
        Self { plan, socket, state: Mutex::new(State { next: 1, busy: BTreeSet::new() }) }
    }

    /// Sets all rules anew, in one step: nobody who connects meanwhile notices.
    ///
    /// # Errors
    /// [`RedirectError`]; then all is as it was.
    pub fn renew(&self) -> Result<(), RedirectError> {
        let mut state = self.state();
        let busy = self.busy().map_err(RedirectError::of)?;
        let ports: Vec<_> = busy.iter().copied().collect();
        self.change(&mut state, |number| self.plan.establish(number, &ports))?;
        state.busy = busy;
        Ok(())
    }

    /// Looks which ports other programs listen on, and leaves these to them.
    ///
    /// # Errors
    /// [`RedirectError`]; then all is as it was.
    pub fn refresh(&self) -> Result<BTreeSet<u16>, RedirectError> {
        let mut state = self.state();
        let busy = self.busy().map_err(RedirectError::of)?;
        let more: Vec<_> = busy.difference(&state.busy).copied().collect();
        let fewer: Vec<_> = state.busy.difference(&busy).copied().collect();
        if !(more.is_empty() && fewer.is_empty()) {
            self.change(&mut state, |number| self.plan.change(number, &more, &fewer))?;
            state.busy.clone_from(&busy);
        }
        Ok(busy)
    }

    /// Redirects nothing new; what was redirected goes on.
    ///
    /// # Errors
    /// [`RedirectError`]; then all is as it was.
    pub fn release(&self) -> Result<(), RedirectError> {
        self.change(&mut self.state(), |number| self.plan.release(number))
    }

    /// The ports that others listen on, of those that are redirected.
    fn busy(&self) -> io::Result<BTreeSet<u16>> {
        let is_ours = |port: &u16| self.plan.ports.iter().any(|range| range.contains(port));
        let mut busy = listening_ports()?;
        busy.retain(|port| is_ours(port) && *port != self.plan.front);
        Ok(busy)
    }

    fn change(
        &self,
        state: &mut State,
        batch: impl FnOnce(u32) -> Batch,
    ) -> Result<(), RedirectError> {
        let batch = batch(state.next);
        state.next = batch.after();
        self.socket.change(batch).map_err(RedirectError::of)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Redirect {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Which address and port a redirected connection was meant for; none if the kernel does not know.
pub(crate) fn meant(stream: &impl AsFd, local: IpAddr) -> Option<SocketAddr> {
    match local.to_canonical() {
        IpAddr::V4(_) => ip_original_dst(stream).ok().map(SocketAddr::V4),
        IpAddr::V6(_) => ipv6_original_dst(stream).ok().map(SocketAddr::V6),
    }
}
