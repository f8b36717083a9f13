//! 209–217: what an enrolled connection may do and see.

use std::sync::Arc;

use serde_json::{Value, json};

use super::enrolment::{Home, step};
use super::notify::{told, watch};
use crate::check::{Check, contains, same, that};
use crate::wire::Client;
use crate::world::members;
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(209, "`wavi:r` looks up in wavi, updates nothing, and reaches no other", read_only),
    row!(210, "`orders.shop` reaches a.orders.shop and not a.shop", two_segments),
    row!(211, "scan and sync show no foreign namespaces", filtered),
    row!(212, "data verbs do not touch `__manage` keys", manage_keys),
    row!(213, "enrolments, passcodes and `keys` records are not in sync", not_synced),
    row!(214, "`keys:get` gives the caller's own and no other's", own_keys),
    row!(215, "`enroll:list` is all to `__manage`, else only oneself; it filters", lists),
    row!(216, "the sixth request on one connection is refused", sixth),
    row!(217, "only a monitor with selfNotifications is told of requests", self_notifications),
];

async fn read_only(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s209").await?;
    let name = home.identity.name.clone();
    for key in ["s209.wavi", "s209.buzz"] {
        home.owner.number(&format!("update:{key}{name} v")).await?;
        home.owner.number(&format!("update:{name}:{key}{name} v")).await?;
    }
    let (_, mut client) = home.enrolled("one", &json!({ "wavi": "r" })).await?;
    client.gives(&format!("llookup:s209.wavi{name}"), "v").await?;
    client.gives(&format!("lookup:s209.wavi{name}"), "v").await?;
    for command in [
        format!("update:s209.wavi{name} w"),
        format!("update:meta:s209.wavi{name}:ttl:1000"),
        format!("delete:s209.wavi{name}"),
        format!("notify:update:{}:s209.wavi{name}:v", world.bob.name),
        format!("llookup:s209.buzz{name}"),
        format!("lookup:s209.buzz{name}"),
        format!("update:s209.buzz{name} w"),
        format!("delete:s209.buzz{name}"),
        format!("update:s209bare{name} w"),
    ] {
        client.refuses(&command, "AT0009").await?;
    }
    for key in ["s209.wavi", "s209.buzz"] {
        home.owner.gives(&format!("llookup:{key}{name}"), "v").await?;
    }
    Ok(())
}

