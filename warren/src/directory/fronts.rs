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
use crate::listening::local;
use crate::monitoring::Monitored;
use crate::output;

/// What listens.
pub struct Fronts {
    line: TcpListener,
    https: Option<TcpListener>,
    dns: Option<Dns>,
    watchers: Option<TcpListener>,
}

/// What those who ask meet beside the directory.
pub struct Terms {
    pub tls: ServerTls,
    pub relay: Option<RelayToken>,
    pub parent: Option<Arc<Parent>>,
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

    /// Prints where everything is: before anybody is answered, for where nobody reads this the
    /// program ends.
    pub fn announce(&self, says: &str) -> Result<(), Failure> {
        output::line(format_args!("directory   {}   ({says})", local(&self.line)?))?;
        if let Some(https) = &self.https {
            let address = local(https)?;
            output::line(format_args!(
                "https       {address}   (/v1/openapi.json says what there is)"
            ))?;
        }
        if let Some(dns) = &self.dns {
            dns.announce()?;
        }
        if let Some(watchers) = &self.watchers {
            output::line(format_args!("metrics     http://{}/metrics", local(watchers)?))?;
        }
        Ok(())
    }

    /// Answers until the drain begins.
    pub fn serve(self, directory: &Arc<Directory>, terms: Terms, drain: &Drain) -> Monitored {
        let Terms { tls, relay, parent } = terms;
        if let Some(https) = self.https {
            let front = Arc::clone(directory);
            let served =
                front.serve_https_below(parent.clone(), https, tls.clone(), relay, drain.clone());
            drain.spawn(served);
        }
        let dns = self.dns.map(|dns| dns.serve(directory, parent.clone(), &tls, drain));
        let monitored = watchers::serve(self.watchers, directory, dns.as_deref(), drain);
        let line = Arc::clone(directory);
        drain.spawn(line.serve_below(parent, self.line, tls, drain.clone()));
        monitored
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
