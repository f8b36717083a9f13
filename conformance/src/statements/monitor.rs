//! 185–196: `monitor`, `config`, `info`, `noop`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::notify::{NOTIFICATION_MEMBERS, answer_line, told, watch};
use crate::check::{Check, begins, failed, not_applicable, same, that};
use crate::wire::{Client, SILENCE};
use crate::world::members;
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(185, "`monitor` has no answer; notifications come as lines", monitors),
    row!(186, "`monitor:<ms>` tells first what is stored since then", stored),
    row!(187, "an expression filters by key and by sender", filtered),
    row!(188, "a strict monitor is told no statistics", strict),
    row!(189, "statistics have id -1, come each 15 s and after each change", statistics),
    row!(190, "answers on a monitor connection do not spoil the next line", heartbeat),
    row!(191, "a monitor that does not read delays nobody", slow),
    row!(192, "the block list is added to, shown, and emptied", block_list),
    row!(193, "one's own name is not blocked", own_block),
    row!(194, "settings cannot be changed outside testing", settings),
    row!(195, "`info` has version and uptime in words, `info:brief` in milliseconds", info),
    row!(196, "`noop:5001` gives AT0022", long_noop),
];

/// A notification to oneself, which comes at once.
async fn to_oneself(world: &World, owner: &mut Client, name: &str) -> Check<String> {
    let command = format!("notify:update:{}:{}:v", world.alice.name, world.alices(name));
    owner.data(&command).await
}

async fn monitors(world: Arc<World>) -> Check {
    let (mut owner, mut monitor) = (world.alice.owner().await?, world.alice.owner().await?);
    monitor.send("monitor:strict s185\n").await?;
    monitor.is_silent().await?;
    let id = to_oneself(&world, &mut owner, "s185").await?;
    let record = monitor.record().await?.unwrap_or_default();
    begins("a notification", &record, &format!("notification: {{\"id\":\"{id}\",\"from\":"))?;
    let is_line = record.ends_with("}\n") && record.matches('\n').count() == 1;
    that(is_line, "one whole line in one record, no prompt", &record)?;
    let body = record.trim_end().strip_prefix("notification: ").unwrap_or_default();
    let told: Value = serde_json::from_str(body).map_err(|_| failed("JSON", body))?;
    same("members", &members(&told), &NOTIFICATION_MEMBERS)
}

async fn stored(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let first = to_oneself(&world, &mut owner, "s186").await?;
    let since = owner.json("notify:list:s186").await?[0]["epochMillis"].as_i64();
    let since = since.ok_or_else(|| failed("epochMillis", "none"))?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let second = to_oneself(&world, &mut owner, "s186").await?;
    for (millis, expected) in [(since - 1, vec![&first, &second]), (since, vec![&second])] {
        let mut monitor = world.alice.owner().await?;
        monitor.send(&format!("monitor:strict:{millis} s186\n")).await?;
        for id in expected {
            same("the next", &told(&mut monitor, |_| true).await?["id"], id)?;
        }
    }
    Ok(())
}

async fn filtered(world: Arc<World>) -> Check {
    let spare = world.spare()?;
    let (mut owner, name) = (spare.owner().await?, &spare.name);
    let (mut by_key, mut by_sender) = (spare.owner().await?, spare.owner().await?);
    watch(&mut by_key, "monitor .wavi").await?;
    watch(&mut by_sender, &format!("monitor ^{}$", spare.bare())).await?;
    for key in ["a.buzz", "b.wavi"] {
        owner.data(&format!("notify:update:{name}:{key}{name}:v")).await?;
    }
    let first = told(&mut by_key, |told| told["id"] != "-1").await?;
    same("the first by key", &first["key"], &format!("{name}:b.wavi{name}"))?;
    let first = told(&mut by_sender, |told| told["id"] != "-1").await?;
    same("the first by sender", &first["key"], &format!("{name}:a.buzz{name}"))
}

async fn strict(world: Arc<World>) -> Check {
    let (mut owner, mut monitor) = (world.alice.owner().await?, world.alice.owner().await?);
    monitor.send("monitor:strict s188\n").await?;
    monitor.is_silent().await?;
    owner.number(&format!("update:{} v", world.alices("s188change"))).await?;
    monitor.is_silent().await?;
    let id = to_oneself(&world, &mut owner, "s188").await?;
    same("the first", &told(&mut monitor, |_| true).await?["id"], &id)
}

