//! sync:from (sections 5.11 and 6.6).

use serde_json::{Value, json};

use super::client::Client;
use super::lab::Lab;

/// One page.
async fn page(client: &mut Client, after: i64, limit: u32, regex: &str) -> Vec<Value> {
    let page = client.json(&format!("sync:from:{after}:limit:{limit}{regex}")).await;
    page.as_array().unwrap().clone()
}

fn keys(page: &[Value]) -> Vec<&str> {
    page.iter().map(|entry| entry["atKey"].as_str().unwrap()).collect()
}

fn ids(page: &[Value]) -> Vec<i64> {
    page.iter().map(|entry| entry["commitId"].as_i64().unwrap()).collect()
}

/// Pages as clients do: on from the highest id that they have received.
async fn all(client: &mut Client, limit: u32) -> Vec<Value> {
    let mut all = Vec::new();
    let mut last = -1;
    loop {
        let page = page(client, last, limit, "").await;
        let Some(next) = ids(&page).last().copied() else { return all };
        assert!(next > last, "a page goes forward");
        last = next;
        all.extend(page);
    }
}

#[tokio::test]
async fn s151_to_s155_the_log_has_the_latest_change_of_each_key() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:ttr:60:first@alice 1").await;
    for n in 0..10 {
        owner.data(&format!("update:often@alice {n}")).await;
    }
    owner.data("update:gone@alice 1").await;
    owner.data("delete:gone@alice").await;
    let last: i64 = owner.data("update:meta:first@alice:ttl:90000").await.parse().unwrap();
    let page = page(&mut owner, -1, 10, "").await;
    assert_eq!(ids(&page), [10, 12, 13], "the lowest that is kept comes first");
    assert_eq!(keys(&page), ["often@alice", "gone@alice", "first@alice"]);
    assert_eq!((&page[0]["value"], &page[0]["operation"]), (&json!("9"), &json!("*")));
    let deletion =
        json!({"atKey":"gone@alice","value":null,"metadata":null,"commitId":12,"operation":"-"});
    assert_eq!(page[1], deletion);
    assert_eq!((&page[2]["value"], &page[2]["operation"]), (&json!("1"), &json!("#")));
    let metadata = page[2]["metadata"].as_object().unwrap();
    assert!(metadata.values().all(Value::is_string), "{metadata:?}");
    assert_eq!((&metadata["ttl"], &metadata["ttr"]), (&json!("90000"), &json!("60")));
    assert_eq!(owner.ask(&format!("sync:from:{last}:limit:10")).await, "data:[]\n@alice@");
    assert_eq!(owner.data("sync:from:18446744073709551615:limit:10").await, "[]");
}

#[tokio::test]
async fn s156_a_page_may_be_filtered_but_for_what_every_client_needs() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for key in [
        "phone.wavi@alice",
        "phone.buzz@alice",
        "public:publickey@alice",
        "@bob:shared_key@alice",
        "shared_key.bob@alice",
        "@bob:phone.wavi@alice",
    ] {
        owner.data(&format!("update:{key} v")).await;
    }
    owner.data("update:public:_inner@alice not committed").await;
    let wavi = page(&mut owner, -1, 25, ":.wavi").await;
    assert_eq!(ids(&wavi), [0, 2, 3, 4, 5]);
    assert_eq!(ids(&page(&mut owner, 3, 25, ":\\.wavi@").await), [4, 5]);
    assert_eq!(ids(&page(&mut owner, -1, 25, ":.WAVI").await), [2, 3, 4], "case counts");
    assert_eq!(ids(&page(&mut owner, -1, 25, ":^@bob:.*wavi").await), [2, 3, 4, 5]);
    assert_eq!(ids(&page(&mut owner, -1, 25, "").await), [0, 1, 2, 3, 4, 5]);
    let answer = owner.ask("sync:from:-1:limit:25:[").await;
    assert!(answer.starts_with("error:AT0003-"), "{answer}");
}

