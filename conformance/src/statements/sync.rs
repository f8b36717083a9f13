//! 145–162: `stats`, `sync`, `batch`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::check::{Check, begins, failed, same, that};
use crate::wire::Client;
use crate::world::members;
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(145, "`stats:3` is the id of the last change", last_id),
    row!(146, "statistics begin `data: [`, objects stand apart by `, `", stats_form),
    row!(147, "`stats` has the ids 1 to 15", all_stats),
    row!(148, "`stats:3:` with an expression counts only what matches", filtered_stats),
    row!(149, "`stats:0` gives AT0003, `stats:99` no close", unknown_stats),
    row!(150, "`stats:11` counts notifications sent, received, delivered", notification_stats),
    row!(151, "`sync:from:-1` begins with the lowest id", from_start),
    row!(152, "`sync:from:` the last id gives `[]`", from_end),
    row!(153, "ten updates of a key are one entry with the last id", one_entry),
    row!(154, "a deleted key is an entry `-` with nulls", deletion),
    row!(155, "metadata in sync are strings", strings),
    row!(156, "an expression keeps what matches and the keys that all need", filtered),
    row!(157, "at most 25 entries, or the limit; paging reaches `stats:3`", pages),
    row!(158, "what is above the byte budget comes on the next page", budget),
    row!(159, "the old `sync:5` gives AT0003", old_sync),
    row!(160, "a batch has a response for each command, in order, with its id", batch),
    row!(161, "a command that fails does not stop a batch", batch_goes_on),
    row!(162, "`~NL~` in a value stays as it is", newline_mark),
];

/// The objects of a `stats` answer.
async fn stats(owner: &mut Client, command: &str) -> Check<Value> {
    let data = owner.data(command).await?;
    let wrong = || failed(format_args!("{command}: JSON after a space"), format_args!("{data:?}"));
    let json = data.strip_prefix(' ').ok_or_else(wrong)?;
    serde_json::from_str(json).map_err(|_| wrong())
}

/// The value of one statistic that is JSON inside a string.
async fn inner(owner: &mut Client, id: u8) -> Check<Value> {
    let all = stats(owner, &format!("stats:{id}")).await?;
    let text = all[0]["value"].as_str().unwrap_or_default();
    serde_json::from_str(text).map_err(|_| failed("JSON in a string", &all))
}

/// Nobody else writes at a spare, so its ids are ours alone.
async fn alone(world: &World) -> Check<(String, Client)> {
    let spare = world.spare()?;
    let owner = spare.owner().await?;
    Ok((spare.name, owner))
}

async fn last_id(world: Arc<World>) -> Check {
    let (name, mut owner) = alone(&world).await?;
    for _ in 0..3 {
        let id = owner.number(&format!("update:k.x{name} v")).await?;
        let all = stats(&mut owner, "stats:3").await?;
        let expected = json!([{ "id": "3", "name": "lastCommitID", "value": id.to_string() }]);
        same("stats:3", &all, &expected)?;
    }
    Ok(())
}

async fn stats_form(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let answer = owner.ask("stats:3,7").await?;
    begins("stats:3,7", &answer, "data: [{\"id\":\"3\",\"name\":\"lastCommitID\",\"value\":")?;
    that(answer.contains("\"}, {\"id\":\"7\","), "…}, {\"id\":\"7\",…", answer)
}

async fn all_stats(world: Arc<World>) -> Check {
    let all = stats(&mut world.alice.owner().await?, "stats").await?;
    let all = all.as_array().cloned().unwrap_or_default();
    let mut ids: Vec<u16> = all.iter().filter_map(|one| one["id"].as_str()?.parse().ok()).collect();
    ids.sort_unstable();
    same("ids", &ids, &(1..=15).collect::<Vec<_>>())?;
    let named = all.iter().all(|one| one["name"].is_string() && !one["value"].is_null());
    that(named, "a name and a value each", json!(all))
}

async fn filtered_stats(world: Arc<World>) -> Check {
    let (name, mut owner) = alone(&world).await?;
    let id = owner.number(&format!("update:k.wavi{name} v")).await?;
    owner.number(&format!("update:k.buzz{name} v")).await?;
    let all = stats(&mut owner, "stats:3:wavi").await?;
    same("stats:3:wavi", &all[0]["value"], &id.to_string())
}

async fn unknown_stats(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    owner.refuses("stats:0", "AT0003").await?;
    begins("stats:99", &owner.ask("stats:99").await?, "error:")?;
    owner.gives("noop:0", "ok").await
}

