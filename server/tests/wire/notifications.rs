//! notify and monitor (sections 5.12 to 5.16, 6.8).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;
use super::lab::Lab;
use super::peer::Peer;

/// Asks until the status is this.
async fn reaches(client: &mut Client, id: &str, status: &str) {
    let began = Instant::now();
    loop {
        let now = client.data(&format!("notify:status:{id}")).await;
        if now == status {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{id} is {now}, not {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn s163_to_s165_s170_s182_s185_a_notification_reaches_the_others_monitor() {
    let lab = Lab::new().await;
    let (_alice, _bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let mut alice = lab.owner("@alice").await;
    let (mut bob, mut monitor) = (lab.owner("@bob").await, lab.owner("@bob").await);
    monitor.watch("monitor .wavi").await;
    let id = alice.data("notify:update:messageType:key:@bob:k.wavi@alice:v:w").await;
    assert_eq!(id.len(), 36, "a UUID");
    let told = monitor.notification().await;
    assert_eq!(told["id"], id);
    assert_eq!((&told["from"], &told["to"]), (&json!("@alice"), &json!("@bob")));
    assert_eq!((&told["key"], &told["value"]), (&json!("@bob:k.wavi@alice"), &json!("v:w")));
    assert_eq!(told["messageType"], "MessageType.key");
    reaches(&mut alice, &id, "delivered").await;
    let own = alice.data("notify:id:my-own_1:update:@bob:k.wavi@alice:v").await;
    assert_eq!(own, "my-own_1");
    assert_eq!(monitor.notification().await["id"], "my-own_1");
    let list = bob.json("notify:list").await;
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["from"], "@alice");
    assert!(list[0]["metadata"]["expiresAt"].is_string());
    let fetched = alice.json("notify:fetch:my-own_1").await;
    assert!(fetched.as_object().unwrap().values().all(Value::is_string), "{fetched}");
    assert_eq!(fetched["type"], "NotificationType.sent");
}

#[tokio::test]
async fn a_notification_asked_for_twice_under_one_id_is_sent_once() {
    let lab = Lab::new().await;
    let (_alice, _bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let (mut alice, mut bob) = (lab.owner("@alice").await, lab.owner("@bob").await);
    for _ in 0..3 {
        assert_eq!(alice.data("notify:id:one:@bob:k@alice:v").await, "one");
    }
    alice.data("notify:id:two:@bob:k@alice:v").await;
    reaches(&mut alice, "two", "delivered").await;
    let ids: Vec<_> = bob
        .json("notify:list")
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["one", "two"]);
}

#[tokio::test]
async fn s166_s167_s168_s172_how_a_notification_fares_can_be_asked() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    alice.data("notify:id:n:ttln:60000:@nobody:k@alice:v").await;
    reaches(&mut alice, "n", "errored").await;
    lab.clock.advance(60_001);
    assert_eq!(alice.data("notify:status:n").await, "expired");
    assert_eq!(alice.data("notify:status:unknown").await, "null");
    let text = r#"data:{"id":"unknown","notificationStatus":"NotificationStatus.expired"}"#;
    assert_eq!(alice.ask("notify:fetch:unknown").await, format!("{text}\n@alice@"));
    alice.data("notify:id:m:@nobody:k@alice:v").await;
    assert_eq!(alice.data("notify:remove:m").await, "success");
    assert_eq!(alice.data("notify:status:m").await, "null");
    assert_eq!(alice.data("notify:remove:unknown").await, "success");
}

#[tokio::test]
async fn all_that_wait_for_a_name_that_nobody_has_are_tried_together() {
    let lab = Lab::with(|limits| limits.retry_pause_max = limits.retry_pause_first).await;
    let alice_runs = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    for id in ["first", "second", "third"] {
        alice.data(&format!("notify:id:{id}:@nobody:k{id}@alice:v")).await;
    }
    reaches(&mut alice, "third", "errored").await;
    let mut tries = Vec::new();
    for id in ["third", "second", "first"] {
        let told = alice.json(&format!("notify:fetch:{id}")).await;
        tries.push(told["retryCount"].as_str().unwrap().parse::<u32>().unwrap());
    }
    // Those that came first were tried once or twice before; and one may go on meanwhile.
    assert!(tries[2] < tries[0] + 10, "{tries:?}");
    let began = Instant::now();
    while alice_runs.server.waiting() > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "they are not given up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for id in ["first", "second", "third"] {
        assert_eq!(alice.json(&format!("notify:fetch:{id}")).await["retryCount"], "30", "{id}");
        reaches(&mut alice, id, "errored").await;
    }
}

#[tokio::test]
async fn s171_lists_are_filtered_by_day_and_by_expression() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    assert_eq!(alice.data("notify:list").await, "null");
    for key in ["a.wavi", "b.buzz"] {
        alice.data(&format!("notify:@alice:{key}@alice:v")).await;
    }
    let count = |list: Value| list.as_array().map_or(0, Vec::len);
    let today = protocol::Timestamp(net::clock::Clock::now(&*lab.clock).0).to_string();
    let today = &today[..10];
    assert_eq!(count(alice.json(&format!("notify:list:{today}:{today}")).await), 2);
    assert_eq!(count(alice.json("notify:list:.wavi").await), 1);
    assert_eq!(count(alice.json("notify:list:2020-01-01:alice").await), 2);
    assert_eq!(alice.data("notify:list:2020-01-01:2020-01-02").await, "null");
    let wrong = alice.ask("notify:list:2024-01-02:2024-01-01").await;
    assert!(wrong.starts_with("error:AT0022-Illegal arguments : ToDate cannot"), "{wrong}");
    assert!(alice.ask("notify:list:[").await.starts_with("error:AT0003-"));
}

#[tokio::test]
async fn s173_to_s176_texts_senders_and_strategies_are_checked() {
    let lab = Lab::new().await;
    let (_alice, _bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let (mut alice, mut bob) = (lab.owner("@alice").await, lab.owner("@bob").await);
    bob.watch("monitor:strict .*").await;
    alice.data("notify:messageType:text:@bob:hello there: a@b").await;
    let told = bob.notification().await;
    assert_eq!(told["messageType"], "MessageType.text");
    assert_eq!(told["key"], "@bob:hello there: a@b");
    let mut open = lab.connect("@alice").await;
    let text =
        "error:AT0401-Exception: Notify command cannot be executed without authentication\n@";
    assert_eq!(open.ask("notify:@bob:k@alice:v").await, text);
    assert_eq!(open.ask("notify:list").await, "data:null\n@");
    let answer = alice.ask("notify:@bob:k@carol:v").await;
    assert!(answer.starts_with("error:AT0009-UnAuthorized client in request : @carol"), "{answer}");
    let answer = alice.ask("notify:strategy:latest:@bob:k@alice:v").await;
    assert!(answer.starts_with("error:AT0003-"), "{answer}");
}

#[tokio::test]
async fn s177_s178_what_waits_while_the_receiver_is_down_comes_after_it() {
    let lab = Lab::new().await;
    let (_alice, bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let mut alice = lab.owner("@alice").await;
    bob.stop().await;
    for n in 0..5 {
        alice.data(&format!("notify:id:all{n}:@bob:k{n}@alice:v")).await;
        let latest =
            format!("notify:id:latest{n}:strategy:latest:latestN:2:notifier:x:@bob:l{n}@alice:v");
        alice.data(&latest).await;
    }
    reaches(&mut alice, "all0", "errored").await;
    let _bob = lab.start("@bob").await;
    reaches(&mut alice, "latest4", "delivered").await;
    let mut bob = lab.owner("@bob").await;
    let list = bob.json("notify:list").await;
    let ids: Vec<_> =
        list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["all0", "all1", "all2", "all3", "latest3", "all4", "latest4"], "in order");
}

#[tokio::test]
async fn what_waits_is_delivered_after_the_senders_own_restart() {
    let lab = Lab::new().await;
    let (alice, bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let mut owner = lab.owner("@alice").await;
    bob.stop().await;
    owner.data("notify:id:n:@bob:k@alice:v").await;
    owner.data("update:@bob:auto@alice v").await;
    drop(owner);
    alice.stop().await;
    let _bob = lab.start("@bob").await;
    let alice = lab.start("@alice").await;
    assert!(!alice.server.is_idle(), "something waits");
    let mut owner = lab.owner("@alice").await;
    reaches(&mut owner, "n", "delivered").await;
    drop(owner);
    let mut bob = lab.owner("@bob").await;
    for _ in 0..200 {
        if bob.json("notify:list").await.as_array().is_some_and(|list| list.len() == 2) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the update is not notified");
}

#[tokio::test]
async fn one_receiver_that_is_down_holds_up_no_other() {
    let lab = Lab::new().await;
    let (_alice, bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let _carol = lab.start("@carol").await;
    let mut alice = lab.owner("@alice").await;
    bob.stop().await;
    alice.data("notify:id:b:@bob:k@alice:v").await;
    alice.data("notify:id:c:@carol:k@alice:v").await;
    reaches(&mut alice, "c", "delivered").await;
    assert_ne!(alice.data("notify:status:b").await, "delivered");
}

#[tokio::test]
async fn s143_s179_s183_changes_of_shared_keys_reach_the_copies() {
    let lab = Lab::new().await;
    let (_alice, _bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let mut alice = lab.owner("@alice").await;
    let (mut bob, mut monitor) = (lab.owner("@bob").await, lab.owner("@bob").await);
    monitor.watch("monitor").await;
    alice.data("update:ttr:-1:ccd:true:isEncrypted:true:@bob:gone@alice 1").await;
    let told = monitor.notification().await;
    assert_eq!((&told["operation"], &told["value"]), (&json!("update"), &json!("1")));
    assert_eq!(bob.data("llookup:cached:@bob:gone@alice").await, "1");
    assert_eq!(bob.json("lookup:all:gone@alice").await["key"], "cached:@bob:gone@alice");
    alice.data("update:ttr:-1:ccd:false:@bob:kept@alice 1").await;
    monitor.notification().await;
    alice.data("update:@bob:kept@alice 2").await;
    monitor.notification().await;
    let meta = bob.json("llookup:all:cached:@bob:kept@alice").await;
    assert_eq!((&meta["data"], &meta["metaData"]["version"]), (&json!("2"), &json!(1)));
    alice.data("update:meta:@bob:kept@alice:ttl:500000").await;
    assert_eq!(monitor.notification().await["value"], Value::Null);
    assert_eq!(bob.json("llookup:meta:cached:@bob:kept@alice").await["ttl"], 500_000);
    for key in ["gone", "kept"] {
        alice.data(&format!("delete:@bob:{key}@alice")).await;
        assert_eq!(monitor.notification().await["operation"], "delete");
    }
    assert!(bob.ask("llookup:cached:@bob:gone@alice").await.starts_with("error:AT0015-"));
    assert_eq!(bob.data("llookup:cached:@bob:kept@alice").await, "2", "ccd was false");
    alice.data("update:@bob:uncached@alice 1").await;
    monitor.notification().await;
    assert!(bob.ask("llookup:cached:@bob:uncached@alice").await.starts_with("error:AT0015-"));
}

#[tokio::test]
async fn s180_a_notification_to_oneself_is_delivered_at_once() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let (mut alice, mut monitor) = (lab.owner("@alice").await, lab.owner("@alice").await);
    monitor.watch("monitor").await;
    let id = alice.data("notify:update:@alice:k@alice:v").await;
    assert_eq!(alice.data(&format!("notify:status:{id}")).await, "delivered");
    assert_eq!(monitor.notification().await["id"], id);
}

#[tokio::test]
async fn s181_a_peer_notifies_only_of_its_own_keys_and_only_the_owner() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut bob = Peer::connect(&lab, "@bob", "@alice").await;
    for command in [
        "notify:id:1:update:ttr:-1:@alice:x@carol:poison",
        "notify:id:2:update:ttr:-1:@carol:x@bob:stray",
        "notify:id:3:update:ttr:-1:public:x@bob:stray",
        "notify:id:4:delete:@alice:x@alice",
    ] {
        let answer = bob.ask(command).await;
        assert!(answer.starts_with("error:AT0009-Exception: "), "{command}: {answer}");
    }
    assert_eq!(owner.data("notify:list").await, "null");
    let line = "notify:id:5:update:messageType:key:notifier:system:ttln:900000:ttr:60:ccd:true:\
                isEncrypted:false:@alice:x@bob:good";
    assert_eq!(bob.ask(line).await, "data:success\n@bob@", "statement 182");
    assert_eq!(bob.ask(line).await, "data:success\n@bob@", "once more, as after a lost answer");
    assert_eq!(owner.json("notify:list").await.as_array().unwrap().len(), 1);
    assert_eq!(owner.data("llookup:cached:@alice:x@bob").await, "good");
    assert_eq!(bob.data("notify:list").await, "null", "nothing was sent to him");
    owner.data("notify:id:out:@bob:k@alice:v").await;
    assert_eq!(bob.json("notify:list").await[0]["id"], "out");
    let mut carol = Peer::connect(&lab, "@carol", "@alice").await;
    assert_eq!(carol.data("notify:list").await, "null");
    assert_eq!(carol.data("notify:id:5:@alice:y@carol:another").await, "success");
    assert_eq!(owner.json("notify:list").await.as_array().unwrap().len(), 2, "no id is taken away");
}

#[tokio::test]
async fn s186_s187_a_monitor_is_first_told_what_came_before() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    for key in ["a.wavi", "b.buzz", "c.wavi"] {
        alice.data(&format!("notify:id:{}:@alice:{key}@alice:v", &key[..1])).await;
        lab.clock.advance(10);
    }
    let list = alice.json("notify:list").await;
    let first = list[0]["epochMillis"].as_i64().unwrap();
    for (command, ids) in [
        ("monitor:strict:0 .wavi".to_owned(), &["a", "c"][..]),
        (format!("monitor:strict:{first} .*"), &["b", "c"]),
        (format!("monitor:strict:{first} .buzz"), &["b"]),
        ("monitor:strict:0 ^alice$".to_owned(), &["a", "b", "c"]),
    ] {
        let mut monitor = lab.owner("@alice").await;
        monitor.send(&format!("{command}\n")).await;
        for id in ids {
            let told = monitor.notification().await;
            assert_eq!(told["id"], *id, "{command}");
            assert!(told["metadata"]["expiresAt"].is_string());
        }
        let sent = format!("notify:id:{}:@alice:z.wavi.buzz@alice:v", uuid::Uuid::new_v4());
        alice.data(&sent).await;
        let told = monitor.notification().await;
        assert_eq!(told["key"], "@alice:z.wavi.buzz@alice", "{command}: once, and live");
        alice.data(&format!("notify:remove:{}", told["id"].as_str().unwrap())).await;
    }
}

#[tokio::test]
async fn s188_s189_statistics_come_after_each_change_and_now_and_then_unless_strict() {
    let lab = Lab::with(|limits| limits.stats_interval = Duration::from_millis(300)).await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    alice.put_pkam_key().await;
    alice.data("plookup:signing_publickey@alice").await;
    let (mut monitor, mut strict) = (lab.owner("@alice").await, lab.owner("@alice").await);
    monitor.watch("monitor").await;
    strict.watch("monitor:strict .wavi").await;
    let commit = alice.data("update:x@alice v").await;
    let told = monitor.statistics(|told| told["value"] == *commit).await;
    assert_eq!((&told["id"], &told["operation"]), (&json!("-1"), &json!("update")));
    assert_eq!(told["key"], "statsNotification.@alice");
    let commit = alice.data("delete:x@alice").await;
    let told = monitor.statistics(|told| told["value"] == *commit).await;
    assert_eq!(told["operation"], "delete");
    monitor.statistics(|told| told["value"] == *commit).await;
    assert_eq!(strict.within(Duration::from_millis(500)).await, "");
}

#[tokio::test]
async fn s190_answers_on_a_monitor_connection_have_no_prompt() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    let mut monitor = lab.owner("@alice").await;
    monitor.watch("monitor:strict \\S+").await;
    assert!(monitor.ask_line("llookup:nope@alice").await.starts_with("error:AT0015-"));
    alice.data("notify:@alice:k@alice:v").await;
    assert!(monitor.line().await.starts_with("notification: {\"id\":"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s191_a_monitor_that_does_not_read_is_dropped_and_delays_nobody() {
    let lab = Lab::with(|limits| limits.monitor_queue_max = 8).await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    let mut slow = lab.owner("@alice").await;
    let mut quick = lab.owner("@alice").await;
    slow.watch("monitor:strict .*").await;
    quick.watch("monitor:strict .*").await;
    let value = "v".repeat(150_000);
    let began = Instant::now();
    for n in 0..80 {
        alice.data(&format!("notify:id:n{n}:@alice:k@alice:{value}")).await;
        assert_eq!(quick.notification().await["id"], format!("n{n}"));
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let told = slow.rest().await;
    assert!(told.matches("notification: ").count() < 80, "it was dropped");
}

#[tokio::test]
async fn a_monitor_ends_with_the_owners_rights() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    let mut monitor = lab.owner("@alice").await;
    monitor.watch("monitor:strict .*").await;
    monitor.send("from:@alice\n").await;
    assert!(monitor.line().await.starts_with("data:_"));
    assert!(monitor.ask("cram:00").await.starts_with("error:AT0401-Exception: "));
    alice.data("notify:@alice:k@alice:v").await;
    assert_eq!(monitor.within(Duration::from_millis(300)).await, "");
}

#[tokio::test]
async fn who_sends_too_much_pushes_out_nobody_elses() {
    let lab = Lab::with(|limits| limits.notifications_max = 10).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut carol = Peer::connect(&lab, "@carol", "@alice").await;
    carol.data("notify:id:c1:ttln:1000000:@alice:k@carol:v").await;
    owner.data("notify:id:o1:@alice:k@alice:v").await;
    let mut bob = Peer::connect(&lab, "@bob", "@alice").await;
    for n in 0..40 {
        bob.data(&format!("notify:id:b{n}:ttln:99999999999999:@alice:k@bob:v")).await;
    }
    let list = owner.json("notify:list").await;
    let ids: Vec<_> =
        list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.len() <= 10, "{ids:?}");
    assert!(["c1", "o1", "b39"].iter().all(|id| ids.contains(id)), "{ids:?}");
}

#[tokio::test]
async fn an_outbox_that_is_full_takes_no_more_and_loses_nothing() {
    let lab = Lab::with(|limits| limits.outbox_max = 3).await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    for n in 0..3 {
        alice.data(&format!("notify:id:n{n}:@nobody:k@alice:v")).await;
    }
    let answer = alice.ask("notify:id:n3:@nobody:k@alice:v").await;
    assert!(answer.starts_with("error:AT0011-"), "{answer}");
    alice.data("update:@nobody:x@alice still written").await;
    assert_eq!(alice.data("llookup:@nobody:x@alice").await, "still written");
    assert_eq!(alice.data("notify:remove:n0").await, "success");
    alice.data("notify:id:n3:@nobody:k@alice:v").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn monitors_are_told_in_the_order_of_the_log() {
    let lab = std::sync::Arc::new(Lab::new().await);
    let _alice = lab.start("@alice").await;
    let mut monitor = lab.owner("@alice").await;
    monitor.watch("monitor:strict .*").await;
    let writers: Vec<_> = (0..6)
        .map(|_| {
            let lab = std::sync::Arc::clone(&lab);
            tokio::spawn(async move {
                let mut owner = lab.owner("@alice").await;
                for _ in 0..15 {
                    owner.data("notify:@alice:k@alice:v").await;
                }
            })
        })
        .collect();
    let mut last = 0;
    for _ in 0..6 * 15 {
        let at = monitor.notification().await["epochMillis"].as_i64().unwrap();
        assert!(at > last, "{at} after {last}");
        last = at;
    }
    for writer in writers {
        writer.await.unwrap();
    }
}
