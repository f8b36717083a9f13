//! stats and the access log (sections 5.10 and 6.7).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;
use super::lab::Lab;
use super::peer::Peer;

/// The value of one statistic.
async fn stat(client: &mut Client, id: &str) -> Value {
    let told = client.json(&format!("stats:{id}")).await;
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told[0]["id"], id.split(':').next().unwrap());
    told[0]["value"].clone()
}

/// The same where it is a text of JSON.
async fn inner(client: &mut Client, id: &str) -> Value {
    let text = stat(client, id).await;
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn s145_s148_the_last_commit_is_told_of_all_keys_or_of_some() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    assert_eq!(stat(&mut owner, "3").await, "null", "nothing was committed");
    let wavi = owner.data("update:x.wavi@alice v").await;
    assert_eq!(stat(&mut owner, "3").await, wavi);
    let buzz = owner.data("update:x.buzz@alice v").await;
    owner.data("update:privatekey:at_pkam_publickey k").await;
    assert_eq!(stat(&mut owner, "3").await, buzz);
    assert_eq!(stat(&mut owner, "3:wavi").await, wavi);
    assert_eq!(stat(&mut owner, "3:nothing").await, "null");
    let gone = owner.data("delete:x.wavi@alice").await;
    assert_eq!(stat(&mut owner, "3:\\.wavi@").await, gone, "a deletion counts");
    let latest = json!({"x.buzz@alice": [1, "*"], "x.wavi@alice": [2, "-"]});
    assert_eq!(inner(&mut owner, "15").await, latest);
    assert_eq!(inner(&mut owner, "15:buzz").await, json!({"x.buzz@alice": [1, "*"]}));
    assert!(owner.ask("stats:3:[").await.starts_with("error:AT0003-"));
}

#[tokio::test]
async fn s146_s147_all_are_told_with_blanks_between() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:x@alice v").await;
    let answer = owner.ask("stats:3,7").await;
    let text = concat!(
        r#"data: [{"id":"3","name":"lastCommitID","value":"0"}, "#,
        r#"{"id":"7","name":"secondaryServerVersion","value":"3.0.52"}]"#,
        "\n@alice@"
    );
    assert_eq!(answer, text);
    let all = owner.json("stats").await;
    let ids: Vec<_> =
        all.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, (1..=15).map(|id| id.to_string()).collect::<Vec<_>>());
    for (at, value) in [(0, json!("1")), (1, json!("0")), (11, json!("{}")), (13, json!("{}"))] {
        assert_eq!(all[at]["value"], value, "{}", all[at]);
    }
    assert!(all[3]["value"].as_u64().unwrap() > 0, "bytes");
    let disk: Value = serde_json::from_str(all[8]["value"].as_str().unwrap()).unwrap();
    assert!(disk["size"].is_string() && disk["units"].is_string(), "{disk}");
}

#[tokio::test]
async fn s149_unknown_statistics_are_refused_and_the_connection_lives() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for command in ["stats:0", "stats:-1", "stats:99", "stats:3,99", "stats:4:x"] {
        let answer = owner.ask(command).await;
        assert!(answer.starts_with("error:AT0003-"), "{command}: {answer}");
    }
    assert_eq!(owner.data("noop:0").await, "ok");
    let mut open = lab.connect("@alice").await;
    let text = "error:AT0401-Exception: Command cannot be executed without auth\n@";
    assert_eq!(open.ask("stats").await, text);
}

#[tokio::test]
async fn one_that_cannot_be_told_is_null_and_the_others_are_told() {
    let lab = Lab::new().await;
    let store = lab.store(&super::lab::name("@alice"));
    let mut batch = storage::Batch::new();
    batch.put(b"rn1\0bob", b"no notification");
    store.commit_blocking(batch).unwrap();
    store.close().unwrap();
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let all = owner.json("stats").await;
    assert_eq!(all.as_array().unwrap().len(), 15);
    assert_eq!((&all[10]["value"], &all[6]["value"]), (&Value::Null, &json!("3.0.52")));
    assert_eq!(owner.data("noop:0").await, "ok");
}

