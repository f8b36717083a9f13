//! `warren router trace`: which way a connection would take, and why.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use net::probe::http_get;
use protocol::{Address, AtSign, HostLabel};
use serde::Serialize;
use swarm_router::{Entrance, Trace, Way};

use crate::api::{Api, CellView};
use crate::args::Connection;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::table::{age, fact};

/// For each of connecting, asking and answering.
const DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of a router's answer.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "\
It asks the registrar where she is, and one router what it would do with a connection to her.
With --port it asks the router alone. Fails with 1 if the connection would not reach her.

Examples:
  warren router trace @alice
  warren router trace @alice --router 10.0.0.2:9465
  warren router trace --port 20017 --json")]
pub struct TraceArgs {
    /// The identity
    #[arg(value_name = "@NAME", required_unless_present = "port", conflicts_with = "port")]
    pub identity: Option<AtSign>,
    /// The port, instead of an identity
    #[arg(long, value_name = "PORT")]
    pub port: Option<NonZeroU16>,
    /// Where the router tells metrics and health
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9465", env = "WARREN_ROUTER")]
    pub router: SocketAddr,
    #[command(flatten)]
    pub connection: Connection,
}

/// All that was found out.
#[derive(Debug, Serialize)]
struct Traced {
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<Placed>,
    router: SocketAddr,
    route: Trace,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<CellView>,
}

/// What the registrar says of an identity.
#[derive(Debug, Serialize)]
struct Placed {
    identity: AtSign,
    state: Option<String>,
    address: Address,
}

/// Asks and prints.
pub fn run(args: &TraceArgs) -> Result<ExitCode, Failure> {
    let runtime = crate::client_runtime()?;
    let api = args.identity.as_ref().map(|_| Api::connect(&args.connection)).transpose()?;
    let placed = match (&api, &args.identity) {
        (Some(api), Some(identity)) => Some(runtime.block_on(placed(api, identity))?),
        _ => None,
    };
    let entrance = placed.as_ref().map(Placed::entrance).or(args.port.map(Entrance::Port));
    let entrance = entrance.ok_or_else(|| Failure::new(Exit::Usage, "no identity and no port"))?;
    let route = ask(args.router, entrance)?;
    let cell = match (&api, route.cell) {
        // One that runs nowhere, or is none of the registrar's, is said to be so by the route.
        (Some(api), Some(cell)) => runtime.block_on(api.cell(cell)).ok(),
        _ => None,
    };
    let traced = Traced { identity: placed, router: args.router, route, cell };
    if args.connection.json {
        output::json(&traced)?;
    } else {
        print(&traced)?;
    }
    let is_carried = traced.route.way == Way::Carried;
    Ok(if is_carried { ExitCode::SUCCESS } else { Exit::Failed.into() })
}

async fn placed(api: &Api, identity: &AtSign) -> Result<Placed, Failure> {
    let known = api.show(identity).await?;
    let text = |name: &str| known.get(name).and_then(serde_json::Value::as_str);
    let address = text("address").and_then(|address| address.parse().ok()).ok_or_else(|| {
        let what = format!("the registrar has no address for {identity}");
        Failure::new(Exit::NotFound, what).fix("warren identity show says where she stands")
    })?;
    Ok(Placed { identity: identity.clone(), state: text("state").map(str::to_owned), address })
}

impl Placed {
    /// Her host is her own where she is reached by name.
    fn entrance(&self) -> Entrance {
        let label = HostLabel::of(&self.identity);
        let host = self.address.host.as_str();
        let is_hers = host.split_once('.').is_some_and(|(first, _)| first == label.to_string());
        if is_hers { Entrance::Name(label) } else { Entrance::Port(self.address.port) }
    }
}

fn ask(router: SocketAddr, entrance: Entrance) -> Result<Trace, Failure> {
    let unavailable = |what: String| {
        Failure::new(Exit::Unavailable, format!("the router at {router} {what}"))
            .fix("pass --router with the address and port of its metrics")
    };
    let path = match entrance {
        Entrance::Port(port) => format!("/trace?port={port}"),
        Entrance::Name(label) => format!("/trace?name={label}"),
    };
    match http_get(router, &path, DEADLINE, ANSWER_BYTES_MAX) {
        Ok((200, body)) => serde_json::from_slice(&body)
            .map_err(|error| unavailable(format!("gives an answer that makes no sense: {error}"))),
        Ok((status, _)) => Err(unavailable(format!("answers with status {status}"))),
        Err(error) => Err(unavailable(format!("does not answer: {error}"))),
    }
}

fn print(traced: &Traced) -> Result<(), Failure> {
    let Traced { identity, router, route, cell } = traced;
    if let Some(Placed { identity, state, address }) = identity {
        let state = state.as_deref().unwrap_or("in no state");
        fact("identity", format_args!("{identity} is {state} at {address}, says the registrar"))?;
    }
    fact("router", format_args!("{router}, {}", knowledge(route)))?;
    match route.entrance {
        Entrance::Port(port) => fact("port", format_args!("{port} {}", entrance(route)))?,
        Entrance::Name(label) => fact("name", format_args!("{label} {}", entrance(route)))?,
    }
    match (route.volume, route.cell) {
        (Some(volume), Some(number)) => {
            fact("route", format_args!("volume {volume} in cell {number}"))?;
        }
        _ => fact("route", "none")?,
    }
    if route.cell.is_some() {
        let term = route.term.map_or_else(|| "no start".to_owned(), |term| format!("start {term}"));
        let place = route.address.map_or_else(|| "nowhere".to_owned(), |at| at.to_string());
        fact("cell", format_args!("{term}, {place}"))?;
    }
    if let Some(cell) = cell {
        fact("node", registrar_says(cell))?;
    }
    fact("connection", outcome(route.way))
}

fn knowledge(route: &Trace) -> String {
    let known = &route.knowledge;
    let Some(at) = known.at else { return "which knows no routes yet".to_owned() };
    let upto = format!("which knows run {}, number {}", at.run, at.number);
    match (known.heard_ms, known.kept) {
        (Some(millis), _) => format!("{upto}; the registrar answered {} ago", age(millis)),
        (None, Some(kept)) => format!("{upto}, from its file of {kept}; no answer since"),
        (None, None) => upto,
    }
}

fn entrance(route: &Trace) -> &'static str {
    match (route.way, route.is_redirected) {
        (Way::Refused, _) => "is closed",
        _ if matches!(route.entrance, Entrance::Name(_)) => {
            "comes in through the port of all names"
        }
        (Way::OtherProgram, _) => "belongs to another program of the router's machine",
        (_, true) => "comes in through the socket of its range",
        (_, false) => "has a listener of its own",
    }
}

fn registrar_says(cell: &CellView) -> String {
    let node = cell.start.as_ref().map_or("none", |start| start.node.as_str());
    let report = cell.report_age_ms.map_or_else(
        || "it has not reported".to_owned(),
        |millis| format!("it reported {} ago", age(millis)),
    );
    format!("{node}, says the registrar; {report}")
}

fn outcome(way: Way) -> &'static str {
    match way {
        Way::Carried => "is carried to the cell",
        Way::Held => "is held until the cell runs somewhere, for some seconds",
        Way::OtherProgram => "goes to the other program",
        Way::Refused => "is refused",
    }
}