async fn notification_stats(world: Arc<World>) -> Check {
    let (sender, receiver) = (world.spare()?, world.spare()?);
    let mut from = sender.activated(&world.keys).await?;
    let mut to = receiver.owner().await?;
    let (before, there) = (inner(&mut from, 11).await?, inner(&mut to, 11).await?);
    let id = from.data(&format!("notify:{}:k.x{}:v", receiver.name, sender.name)).await?;
    super::notify::delivered(&mut from, &id).await?;
    let count = |json: &Value, group: &str, name: &str| json[group][name].as_i64().unwrap_or(-1);
    let after = inner(&mut from, 11).await?;
    for (group, name) in [("type", "sent"), ("status", "delivered")] {
        let expected = count(&before, group, name) + 1;
        same(&format!("{group}.{name}"), &count(&after, group, name), &expected)?;
    }
    let received = count(&inner(&mut to, 11).await?, "type", "received");
    same("type.received", &received, &(count(&there, "type", "received") + 1))
}

fn ids(entries: &Value) -> Vec<i64> {
    entries.as_array().into_iter().flatten().filter_map(|one| one["commitId"].as_i64()).collect()
}

async fn from_start(world: Arc<World>) -> Check {
    let (name, mut owner) = alone(&world).await?;
    for key in ["a", "b", "c"] {
        owner.number(&format!("update:{key}.x{name} v")).await?;
    }
    let entries = owner.json("sync:from:-1:limit:10").await?;
    let ids = ids(&entries);
    that(ids.len() >= 3 && ids.is_sorted(), "ascending ids", format_args!("{ids:?}"))?;
    let before = ids[0] - 1;
    let again = owner.json(&format!("sync:from:{before}:limit:10")).await?;
    same("the same from just before the lowest", &again, &entries)
}

async fn last(owner: &mut Client) -> Check<i64> {
    let all = stats(owner, "stats:3").await?;
    let id = all[0]["value"].as_str().and_then(|text| text.parse().ok());
    id.ok_or_else(|| failed("an id in stats:3", all))
}

async fn from_end(world: Arc<World>) -> Check {
    let (name, mut owner) = alone(&world).await?;
    owner.number(&format!("update:k.x{name} v")).await?;
    let last = last(&mut owner).await?;
    owner.gives(&format!("sync:from:{last}:limit:10"), "[]").await
}

async fn one_entry(world: Arc<World>) -> Check {
    let (name, mut owner) = alone(&world).await?;
    let mut id = 0;
    for number in 0..10 {
        id = owner.number(&format!("update:k.x{name} {number}")).await?;
    }
    let entries = owner.json("sync:from:-1:limit:25").await?;
    let key = format!("k.x{name}");
    let of_key: Vec<&Value> =
        entries.as_array().into_iter().flatten().filter(|one| one["atKey"] == *key).collect();
    same("entries", &of_key.len(), &1)?;
    same("commitId", &of_key[0]["commitId"], &id)?;
    same("value", &of_key[0]["value"], &"9")?;
    same("operation", &of_key[0]["operation"], &"*")
}

async fn deletion(world: Arc<World>) -> Check {
    let (name, mut owner) = alone(&world).await?;
    let id = owner.number(&format!("update:k.x{name} v")).await?;
    let deleted = owner.number(&format!("delete:k.x{name}")).await?;
    let entries = owner.json(&format!("sync:from:{id}:limit:10")).await?;
    let expected = json!([{
        "atKey": format!("k.x{name}"), "value": null, "metadata": null,
        "commitId": deleted, "operation": "-",
    }]);
    same("the entry", &entries, &expected)
}

async fn strings(world: Arc<World>) -> Check {
    let (name, mut owner) = alone(&world).await?;
    let id = owner.number(&format!("update:a.x{name} v")).await?;
    owner
        .number(&format!("update:ttl:600000:ttr:60:ccd:true:isEncrypted:true:k.x{name} v"))
        .await?;
    let entries = owner.json(&format!("sync:from:{id}:limit:10")).await?;
    let entry = &entries[0];
    let expected = ["atKey", "value", "metadata", "commitId", "operation"];
    same("members", &members(entry), &expected)?;
    for (name, value) in entry["metadata"].as_object().into_iter().flatten() {
        that(value.is_string(), format_args!("{name}: a string"), value)?;
    }
    for (name, value) in [("ttl", "600000"), ("ttr", "60"), ("ccd", "true"), ("version", "0")] {
        same(name, &entry["metadata"][name], &value)?;
    }
    Ok(())
}

fn keys(entries: &Value) -> Vec<String> {
    let entries = entries.as_array().into_iter().flatten();
    let mut keys: Vec<String> =
        entries.filter_map(|one| Some(one["atKey"].as_str()?.to_owned())).collect();
    keys.sort();
    keys
}

