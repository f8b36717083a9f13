//! The directory above a replica, as the command line names it.

use std::sync::Arc;

use directory::Parent;
use net::dial::{DialPolicy, Dialer};
use net::limits::DIAL_DEADLINE;
use net::tls::{ClientTls, TlsError, TrustRoots};

use crate::args::ServeArgs;
use crate::failure::{Exit, Failure};
use crate::files::system_authorities;

/// Whom to ask for names that are not here, if anybody. It is called wherever it is: the operator
/// names it, no stranger does.
pub fn of(args: &ServeArgs) -> Result<Option<Arc<Parent>>, Failure> {
    let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
    let Some(address) = &args.parent else { return Ok(None) };
    let file = args.parent_ca.clone().or_else(system_authorities).ok_or_else(|| {
        Failure::new(Exit::Usage, "there are no authorities to trust on this system")
            .fix("pass --parent-ca with the PEM file of the authority of --parent")
    })?;
    let roots = TrustRoots::from_pem_file(&file).map_err(usage)?;
    let tls = ClientTls::new(&roots, None).map_err(usage)?;
    let dialer = Dialer::new(tls, DialPolicy::Any, DIAL_DEADLINE);
    Ok(Some(Arc::new(Parent::new(address.clone(), dialer))))
}
