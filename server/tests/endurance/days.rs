//! A day in the life of three servers, and leaps of years of the wall clock.

use std::ops::RangeInclusive;
use std::time::Duration;

use protocol::Timestamp;
use server::Limits;
use storage::sim::SimDisk;
use tokio::time::sleep;

use crate::client::Client;
use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const YEAR_MILLIS: i64 = 365 * 24 * 3_600_000;
const BEGINNING: Timestamp = Timestamp(1_800_000_000_000);

/// What goes to others only when it is asked for or sent.
fn world() -> World {
    let limits = Limits { auto_notify: false, ..Limits::default() };
    World::new(SimDisk::new(), BEGINNING, limits)
}

/// Bytes of everything that is stored.
fn stored(world: &World) -> usize {
    let files = world.disk.files();
    files.iter().filter_map(|path| world.disk.file(path)).map(|bytes| bytes.len()).sum()
}

/// Tries to deliver in a time without success: the pauses double up to the longest one, and a try
/// itself takes no longer than the shortest. Twenty minutes more or less do not matter here.
fn tries_in(time: Duration, limits: &Limits) -> RangeInclusive<u32> {
    let (first, longest) = (limits.retry_pause_first.as_secs(), limits.retry_pause_max.as_secs());
    let count = |time: Duration, pause: u64| u32::try_from(time.as_secs() / pause).unwrap();
    let doublings = (longest / first).next_power_of_two().ilog2() + 1;
    let slack = 20 * MINUTE;
    count(time - slack, longest + first)..=count(time + slack, longest) + doublings
}

