//! Listening sockets, before anything else happens: a port that is taken must be known first.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use protocol::{Address, HostName};
use tokio::net::TcpListener;

use crate::failure::{Exit, Failure};

/// Listens where `option` says. After a failure elsewhere everybody comes at once, so many may wait to
/// be let in.
pub fn bind(address: IpAddr, port: u16, option: &str) -> Result<TcpListener, Failure> {
    net::socket::listen(SocketAddr::new(address, port)).map_err(|error| {
        let what = format!("cannot listen on {address}:{port}: {error}");
        Failure::new(Exit::Unavailable, what)
            .fix(format!("pass {option} with a port that is free (0 takes any)"))
    })
}

/// How others call it.
pub fn address_of(listener: &TcpListener, host: &HostName) -> Result<Address, Failure> {
    let port = listener.local_addr().ok().and_then(|address| NonZeroU16::new(address.port()));
    let port = port.ok_or_else(|| Failure::new(Exit::Failed, "a listener has no port"))?;
    Ok(Address { host: host.clone(), port })
}

/// Where it listens.
pub fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|e| Failure::from_error(Exit::Failed, &e))
}
