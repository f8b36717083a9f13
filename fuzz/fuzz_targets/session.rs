//! The session state machine: several clients of one server, held against a model of it. The same
//! machine plays the scripts of the server's property test.
#![no_main]
#![allow(dead_code)]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

#[path = "../../server/tests/endurance/model.rs"]
mod model;
#[path = "../../server/tests/endurance/player.rs"]
mod player;
#[path = "../../server/tests/endurance/script.rs"]
mod script;
#[path = "../../server/tests/endurance/world.rs"]
mod world;

/// A script that is longer tells nothing that a shorter one does not.
const SCRIPT_BYTES_MAX: usize = 1024;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

fuzz_target!(|script: &[u8]| {
    thread_local!(static RUNTIME: RefCell<Runtime> = RefCell::new(runtime()));
    let script = &script[..script.len().min(SCRIPT_BYTES_MAX)];
    RUNTIME.with_borrow(|runtime| runtime.block_on(player::play(script)));
});
