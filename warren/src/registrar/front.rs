//! What the registrar's API and page need to know.

use std::net::IpAddr;

use protocol::Address;
use registrar::{AdminToken, FrontConfig, WebRegistration};

use crate::args::WebRegistrationArg;
use crate::failure::{Exit, Failure};
use crate::files::read_bounded;
use crate::tls::Tls;

/// Most bytes of the authority's certificate.
const CA_BYTES_MAX: u64 = 64 * 1024;

/// Who may do what on it, and what it shows.
pub fn config(
    web_registration: Option<WebRegistrationArg>,
    listen: IpAddr,
    admin_token: &str,
    directory: Address,
    tls: &Tls,
) -> Result<FrontConfig, Failure> {
    let registration = match web_registration {
        Some(WebRegistrationArg::Open) => WebRegistration::Open,
        Some(WebRegistrationArg::Token) => WebRegistration::TokenRequired,
        None if listen.is_loopback() => WebRegistration::Open,
        None => WebRegistration::TokenRequired,
    };
    // Clients know the authority of a certificate that was brought along; ours they do not.
    let ca_pem = if tls.is_own_authority {
        let pem = read_bounded(&tls.ca_file, CA_BYTES_MAX);
        Some(pem.map_err(|error| Failure::from_error(Exit::Failed, &error))?)
    } else {
        None
    };
    let admin = AdminToken::parse(admin_token).map_err(|error| {
        Failure::from_error(Exit::Failed, &error)
            .fix("delete admin.token in the data directory: a start makes one")
    })?;
    Ok(FrontConfig { admin, feed: None, registration, directory, ca_pem })
}
