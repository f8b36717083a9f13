//! Random bytes and random commands on several connections of one server, against the model. What
//! a fuzzer finds interesting lies in `fuzz/seeds/session` and is played here too.

use std::path::Path;

use proptest::prelude::*;

use crate::player::play;

/// Scripts that one test draws; each is some forty commands.
const SCRIPTS: u32 = 96;

fn play_it(script: &[u8]) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(play(script));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(SCRIPTS))]

    #[test]
    fn no_script_makes_a_server_leave_its_model(script in prop::collection::vec(any::<u8>(), 0..600)) {
        play_it(&script);
    }
}

#[test]
fn scripts_that_once_mattered_are_played_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/session");
    let mut scripts: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    for script in scripts {
        play_it(&std::fs::read(script).unwrap());
    }
}