async fn filtered(world: Arc<World>) -> Check {
    let (name, mut owner) = alone(&world).await?;
    let needed = [
        format!("@bob:shared_key{name}"),
        format!("k.wavi{name}"),
        format!("public:publickey{name}"),
        format!("shared_key.bob{name}"),
    ];
    for key in needed.iter().chain([&format!("k.buzz{name}"), &format!("@bob:k.buzz{name}")]) {
        owner.number(&format!("update:{key} v")).await?;
    }
    let mut seen = keys(&owner.json("sync:from:-1:limit:25:wavi").await?);
    // The server's own keys come without being asked for.
    seen.retain(|key| !key.contains("signing_"));
    same("keys", &seen, &needed.to_vec())
}

async fn pages(world: Arc<World>) -> Check {
    let (name, mut owner) = alone(&world).await?;
    for number in 0..60 {
        owner.number(&format!("update:k{number}.x{name} v")).await?;
    }
    for (limit, most) in [(100, 25), (7, 25)] {
        let (mut at, mut seen) = (-1, Vec::new());
        loop {
            let page = owner.json(&format!("sync:from:{at}:limit:{limit}")).await?;
            let page = ids(&page);
            let Some(end) = page.last() else { break };
            that(page.len() <= most, format_args!("at most {most}"), page.len())?;
            that(page.is_sorted() && page[0] > at, "ascending ids", format_args!("{page:?}"))?;
            at = *end;
            seen.extend(page);
        }
        same("the last id", &at, &last(&mut owner).await?)?;
        that(seen.len() >= 60, "all 60 keys", seen.len())?;
    }
    Ok(())
}

async fn budget(world: Arc<World>) -> Check {
    let (name, mut owner) = alone(&world).await?;
    let start = owner.number(&format!("update:a.x{name} v")).await?;
    // One above 5 MiB by itself, then two that exceed it together.
    let sizes = [5_400_000, 2_700_000, 2_700_000];
    for (number, size) in sizes.iter().enumerate() {
        let value = "v".repeat(*size);
        owner.number(&format!("update:k{number}.x{name} {value}")).await?;
    }
    let (mut at, mut seen) = (start, Vec::new());
    for _ in 0..=sizes.len() {
        let page = owner.json(&format!("sync:from:{at}:limit:25")).await?;
        let Some(end) = ids(&page).last().copied() else { break };
        at = end;
        seen.extend(keys(&page));
    }
    let expected: Vec<String> = (0..sizes.len()).map(|n| format!("k{n}.x{name}")).collect();
    same("keys over all pages", &seen, &expected)
}

async fn old_sync(world: Arc<World>) -> Check {
    world.alice.owner().await?.refuses("sync:5", "AT0003").await.map(drop)
}

async fn batch(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s160"));
    let commands = json!([
        { "id": 7, "command": format!("update:{key} one") },
        { "id": 3, "command": format!("llookup:{key}") },
        { "id": 5, "command": format!("delete:{key}") },
    ]);
    let responses = owner.json(&format!("batch:{commands}")).await?;
    let ids: Vec<i64> =
        responses.as_array().into_iter().flatten().filter_map(|one| one["id"].as_i64()).collect();
    same("ids", &ids, &vec![7, 3, 5])?;
    same("the look-up", &responses[1]["response"], &json!({ "data": "one" }))?;
    for number in [0, 2] {
        let data = &responses[number]["response"]["data"];
        let is_id = data.as_str().is_some_and(|text| text.parse::<i64>().is_ok());
        that(is_id, "an id as text", &responses)?;
    }
    Ok(())
}

async fn batch_goes_on(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s161"));
    let commands = json!([
        { "id": 1, "command": format!("update:{key}") },
        { "id": 2, "command": format!("llookup:{key}missing") },
        { "id": 3, "command": format!("update:{key} v") },
    ]);
    let responses = owner.json(&format!("batch:{commands}")).await?;
    same("the first error", &responses[0]["response"]["error_code"], &"AT0003")?;
    that(responses[0]["response"]["error_message"].is_string(), "error_message", &responses)?;
    let third = responses.as_array().and_then(|all| all.iter().find(|one| one["id"] == 3));
    that(third.is_some(), "a response to the third", &responses)?;
    owner.gives(&format!("llookup:{key}"), "v").await
}

async fn newline_mark(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s162"));
    owner.number(&format!("update:{key} one~NL~two")).await?;
    owner.gives(&format!("llookup:{key}"), "one~NL~two").await
}