async fn two_segments(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s210").await?;
    let name = home.identity.name.clone();
    let (_, mut client) = home.enrolled("one", &json!({ "orders.shop": "rw" })).await?;
    client.number(&format!("update:s210.orders.shop{name} v")).await?;
    client.gives(&format!("llookup:s210.orders.shop{name}"), "v").await?;
    client.refuses(&format!("update:s210.shop{name} v"), "AT0009").await?;
    client.refuses(&format!("update:s210.reorders.shop{name} v"), "AT0009").await.map(drop)
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// All entries of sync.
async fn synced(client: &mut Client) -> Check<Vec<String>> {
    let (mut at, mut keys) = (-1, Vec::new());
    loop {
        let page = client.json(&format!("sync:from:{at}:limit:25")).await?;
        let entries = page.as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(end) = entries.last().and_then(|entry| entry["commitId"].as_i64()) else {
            return Ok(keys);
        };
        that(end > at, "an id above the last page's", end)?;
        at = end;
        keys.extend(entries.iter().filter_map(|entry| Some(entry["atKey"].as_str()?.to_owned())));
    }
}

async fn filtered(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s211").await?;
    let name = home.identity.name.clone();
    let (own, foreign) = (format!("s211.wavi{name}"), format!("s211.buzz{name}"));
    let shared = format!("@bob:s211.buzz{name}");
    for key in [&own, &foreign, &shared] {
        home.owner.number(&format!("update:{key} v")).await?;
    }
    let (_, mut client) = home.enrolled("one", &json!({ "wavi": "rw" })).await?;
    let scanned = client.json("scan").await?;
    let synced = synced(&mut client).await?;
    let synced: Vec<&str> = synced.iter().map(String::as_str).collect();
    for (verb, keys) in [("scan", strings(&scanned)), ("sync", synced)] {
        that(keys.contains(&&*own), format_args!("{verb} with {own}"), format_args!("{keys:?}"))?;
        let is_clean = !keys.iter().any(|key| key.contains(".buzz@"));
        that(is_clean, format_args!("{verb} without .buzz"), format_args!("{keys:?}"))?;
    }
    Ok(())
}

async fn manage_keys(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s212").await?;
    let name = home.identity.name.clone();
    let all = json!({ "__manage": "rw", "*": "rw" });
    let (id, mut client) = home.enrolled("one", &all).await?;
    for record in ["new.enrollments", "default_enc_private_key", "default_self_enc_key"] {
        let key = format!("{id}.{record}.__manage{name}");
        for command in
            [format!("update:{key} v"), format!("delete:{key}"), format!("llookup:{key}")]
        {
            client.refuses(&command, "AT0009").await?;
        }
    }
    client.refuses(&format!("update:mine.__manage{name} v"), "AT0009").await.map(drop)
}

/// Stores a key of one's own with the `keys` verb; its full name.
async fn put(client: &mut Client, name: &str, key: &str) -> Check<String> {
    let parts = "namespace:__global:appName:conformance:deviceName:one:keyType:aes256";
    let command = format!("keys:put:self:{parts}:encryptionKeyName:e:keyName:{key} secret");
    client.gives(&command, "-1").await?;
    Ok(format!("conformance.one.{key}.__self_keys.__global{name}"))
}

async fn not_synced(world: Arc<World>) -> Check {
    let mut home = Home::new(&world).await?;
    let name = home.identity.name.clone();
    home.owner.gives("otp:put:spp123", "ok").await?;
    let all = json!({ "__manage": "rw", "*": "rw" });
    let (_, mut client) = home.enrolled("one", &all).await?;
    put(&mut client, &name, "mykey").await?;
    home.owner.number(&format!("update:x.wavi{name} v")).await?;
    for keys in [synced(&mut home.owner).await?, synced(&mut client).await?] {
        that(keys.contains(&format!("x.wavi{name}")), "x.wavi", format_args!("{keys:?}"))?;
        let found = keys.iter().find(|key| key.contains(".__") || key.starts_with("private"));
        that(found.is_none(), "no internal record", format_args!("{found:?}"))?;
    }
    Ok(())
}

async fn own_keys(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s214").await?;
    let name = home.identity.name.clone();
    home.owner.refuses("keys:get:self", "AT0011").await?;
    let (one, mut ones) = home.enrolled("one", &json!({ "wavi": "rw" })).await?;
    let (two, mut twos) = home.enrolled("two", &json!({ "wavi": "rw" })).await?;
    let key = put(&mut ones, &name, "mykey").await?;
    let default = |id: &str, kind: &str| format!("{id}.{kind}.__manage{name}");
    let own = ones.json("keys:get:self").await?;
    let own = strings(&own);
    let wanted = [key.clone(), default(&one, "default_self_enc_key")];
    for wanted in &wanted {
        that(own.contains(&&**wanted), format_args!("{wanted}"), format_args!("{own:?}"))?;
    }
    same("number of own keys", &own.len(), &wanted.len())?;
    let stored = ones.json(&format!("keys:get:keyName:{key}")).await?;
    same("value", &stored["value"], &"secret")?;
    let kinds = ["default_enc_private_key", "default_self_enc_key"];
    for (kind, value) in kinds.into_iter().zip(["cHJpdmF0ZQ==", "c2VsZg=="]) {
        let stored = twos.json(&format!("keys:get:keyName:{}", default(&two, kind))).await?;
        same(kind, &stored["value"], &value)?;
        let answer = twos.ask(&format!("keys:get:keyName:{}", default(&one, kind))).await?;
        that(answer.starts_with("error:AT0"), "a refusal of another's key", answer)?;
    }
    for foreign in [key.as_str(), "privatekey:at_secret", "privatekey:at_pkam_publickey"] {
        for operation in ["get", "delete"] {
            let answer = twos.ask(&format!("keys:{operation}:keyName:{foreign}")).await?;
            that(answer.starts_with("error:AT0"), format_args!("no {operation} of it"), answer)?;
        }
    }
    ones.json(&format!("keys:get:keyName:{key}")).await?;
    ones.gives(&format!("keys:delete:keyName:{key}"), "-1").await?;
    ones.refuses(&format!("keys:get:keyName:{key}"), "AT0015").await.map(drop)
}

async fn lists(world: Arc<World>) -> Check {
    let mut home = Home::new(&world).await?;
    let name = home.identity.name.clone();
    let (plain, mut plains) = home.enrolled("plain", &json!({ "wavi": "rw" })).await?;
    let managing = json!({ "__manage": "rw", "wavi": "rw" });
    let (manager, mut managers) = home.enrolled("manager", &managing).await?;
    let pending = home.requested("pending", &json!({ "wavi": "r" })).await?;
    let key = |id: &str| format!("{id}.new.enrollments.__manage{name}");
    for client in [&mut home.owner, &mut managers] {
        let all = client.json("enroll:list").await?;
        for id in [&plain, &manager, &pending] {
            that(all.get(key(id)).is_some(), format_args!("{id} in the list"), &all)?;
        }
        let filter = json!({ "enrollmentStatusFilter": ["pending"] });
        let some = client.json(&format!("enroll:list:{filter}")).await?;
        same("what is pending", &members(&some), &[key(&pending).as_str()])?;
    }
    let own = plains.json("enroll:list").await?;
    same("what the other sees", &members(&own), &[key(&plain).as_str()])?;
    let entry = &own[key(&plain)];
    for (name, value) in [
        ("appName", json!("conformance")),
        ("deviceName", json!("plain")),
        ("namespace", json!({ "wavi": "rw" })),
        ("status", json!("approved")),
    ] {
        same(name, &entry[name], &value)?;
    }
    let answer = plains.ask(&step("fetch", &manager)).await?;
    that(answer.starts_with("error:AT0"), "a refusal of another's enrolment", answer)
}

async fn sixth(world: Arc<World>) -> Check {
    let mut home = Home::new(&world).await?;
    home.owner.gives("otp:put:spp123", "ok").await?;
    let mut client = home.identity.connect().await?;
    for number in 1..=5 {
        let wish = home.wish(&format!("d{number}"), &json!({ "wavi": "r" }), "spp123");
        client.json(&format!("enroll:request:{wish}")).await?;
    }
    let wish = home.wish("d6", &json!({ "wavi": "r" }), "spp123");
    let answer = client.refuses(&format!("enroll:request:{wish}"), "AT0011").await?;
    let text = "Enrollment requests have exceeded the limit within the specified time frame";
    contains("the sixth", &answer, text)
}

async fn self_notifications(world: Arc<World>) -> Check {
    let mut home = Home::new(&world).await?;
    let name = home.identity.name.clone();
    let (mut told_all, mut told_less) =
        (home.identity.owner().await?, home.identity.owner().await?);
    watch(&mut told_all, "monitor:selfNotifications").await?;
    watch(&mut told_less, "monitor").await?;
    let id = home.requested("one", &json!({ "wavi": "rw" })).await?;
    let key = format!("{id}.new.enrollments.__manage{name}");
    let request = told(&mut told_all, |told| told["id"] != "-1").await?;
    let told_key = request["key"].as_str().unwrap_or_default();
    contains("the notification's key", told_key, &key)?;
    let value = request["value"].as_str().unwrap_or_default();
    for part in ["\"appName\":\"conformance\"", "\"deviceName\":\"one\"", "\"namespace\":", "wavi"]
    {
        contains("the notification's value", value, part)?;
    }
    // What comes after it comes to both; had the request come to the second, it would be first.
    home.owner.data(&format!("notify:update:{name}:after.x{name}:v")).await?;
    let next = told(&mut told_less, |told| told["id"] != "-1").await?;
    same("the other's first", &next["key"], &format!("{name}:after.x{name}"))
}