async fn statistics(world: Arc<World>) -> Check {
    let spare = world.spare()?;
    let (mut owner, mut monitor) = (spare.owner().await?, spare.owner().await?);
    watch(&mut monitor, "monitor").await?;
    monitor.be_patient(Duration::from_secs(20));
    for (command, operation) in [("update", "update"), ("delete", "delete")] {
        let value = if command == "update" { " v" } else { "" };
        let id = owner.number(&format!("{command}:k.x{}{value}", spare.name)).await?.to_string();
        let told = told(&mut monitor, |told| told["value"] == *id).await?;
        let expected = json!({
            "id": "-1", "from": spare.name, "to": spare.name,
            "key": format!("statsNotification.{}", spare.name), "value": id,
            "operation": operation, "epochMillis": told["epochMillis"],
            "messageType": "MessageType.key", "isEncrypted": false, "metadata": null,
        });
        same("statistics", &told, &expected)?;
    }
    let began = Instant::now();
    told(&mut monitor, |told| told["id"] == "-1").await?;
    let took = began.elapsed();
    that(took < Duration::from_secs(18), "the next within 15 s", format_args!("{took:?}"))
}

async fn heartbeat(world: Arc<World>) -> Check {
    let (mut owner, mut monitor) = (world.alice.owner().await?, world.alice.owner().await?);
    monitor.send("monitor:strict s190\n").await?;
    for round in 0..2 {
        same("noop:0", answer_line(&mut monitor, "noop:0").await?.as_str(), "data:ok")?;
        let id = to_oneself(&world, &mut owner, &format!("s190{round}")).await?;
        let line = monitor.line().await?;
        begins("the next line", &line, &format!("notification: {{\"id\":\"{id}\""))?;
    }
    Ok(())
}

async fn slow(world: Arc<World>) -> Check {
    let spare = world.spare()?;
    let (mut owner, mut monitor) = (spare.owner().await?, spare.owner().await?);
    monitor.send("monitor\n").await?;
    let value = "v".repeat(64 * 1024);
    let mut slowest = Duration::ZERO;
    for number in 0..60 {
        let began = Instant::now();
        owner.data(&format!("notify:update:{0}:k{number}.x{0}:{value}", spare.name)).await?;
        slowest = slowest.max(began.elapsed());
    }
    let began = Instant::now();
    spare.owner().await?.gives("noop:0", "ok").await?;
    slowest = slowest.max(began.elapsed());
    let limit = SILENCE * 10;
    that(slowest < limit, format_args!("answers within {limit:?}"), format_args!("{slowest:?}"))
}

async fn block_list(world: Arc<World>) -> Check {
    let mut owner = world.spare()?.owner().await?;
    owner.gives("config:block:show", "null").await?;
    owner.gives("config:block:add:@some @body", "success").await?;
    let mut list = owner.json("config:block:show").await?;
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(ToString::to_string);
    }
    same("the list", &list, &json!(["@body", "@some"]))?;
    owner.gives("config:block:remove:@some @body", "success").await?;
    owner.gives("config:block:show", "null").await
}

async fn own_block(world: Arc<World>) -> Check {
    let spare = world.spare()?;
    let mut owner = spare.owner().await?;
    owner.ask(&format!("config:block:add:{} @some", spare.name)).await?;
    same("the list", &owner.json("config:block:show").await?, &json!(["@some"]))?;
    spare.owner().await?.gives("noop:0", "ok").await
}

async fn settings(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let print = owner.ask("config:print:autoNotify").await?;
    if ["data:true\n", "data:false\n"].iter().any(|value| print.starts_with(value)) {
        return Err(not_applicable("the server is in testing mode"));
    }
    for command in ["config:set:autoNotify=true", "config:reset:autoNotify", "config:print:x"] {
        owner.gives(command, "testing mode disabled by default").await?;
    }
    Ok(())
}

async fn info(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let info = client.json("info").await?;
    same("info", &members(&info), &["version", "uptimeAsWords"])?;
    let words = info["uptimeAsWords"].as_str().unwrap_or_default();
    that(words.ends_with("seconds"), "… N seconds", words)?;
    let brief = client.json("info:brief").await?;
    same("info:brief", &members(&brief), &["version", "uptimeAsMillis"])?;
    that(brief["uptimeAsMillis"].is_u64(), "milliseconds", &brief)?;
    let version = info["version"].as_str().unwrap_or_default();
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    that(parts >= vec![3, 0, 47], "a version from 3.0.47 on", version)
}

async fn long_noop(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    client.refuses("noop:5001", "AT0022").await.map(drop)
}