#[tokio::test(start_paused = true)]
async fn a_day_goes_by_and_everything_comes_at_its_time() {
    let world = world();
    let (alice, bob, carol) = (world.start("@alice"), world.start("@bob"), world.start("@carol"));
    let mut alices = Client::owner(&world, "@alice").await;
    let mut bobs = Client::owner(&world, "@bob").await;
    drop(Client::owner(&world, "@carol").await);
    carol.stop().await;
    let told = Client::owner(&world, "@alice").await.watch().await;

    alices.data("update:kept@alice for ever").await;
    alices.data("update:ttl:3600000:hour@alice v").await;
    alices.data("update:ttb:7200000:public:later@alice v").await;
    alices.data("notify:id:n1:@carol:k@alice:1").await;
    alices.data("notify:id:n2:ttln:7200000:@carol:k@alice:2").await;
    bobs.data("update:ttr:600:@alice:news@bob old").await;
    assert_eq!(alices.data("lookup:news@bob").await, "old");
    bobs.data("update:ttr:600:@alice:news@bob new").await;
    let (mut patient, mut silent) =
        (Client::open(&world, "@alice").await, Client::open(&world, "@alice").await);
    assert_eq!(
        (patient.data("noop:0").await, silent.data("noop:0").await),
        ("ok".into(), "ok".into())
    );

    sleep(Duration::from_secs(595)).await;
    assert_eq!(alices.data("lookup:news@bob").await, "old", "it is not stale yet");
    assert_eq!(patient.data("noop:0").await, "ok");
    sleep(Duration::from_secs(10)).await;
    assert!(silent.is_closed().await, "nobody may be idle for ten minutes");
    assert_eq!(patient.data("noop:0").await, "ok");
    assert_eq!(alices.data("lookup:news@bob").await, "new", "it is stale");
    assert_eq!(alices.data("llookup:hour@alice").await, "v");
    assert_eq!(alices.data("plookup:later@alice").await, "null".to_owned());

    // A counter that changes every minute, all day long.
    let mut commit = -1;
    for minute in 0..20 * 60 {
        sleep(MINUTE).await;
        let value = "9".repeat(300);
        let id: i64 =
            alices.data(&format!("update:counter@alice {minute}{value}")).await.parse().unwrap();
        assert!(id > commit, "{id} after {commit}");
        commit = id;
        if minute == 600 {
            alices.data("notify:id:n3:@carol:k@alice:3").await;
            bobs.data("notify:id:n4:@alice:k@bob:4").await;
        }
    }
    let answer = alices.ask("llookup:hour@alice").await;
    assert!(answer.starts_with("error:AT0015"), "it was swept: {answer}");
    assert_eq!(alices.data("llookup:public:later@alice").await, "v");
    assert!(stored(&world) < 512 * 1024, "{} bytes: nothing is compacted", stored(&world));
    assert_eq!(alice.server.waiting(), 3);

    let carol = world.start("@carol");
    sleep(2 * MINUTE).await;
    let mut carols = Client::owner(&world, "@carol").await;
    assert_eq!(carols.listed().await, ["n1", "n3"]);
    for (id, status) in [("n1", "delivered"), ("n2", "null"), ("n3", "delivered")] {
        assert_eq!(alices.data(&format!("notify:status:{id}")).await, status, "{id}");
    }
    let tries: u32 =
        alices.json("notify:fetch:n1").await["retryCount"].as_str().unwrap().parse().unwrap();
    let expected = tries_in(20 * HOUR, &world.limits);
    assert!(expected.contains(&tries), "{tries} tries in 20 hours, not {expected:?}");
    assert_eq!(alice.server.waiting(), 0);

    sleep(4 * HOUR).await;
    assert_eq!(alices.data("llookup:kept@alice").await, "for ever");
    {
        let told = told.lock().unwrap();
        assert_eq!(told.ids, ["n4"]);
        let count = told.statistics.len();
        assert!((5_700..7_500).contains(&count), "{count} statistics in a day");
        assert!(told.statistics.is_sorted(), "commits and dates go forward");
    }
    drop((alices, bobs, carols, patient));
    sleep(MINUTE).await;
    for server in [alice, bob, carol] {
        server.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn leaps_of_years_harm_only_what_has_a_time() {
    let world = world();
    let alice = world.start("@alice");
    let mut bob = Some(world.start("@bob"));
    let mut alices = Client::owner(&world, "@alice").await;
    drop(Client::owner(&world, "@bob").await);
    let mut told = Client::owner(&world, "@bob").await.watch().await;
    alices.data("update:kept@alice for ever").await;
    alices.data("update:public:seen@alice by all").await;
    let mut commit: i64 = alices.data("update:@bob:shared@alice with bob").await.parse().unwrap();
    let mut sent = Vec::new();

    for (number, years) in [10, -20, 40, -29, -1].into_iter().enumerate() {
        // Something is on its way while the clock jumps.
        let bob_is_away = number % 2 == 0;
        if bob_is_away {
            bob.take().unwrap().stop().await;
        }
        sent.push(format!("before{number}"));
        let ttln = 100 * YEAR_MILLIS;
        alices.data(&format!("notify:id:before{number}:ttln:{ttln}:@bob:k@alice:v")).await;
        alices.data("update:ttl:60000:short@alice v").await;
        world.clock.leap(years * YEAR_MILLIS);
        if bob_is_away {
            bob = Some(world.start("@bob"));
            told = Client::owner(&world, "@bob").await.watch().await;
        }
        sent.push(format!("after{number}"));
        alices.data(&format!("notify:id:after{number}:ttln:{ttln}:@bob:k@alice:v")).await;

        let id: i64 = alices.data(&format!("update:number@alice {number}")).await.parse().unwrap();
        assert!(id > commit && id < commit + 10, "{id} after {commit}");
        commit = id;
        let metadata = alices.json("llookup:meta:number@alice").await;
        assert_eq!(metadata["updatedAt"], world.now().to_string(), "{years} years");
        assert_eq!(alices.data("llookup:kept@alice").await, "for ever");
        let mut anybody = Client::open(&world, "@alice").await;
        assert_eq!(anybody.data("lookup:seen@alice").await, "by all");
        if years > 0 {
            let short = alices.ask("llookup:short@alice").await;
            assert!(short == "data:null" || short.starts_with("error:AT0015"), "{short}");
        }
        // Time for a sweep, and for another try of what waits.
        sleep(5 * MINUTE).await;
        assert_eq!(alice.server.waiting(), 0, "nothing is stuck after {years} years");
        let ids = told.lock().unwrap().ids.clone();
        assert!(ids.ends_with(&sent[sent.len() - 2..]), "{ids:?} after {years} years");
        drop(Client::owner(&world, "@alice").await);
        let mut bobs = Client::owner(&world, "@bob").await;
        assert_eq!(bobs.data("lookup:shared@alice").await, "with bob");
    }
    let mut bobs = Client::owner(&world, "@bob").await;
    let listed = bobs.listed().await;
    let kept = sent.iter().filter(|id| listed.contains(id));
    assert!(listed.iter().eq(kept), "out of order: {listed:?}");
    assert!(listed.contains(&"after4".to_owned()));
}
