//! Figures, side by side with real peers in the same run.
//!
//! Run it through `cargo xtask bench NAME`, which builds everything with optimisation first. Only
//! ratios of one run mean much: the machine, its disk and its neighbours change from hour to hour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed run has no figures"
)]

mod certificate;
mod client;
mod directory;
mod dns;
mod engine;
mod neighbours;
mod peers;
mod process;
mod report;
mod router;
mod scale;
mod server;
mod store;
mod wake;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    /// The program to measure
    #[arg(long, global = true, default_value = "target/release/warren")]
    warren: PathBuf,
    /// Where the data goes; it should be on the disk that is to be measured
    #[arg(long, global = true, default_value = "target/bench")]
    dir: PathBuf,
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Acknowledged updates a second over TLS, beside SQLite and a bare log
    Store(store::Options),
    /// First answer of a sleeping server, beside `docker start` where an engine runs
    Wake(wake::Options),
    /// What a hostile tenant does to her neighbours' times
    Neighbours(neighbours::Options),
    /// Lookups in a directory of a million, beside Redis: rates, processor time, memory, start
    Directory(directory::Options),
    /// One directory of up to a hundred million, changed by its feed while it answers
    DirectoryScale(directory::scale::Options),
    /// Questions of DNS over UDP, beside Knot: rates, processor time, memory, loss
    DirectoryDns(dns::Options),
    /// Requests, notifications, idle connections and memory, beside Redis over TLS
    Server(server::Options),
    /// Carrying connections by port and by name, beside nginx and HAProxy: rates, processor time,
    /// added time, what rests, and one changed route among thousands
    Router(router::Options),
    /// Ten thousand identities in one process: registering, memory, restart
    Scale(scale::Options),
}

/// What every benchmark needs.
pub struct Setting {
    warren: String,
    dir: PathBuf,
}

fn main() {
    let cli = Cli::parse();
    std::fs::create_dir_all(&cli.dir).expect("the folder for data can be made");
    let warren =
        cli.warren.canonicalize().expect("build it first: cargo build --release -p warren");
    let setting = Setting {
        warren: warren.to_str().expect("a path of UTF-8").to_owned(),
        dir: cli.dir.canonicalize().expect("it was just made"),
    };
    match cli.bench {
        Bench::Store(options) => store::run(&setting, &options),
        Bench::Wake(options) => wake::run(&setting, &options),
        Bench::Neighbours(options) => neighbours::run(&setting, &options),
        Bench::Directory(options) => directory::run(&setting, &options),
        Bench::DirectoryScale(options) => directory::scale::run(&setting, &options),
        Bench::DirectoryDns(options) => dns::run(&setting, &options),
        Bench::Server(options) => server::run(&setting, &options),
        Bench::Router(options) => router::run(&setting, &options),
        Bench::Scale(options) => scale::run(&setting, &options),
    }
}
