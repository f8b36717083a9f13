//! batch (section 5.18).

use serde_json::{Value, json};

use super::lab::Lab;

fn batch(commands: &[&str]) -> String {
    let list: Vec<_> = commands
        .iter()
        .enumerate()
        .map(|(at, command)| json!({"id": at + 1, "command": command}))
        .collect();
    format!("batch:{}", Value::from(list))
}

#[tokio::test]
async fn s160_s161_s162_commands_are_done_in_order_and_one_that_fails_stops_none() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let command = batch(&[
        "update:a.wavi@alice line~NL~feed",
        "update:b.wavi@alice",
        "llookup:a.wavi@alice",
        "deete:a.wavi@alice",
        "llookup:b.wavi@alice",
        "update:meta:c@alice:ttl:5000",
        "llookup:c@alice",
        "delete:a.wavi@alice",
        "info:brief",
    ]);
    let done = owner.json(&command).await;
    let ids: Vec<_> =
        done.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=9).collect::<Vec<_>>());
    assert_eq!(done[0], json!({"id": 1, "response": {"data": "0"}}));
    let syntax = json!({"error_code": "AT0003", "error_message": "Invalid syntax"});
    assert_eq!((&done[1]["response"], &done[3]["response"]), (&syntax, &syntax));
    assert_eq!(done[2]["response"]["data"], "line~NL~feed");
    assert_eq!(done[4]["response"]["error_code"], "AT0015");
    assert_eq!(
        (&done[5]["response"]["data"], &done[6]["response"]["data"]),
        (&json!("1"), &Value::Null)
    );
    assert_eq!(done[7]["response"]["data"], "2");
    assert!(done[8]["response"]["data"].as_str().unwrap().contains("uptimeAsMillis"));
    assert_eq!(owner.data("batch:[]").await, "[]");
}

#[tokio::test]
async fn what_changes_the_connection_waits_or_nests_has_no_place_in_a_batch() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let nested = batch(&["noop:0"]);
    let commands =
        ["from:@alice", "cram:00", "pkam:00", "pol", "monitor", "noop:5000", "@exit", "", &nested];
    let done = owner.json(&batch(&commands)).await;
    for (one, command) in done.as_array().unwrap().iter().zip(commands) {
        assert_eq!(one["response"]["error_code"], "AT0003", "{command}");
    }
    assert_eq!(owner.ask("noop:0").await, "data:ok\n@alice@", "still the owner's, and no monitor");
    let two_lines =
        owner.json(r#"batch:[{"id":1,"command":"update:a@alice 1\nupdate:b@alice 1"}]"#).await;
    assert_eq!(two_lines[0]["response"]["error_code"], "AT0003");
    let mut open = lab.connect("@alice").await;
    let text = "error:AT0401-Exception: Command cannot be executed without auth\n@";
    assert_eq!(open.ask(&batch(&["scan"])).await, text);
}

#[tokio::test]
async fn a_batch_is_bounded_in_commands_and_in_its_answer() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let many = vec!["noop:0"; 257];
    let answer = owner.ask(&batch(&many)).await;
    assert!(answer.starts_with("error:AT0022-"), "{answer}");
    for bad in ["batch:", "batch:{", "batch:{}", "batch:[1]", r#"batch:[{"id":1}]"#] {
        let answer = owner.ask(bad).await;
        assert!(answer.starts_with("error:AT0011-"), "{bad}: {answer}");
        assert!(answer.ends_with("\n@alice@"), "{answer}");
    }
    owner.data(&format!("update:large@alice {}", "v".repeat(4_000_000))).await;
    let mut commands = vec!["llookup:large@alice"; 20];
    commands.push("update:after@alice v");
    let answer = owner.ask(&batch(&commands)).await;
    assert!(answer.len() < 15_000_000, "{}", answer.len());
    let done: Value =
        serde_json::from_str(answer["data:".len()..].split('\n').next().unwrap()).unwrap();
    assert_eq!(done.as_array().unwrap().len(), 21);
    assert!(done[2]["response"]["data"].is_string());
    assert_eq!(done[3]["response"]["error_code"], "AT0005");
    assert_eq!(
        done[20]["response"]["error_code"], "AT0005",
        "what is said to be refused is not done"
    );
    assert!(owner.ask("llookup:after@alice").await.starts_with("error:AT0015-"));
}