#[tokio::test]
async fn s157_paging_meets_every_key_and_reaches_the_last_commit() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for n in 0..60 {
        owner.data(&format!("update:key{n}@alice {n}")).await;
    }
    assert_eq!(page(&mut owner, -1, 100, "").await.len(), 25);
    assert_eq!(page(&mut owner, -1, 7, "").await.len(), 7);
    assert_eq!(page(&mut owner, -1, 0, "").await.len(), 1, "at least one, or nobody gets on");
    for limit in [1, 7, 25, 1000] {
        let all = all(&mut owner, limit).await;
        assert_eq!(ids(&all), (0..60).collect::<Vec<_>>(), "{limit}");
    }
    let rare = page(&mut owner, -1, 25, ":key5\\d").await;
    assert_eq!(ids(&rare), (50..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn s158_a_page_has_a_byte_budget_that_drops_nothing() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let value = "v".repeat(2_000_000);
    for n in 0..5 {
        owner.data(&format!("update:big{n}@alice {value}")).await;
    }
    owner.data(&format!("update:huge@alice {}", "w".repeat(6_000_000))).await;
    owner.data("update:small@alice v").await;
    let mut sizes = Vec::new();
    let mut last = -1;
    while last < 6 {
        let page = page(&mut owner, last, 25, "").await;
        sizes.push(page.len());
        last = *ids(&page).last().unwrap();
    }
    assert_eq!(sizes, [2, 2, 1, 1, 1]);
}

#[tokio::test]
async fn s159_the_old_form_is_not_known() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let text = "error:AT0003-Invalid syntax : invalid command\n@alice@";
    assert_eq!(owner.ask("sync:5").await, text);
    assert!(owner.ask("sync:from:5").await.starts_with("error:AT0003-Invalid syntax : Invalid"));
    let mut open = lab.connect("@alice").await;
    let text = "error:AT0401-Exception: Command cannot be executed without auth\n@";
    assert_eq!(open.ask("sync:from:-1:limit:5").await, text);
}

#[tokio::test]
async fn the_log_survives_a_restart_and_goes_on_from_where_it_was() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:a@alice 1").await;
    owner.data("delete:a@alice").await;
    owner.data("update:b@alice 1").await;
    drop(owner);
    alice.stop().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:a@alice 2").await;
    let page = page(&mut owner, -1, 25, "").await;
    assert_eq!(ids(&page), [2, 3]);
    assert_eq!(keys(&page), ["b@alice", "a@alice"]);
}

#[tokio::test]
async fn a_page_reads_what_is_on_it_however_many_keys_there_are() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for n in 0..600 {
        owner.data(&format!("update:key{n}.wavi@alice {n}")).await;
    }
    for (command, entries) in [
        ("sync:from:-1:limit:25", 25),
        ("sync:from:590:limit:25", 9),
        ("sync:from:599:limit:25", 0),
        ("sync:from:-1:limit:25:nothing", 0),
        ("sync:from:-1:limit:25:key5[0-9][0-9]", 25),
    ] {
        let before = lab.disk().calls();
        let page = owner.json(command).await;
        assert_eq!(page.as_array().unwrap().len(), entries, "{command}");
        let calls = lab.disk().calls() - before;
        assert!(calls <= entries as u64 + 1, "{command}: {calls} calls of the disk");
    }
    for command in ["stats:3", "stats:3:key0\\.", "stats:15", "stats:3:nothing"] {
        let before = lab.disk().calls();
        owner.json(command).await;
        assert_eq!(lab.disk().calls(), before, "{command}: the index says it all");
    }
}

#[tokio::test]
async fn an_update_reads_the_key_once_and_the_log_stays_right() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:x@alice 1").await;
    owner.data("update:x@alice 2").await;
    let mut calls = Vec::new();
    for command in ["update:new@alice 1", "update:x@alice 3", "delete:new@alice", "delete:x@alice"]
    {
        let before = lab.disk().calls();
        owner.data(command).await;
        calls.push(lab.disk().calls() - before);
    }
    assert_eq!(calls[1..], [calls[0] + 1; 3], "one read more than a new key needs");
    owner.data("update:x@alice 3").await;
    for command in
        ["delete:x@alice", "delete:x@alice", "update:x@alice 4", "update:meta:x@alice:ttl:9"]
    {
        owner.data(command).await;
        let all = page(&mut owner, -1, 25, "").await;
        assert_eq!(keys(&all), ["new@alice", "x@alice"], "{command}");
    }
    lab.clock.advance(20);
    owner.data("update:x@alice 5").await;
    let all = page(&mut owner, -1, 25, "").await;
    assert_eq!((all.len(), &all[1]["value"]), (2, &json!("5")), "an expired one is replaced");
}
