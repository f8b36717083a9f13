//! notify:all (section 5.13).

use serde_json::{Value, json};

use super::lab::Lab;
use super::peer::Peer;

#[tokio::test]
async fn s184_one_notification_goes_to_all_and_each_has_an_id() {
    let lab = Lab::new().await;
    let (_alice, _bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let _carol = lab.start("@carol").await;
    let mut alice = lab.owner("@alice").await;
    let (mut bob, mut carol) = (lab.owner("@bob").await, lab.owner("@carol").await);
    bob.watch("monitor").await;
    carol.watch("monitor").await;
    let answer =
        alice.ask("notify:all:update:messageType:key:@bob,@carol,@alice,@bob:k.wavi@alice:v").await;
    assert!(answer.starts_with("data: {\"@bob\":\""), "{answer}");
    let ids: Value =
        serde_json::from_str(answer["data: ".len()..].split('\n').next().unwrap()).unwrap();
    let names: Vec<_> = ids.as_object().unwrap().keys().collect();
    assert_eq!(names, ["@bob", "@carol", "@alice"]);
    for (monitor, name) in [(&mut bob, "@bob"), (&mut carol, "@carol")] {
        let told = monitor.notification().await;
        assert_eq!((&told["id"], &told["value"]), (&ids[name], &json!("v")));
        assert_eq!(told["key"], format!("{name}:k.wavi@alice"));
    }
    let own = alice.data(&format!("notify:status:{}", ids["@alice"].as_str().unwrap())).await;
    assert_eq!(own, "delivered");
    let fetched = alice.json(&format!("notify:fetch:{}", ids["@bob"].as_str().unwrap())).await;
    let metadata = fetched["atMetadata"].as_str().unwrap();
    assert!(metadata.contains("dataSignature: "), "{metadata}");
}

#[tokio::test]
async fn s184_gap_1_nobody_but_the_owner_sends_to_all_and_she_only_as_herself() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    let mut open = lab.connect("@alice").await;
    let mut bob = Peer::connect(&lab, "@bob", "@alice").await;
    for client in [&mut open, &mut bob] {
        for command in ["notify:all:@alice:k@alice:v", "notify:all:update:@carol:k@alice:v"] {
            let text = "error:AT0401-Exception: Command cannot be executed without auth\n@";
            assert_eq!(client.ask(command).await, text);
        }
    }
    let answer = alice.ask("notify:all:@bob:k@carol:v").await;
    assert!(answer.starts_with("error:AT0009-"), "{answer}");
    assert!(alice.ask("notify:all:@bob").await.starts_with("error:AT0003-"));
    assert_eq!(alice.data("notify:list").await, "null");
}

#[tokio::test]
async fn an_outbox_without_room_for_all_takes_none() {
    let lab = Lab::with(|limits| limits.outbox_max = 3).await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    let answer = alice.ask("notify:all:@n1,@n2,@n3,@n4:k@alice:v").await;
    assert!(answer.starts_with("error:AT0011-"), "{answer}");
    assert!(alice.ask("notify:all:@n1,@n2,@n3:k@alice:v").await.starts_with("data: {"));
    assert!(alice.ask("notify:@n4:k@alice:v").await.starts_with("error:AT0011-"));
    let list: Vec<_> = (0..256).map(|n| format!("@m{n}")).collect();
    let large = format!("notify:all:{}:k@alice:{}", list.join(","), "v".repeat(1_000_000));
    let answer = alice.ask(&large).await;
    assert!(answer.starts_with("error:AT0011-"), "{answer}");
}

#[tokio::test]
async fn what_is_too_large_for_one_commit_is_refused_and_nothing_is_sent() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut alice = lab.owner("@alice").await;
    let list: Vec<_> = (0..256).map(|n| format!("@m{n}")).collect();
    let large = format!("notify:all:{}:k@alice:{}", list.join(","), "v".repeat(1_000_000));
    let answer = alice.ask(&large).await;
    assert!(answer.starts_with("error:AT0005-"), "{answer}");
    assert!(alice.data("stats:11").await.contains(r#"\"total\":0"#));
    assert!(alice.ask("notify:all:@m1:k@alice:v").await.starts_with("data: {"));
}
