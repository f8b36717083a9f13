//! config and the block list (sections 4.1 and 5.17).

use serde_json::json;

use super::lab::Lab;
use super::peer::Peer;

#[tokio::test]
async fn s192_s193_names_are_blocked_and_unblocked() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    assert_eq!(owner.data("config:block:show").await, "null");
    assert_eq!(owner.ask("config:block:add:@bob @carol").await, "data:success\n@alice@");
    assert_eq!(owner.data("config:block:add:@alice @bob").await, "success");
    assert_eq!(owner.json("config:block:show").await, json!(["@bob", "@carol"]));
    drop(owner);
    alice.stop().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    assert_eq!(owner.data("config:block:remove:@bob @dave").await, "success");
    assert_eq!(owner.json("config:block:show").await, json!(["@carol"]));
    assert_eq!(owner.data("config:block:remove:@carol").await, "success");
    assert_eq!(owner.data("config:block:show").await, "null");
    assert_eq!(owner.data("config:block:add:@alice").await, "success");
    assert_eq!(owner.data("config:block:show").await, "null", "not the owner herself");
    assert_eq!(owner.data("sync:from:-1:limit:25").await, "[]", "the list is not committed");
    assert!(owner.ask("config:block:add:bob").await.starts_with("error:AT0003-"));
    assert!(!owner.data("scan:showHidden:true").await.contains("blocklist"));
}

#[tokio::test]
async fn s194_there_are_no_settings_outside_tests() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for command in
        ["config:set:autoNotify=false", "config:reset:autoNotify", "config:print:inboundMaxLimit"]
    {
        let text = "data:testing mode disabled by default\n@alice@";
        assert_eq!(owner.ask(command).await, text, "{command}");
    }
    assert!(owner.ask("config:set:").await.starts_with("error:AT0003-"));
    let mut open = lab.connect("@alice").await;
    let text = "error:AT0401-Exception: Command cannot be executed without auth\n@";
    assert_eq!(open.ask("config:block:show").await, text);
}

#[tokio::test]
async fn s075_who_is_blocked_is_told_so_and_closed() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut before = Peer::connect(&lab, "@bob", "@alice").await;
    owner.data("config:block:add:@bob").await;
    let mut blocked = lab.connect_as_host("@alice", &["localhost"]).await;
    blocked.send("from:@b.o.b\n").await;
    assert_eq!(blocked.rest().await, "error:AT0013-Exception: Unable to connect\n@");
    assert_eq!(before.data("scan").await, "[]", "a connection that was there before stays");
    Peer::connect(&lab, "@carol", "@alice").await;
    owner.data("config:block:remove:@bob").await;
    let mut again = lab.connect_as_host("@alice", &["localhost"]).await;
    assert!(again.data("from:@bob").await.starts_with("proof:_"));
}

#[tokio::test]
async fn a_block_list_is_bounded() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let names = |count: usize| (0..count).map(|n| format!("@n{n}")).collect::<Vec<_>>().join(" ");
    let answer = owner.ask(&format!("config:block:add:{}", names(1001))).await;
    assert!(answer.starts_with("error:AT0022-"), "{answer}");
    assert_eq!(owner.data("config:block:show").await, "null");
    assert_eq!(owner.data(&format!("config:block:add:{}", names(1000))).await, "success");
    assert!(owner.ask("config:block:add:@more").await.starts_with("error:AT0022-"));
}
