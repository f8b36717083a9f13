//! Where one identity is.

use std::num::NonZeroU16;

use protocol::{Address, Epoch, Host};

/// An address that borrows its host's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The host.
    pub host: Host<'a>,
    /// The port.
    pub port: NonZeroU16,
    /// Under which epoch the identity is there.
    pub epoch: Epoch,
}

impl Place<'_> {
    /// The address, with a copy of the host's name.
    #[must_use]
    pub fn address(&self) -> Address {
        Address { host: self.host.to_name(), port: self.port }
    }
}