#[tokio::test]
async fn s150_notifications_are_counted() {
    let lab = Lab::new().await;
    let (_alice, _bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let mut alice = lab.owner("@alice").await;
    let empty = inner(&mut alice, "11").await;
    assert_eq!((&empty["total"], &empty["type"]), (&json!(0), &json!({"sent":0,"received":0})));
    alice.data("notify:id:a:@bob:k@alice:v").await;
    alice.data("notify:id:b:messageType:text:@alice:hello").await;
    alice.data("notify:id:c:delete:@nobody:k@alice").await;
    let began = Instant::now();
    loop {
        let counts = inner(&mut alice, "11").await;
        if counts["status"] == json!({"delivered": 2, "failed": 1, "queued": 0}) {
            assert_eq!(counts["total"], 3);
            assert_eq!(counts["type"], json!({"sent": 2, "received": 1}));
            assert_eq!(counts["operations"], json!({"update": 2, "delete": 1}));
            assert_eq!(counts["messageType"], json!({"key": 2, "text": 1}));
            assert!(counts["createdOn"].is_i64());
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{counts}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut bob = lab.owner("@bob").await;
    assert_eq!(inner(&mut bob, "11").await["type"], json!({"sent":0,"received":1}));
}

#[tokio::test]
async fn who_came_and_what_was_looked_up_is_counted_and_survives_sleep() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    assert_eq!(stat(&mut owner, "10").await, "Not Available");
    owner.data("update:public:loc@alice here").await;
    owner.data("update:@bob:phone@alice 1").await;
    let mut open = lab.connect("@alice").await;
    for _ in 0..3 {
        open.data("lookup:loc@alice").await;
        assert!(open.ask("lookup:invented@alice").await.starts_with("error:AT0015-"));
    }
    let mut bob = Peer::connect(&lab, "@bob", "@alice").await;
    bob.data("lookup:phone@alice").await;
    let keys = json!({"loc@alice": 3, "phone@alice": 1});
    assert_eq!(inner(&mut owner, "6").await, keys);
    let names = inner(&mut owner, "5").await;
    assert_eq!((&names["@bob"], &names["@alice"]), (&json!(3), &json!(1)));
    let login = stat(&mut owner, "8").await;
    owner.put_pkam_key().await;
    owner.pkam("@alice").await;
    assert_eq!(stat(&mut owner, "10").await, login, "the clock stands still");
    assert_eq!(stat(&mut owner, "1").await, "3");
    drop((owner, open, bob));
    alice.stop().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    assert_eq!(inner(&mut owner, "6").await, keys);
    assert_eq!(stat(&mut owner, "10").await, login);
}

#[tokio::test]
async fn a_flood_of_look_ups_syncs_nothing() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:public:loc@alice here").await;
    let bytes = stat(&mut owner, "4").await;
    let mut open = lab.connect("@alice").await;
    for _ in 0..500 {
        open.data("lookup:loc@alice").await;
    }
    drop(open);
    for _ in 0..20 {
        lab.connect("@alice").await.data("lookup:loc@alice").await;
    }
    assert_eq!(stat(&mut owner, "4").await, bytes, "the log has not grown");
    assert_eq!(inner(&mut owner, "6").await, json!({"loc@alice": 520}));
}

#[tokio::test]
async fn s147_the_sweep_of_notifications_is_told() {
    let lab = Lab::with(|limits| limits.sweep_interval = Duration::from_millis(50)).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("notify:id:n1:ttln:1000:@alice:k@alice:v").await;
    owner.data("notify:id:n2:@alice:k@alice:v").await;
    lab.clock.advance(2_000);
    let began = Instant::now();
    loop {
        let told = inner(&mut owner, "14").await;
        if told != json!({}) {
            assert_eq!(told["preCompactionEntriesCount"], "2");
            assert_eq!(told["postCompactionEntriesCount"], "1");
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "nothing is swept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
