//! `warren directory serve --dns`: the same answers as DNS.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use directory::dns::{DnsFront, Zone};
use directory::limits::DNS_ANSWERS_PER_SECOND;
use directory::{Directory, Parent};
use net::drain::Drain;
use net::handover::Doors;
use net::tls::ServerTls;
use net::udp::UdpDoor;
use protocol::HostName;
use tokio::net::TcpListener;

use crate::directory::succession::role;
use crate::failure::{Exit, Failure};
use crate::listening::local;
use crate::output;

#[derive(Debug, Args)]
#[command(next_help_heading = "DNS")]
pub struct DnsArgs {
    /// Answer DNS over UDP and TCP here (repeatable)
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_DNS", value_delimiter = ',')]
    #[arg(requires = "dns_zone")]
    pub dns: Vec<SocketAddr>,
    /// Answer DNS over TLS here, with the same certificate (repeatable)
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_DNS_TLS", value_delimiter = ',')]
    #[arg(requires = "dns_zone")]
    pub dns_tls: Vec<SocketAddr>,
    /// The zone to answer for, such as dir.example.org
    #[arg(long, value_name = "NAME", env = "WARREN_DNS_ZONE")]
    pub dns_zone: Option<DnsName>,
    /// Name server of the zone (repeatable) [default: ns in the zone]
    #[arg(long, value_name = "NAME", env = "WARREN_DNS_NS", value_delimiter = ',')]
    pub dns_ns: Vec<DnsName>,
    /// Address of a host that servers or name servers run on (repeatable)
    #[arg(long, value_name = "NAME=IP", env = "WARREN_DNS_HOST", value_delimiter = ',')]
    pub dns_host: Vec<HostAddress>,
    /// Answers a second over UDP to one network of addresses; beyond it clients are sent to TCP
    /// (0: no limit)
    #[arg(long, value_name = "N", env = "WARREN_DNS_RATE", default_value_t = DNS_ANSWERS_PER_SECOND)]
    pub dns_rate: u32,
}

/// A host's name, with or without the dot at its end.
#[derive(Debug, Clone)]
pub struct DnsName(HostName);

/// An address of a host.
#[derive(Debug, Clone)]
pub struct HostAddress(HostName, IpAddr);

impl FromStr for DnsName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        HostName::parse(bare).map(Self).map_err(|e| e.to_string())
    }
}

impl FromStr for HostAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, address) = text.split_once('=').ok_or("write NAME=IP")?;
        let DnsName(name) = name.parse()?;
        let address = address.parse().map_err(|_| format!("'{address}' is not an IP address"))?;
        Ok(Self(name, address))
    }
}

/// The zone, and where it is answered for.
pub struct Dns {
    origin: HostName,
    zone: Zone,
    rate: u32,
    plain: Vec<(TcpListener, UdpDoor)>,
    tls: Vec<TcpListener>,
}

/// Listens, where that is asked for.
pub fn listen(args: &DnsArgs, doors: &mut Doors) -> Result<Option<Dns>, Failure> {
    let Some(DnsName(origin)) = &args.dns_zone else { return Ok(None) };
    if args.dns.is_empty() && args.dns_tls.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("nothing answers for the zone {origin}"))
            .fix("pass --dns ADDR:PORT or --dns-tls ADDR:PORT, or leave out --dns-zone"));
    }
    let servers: Vec<_> = args.dns_ns.iter().map(|DnsName(name)| name.clone()).collect();
    let hosts: Vec<_> =
        args.dns_host.iter().map(|HostAddress(name, ip)| (name.clone(), *ip)).collect();
    let zone =
        Zone::new(origin, &servers, &hosts).map_err(|e| Failure::from_error(Exit::Usage, &e))?;
    let (origin, rate) = (origin.clone(), args.dns_rate);
    let mut dns = Dns { origin, zone, rate, plain: Vec::new(), tls: Vec::new() };
    for wanted in &args.dns {
        dns.plain.push(bind(doors, *wanted).map_err(|e| taken("--dns", *wanted, &e))?);
    }
    for wanted in &args.dns_tls {
        let listener = doors.listen(&role::DNS_TLS, *wanted);
        dns.tls.push(listener.map_err(|e| taken("--dns-tls", *wanted, &e))?);
    }
    Ok(Some(dns))
}

impl Dns {
    /// Prints where it listens.
    pub fn announce(&self) -> Result<(), Failure> {
        let Self { origin, plain, tls, .. } = self;
        for (listener, _) in plain {
            let address = local(listener)?;
            output::line(format_args!("dns         {address}   (answers for {origin})"))?;
        }
        for listener in tls {
            let address = local(listener)?;
            output::line(format_args!("dns-tls     {address}   (answers for {origin})"))?;
        }
        Ok(())
    }

    /// Begins to answer; then it counts what it does.
    pub fn serve(
        self,
        directory: &Arc<Directory>,
        parent: Option<Arc<Parent>>,
        tls: &ServerTls,
        drain: &Drain,
    ) -> Arc<DnsFront> {
        let front = DnsFront::new(Arc::clone(directory), parent, self.zone, self.rate);
        for (listener, door) in self.plain {
            drain.spawn(Arc::clone(&front).serve_udp(door, drain.clone()));
            drain.spawn(Arc::clone(&front).serve_tcp(listener, drain.clone()));
        }
        for listener in self.tls {
            drain.spawn(Arc::clone(&front).serve_tls(listener, tls.clone(), drain.clone()));
        }
        front
    }
}

/// The same port over TCP, which nobody else can share, and then over UDP.
fn bind(doors: &mut Doors, address: SocketAddr) -> std::io::Result<(TcpListener, UdpDoor)> {
    let listener = doors.listen(&role::DNS, address)?;
    let door = doors.udp(&role::DNS_UDP, listener.local_addr()?)?;
    Ok((listener, door))
}

fn taken(flag: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unavailable, format!("cannot listen on {address}: {error}"))
        .fix(format!("pass {flag} with an address of this machine and a port that is free"))
}
