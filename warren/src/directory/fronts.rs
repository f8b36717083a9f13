//! Everything that a replica answers on: first all of it listens, then all of it serves.

use std::net::SocketAddr;
use std::sync::Arc;

use directory::{Directory, Parent, RelayToken};
use net::drain::Drain;
use net::handover::{Doors, Role};
use net::tls::ServerTls;
use tokio::net::TcpListener;

use crate::args::ServeArgs;
use crate::directory::dns::{self, Dns};
use crate::directory::succession::role;
use crate::directory::watchers;
use crate::failure::{Exit, Failure};
use crate::monitoring::Monitored;
use crate::output;

/// What listens.
pub struct Fronts {
    line: TcpListener,
    https: Option<TcpListener>,
    dns: Option<Dns>,
    watchers: Option<TcpListener>,
}

/// What those who ask are shown and told beside the directory.
pub struct Terms {
    pub tls: ServerTls,
    pub relay: Option<RelayToken>,
    pub parent: Option<Arc<Parent>>,
    /// Where the directory's knowledge is from.
    pub says: String,
}

impl Fronts {
    /// Takes or binds every socket; nobody is answered yet.
    pub fn listen(args: &ServeArgs, doors: &mut Doors) -> Result<Self, Failure> {
        let line = SocketAddr::new(args.listen, args.port);
        let https = args.https.map(|address| listen(doors, &role::HTTPS, address, "--https"));
        Ok(Self {
            line: listen(doors, &role::LINE, line, "--port")?,
            https: https.transpose()?,
            dns: dns::listen(&args.dns, doors)?,
            watchers: watchers::listen(args, doors)?,
        })
    }

    /// Answers until the drain begins.
    pub fn serve(
        self,
        args: &ServeArgs,
        directory: &Arc<Directory>,
        terms: Terms,
        drain: &Drain,
    ) -> Result<Monitored, Failure> {
        let Terms { tls, relay, parent, says } = terms;
        output::line(format_args!("directory   {}   ({says})", local(&self.line)?))?;
        if let Some(https) = self.https {
            let address = local(&https)?;
            output::line(format_args!(
                "https       {address}   (/v1/openapi.json says what there is)"
            ))?;
            let front = Arc::clone(directory);
            drain.spawn(front.serve_https(https, tls.clone(), relay, drain.clone()));
        }
        let dns = dns::serve(&args.dns, self.dns, directory, &tls, drain)?;
        let monitored = watchers::serve(self.watchers, directory, dns.as_deref(), drain)?;
        let line = Arc::clone(directory);
        drain.spawn(line.serve_below(parent, self.line, tls, drain.clone()));
        Ok(monitored)
    }
}

fn listen(
    doors: &mut Doors,
    role: &Role,
    address: SocketAddr,
    flag: &str,
) -> Result<TcpListener, Failure> {
    doors.listen(role, address).map_err(|error| {
        let what = format!("cannot listen on {address}: {error}");
        Failure::new(Exit::Unavailable, what).fix(format!("pass {flag} with a port that is free"))
    })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|e| Failure::from_error(Exit::Failed, &e))
}
