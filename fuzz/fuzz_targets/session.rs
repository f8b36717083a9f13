//! The session state machine: several clients of one server, held against a model of it. The same
//! machine plays the scripts of the server's property test.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;
use tokio::runtime::Builder;

#[path = "../../server/tests/endurance/commits.rs"]
mod commits;
#[path = "../../server/tests/endurance/enrolled.rs"]
mod enrolled;
#[path = "../../server/tests/endurance/grants.rs"]
mod grants;
#[path = "../../server/tests/endurance/model/mod.rs"]
mod model;
#[path = "../../server/tests/endurance/player.rs"]
mod player;
#[path = "../../server/tests/endurance/script.rs"]
mod script;
#[path = "../../server/tests/endurance/world.rs"]
mod world;

/// A script that is longer tells nothing that a shorter one does not.
const SCRIPT_BYTES_MAX: usize = 1024;

/// With the runtime ends all that a script has begun.
fn play(script: &[u8]) {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(player::play(script));
}

// The keys of the world take longer to make than any script may take.
fuzz_target!(
    init: play(&[]),
    |script: &[u8]| play(&script[..script.len().min(SCRIPT_BYTES_MAX)])
);
