//! 86–114: `update`, `update:meta`, `update:json`, `llookup`, metadata.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::check::{Check, code, contains, failed, same, that};
use crate::world::members;
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(86, "what is updated is looked up", simple),
    row!(87, "other scripts, emoji, `:`, `@`, quotes, blanks come back byte for byte", values),
    row!(88, "a second blank after the key belongs to the value", second_blank),
    row!(89, "an update without a value gives AT0003", no_value),
    row!(90, "`public:` and `@bob:` together give AT0003", public_and_shared),
    row!(91, "two owners give AT0003", two_owners),
    row!(92, "a comma in a key gives AT0016", comma),
    row!(93, "another's key gives AT0016 and says why", anothers),
    row!(94, "keys are lower-case", lower_case),
    row!(95, "248 characters make a key, 249 give AT0016", lengths),
    row!(96, "an emoji key is updated, looked up and listed", emoji_key),
    row!(97, "an update's id is greater than all before", greater_id),
    row!(98, "`private:` and `cached:` keys cannot be updated", server_kinds),
    row!(99, "`ttl` is shown, and after it the value is null", ttl),
    row!(100, "until `ttb` the value is null", ttb),
    row!(101, "`ttl` and `ttb`: null, value, null", ttb_and_ttl),
    row!(102, "`ttl:0` ends an expiry", no_ttl),
    row!(103, "a negative `ttl` gives AT0003", negative_ttl),
    row!(104, "`ttr:-2` gives AT0003, `ttr:-1` does not", ttr),
    row!(105, "`version` is 0 at first and 1 after an update", version),
    row!(106, "`createdAt` stays and `updatedAt` moves", dates),
    row!(107, "metadata left out are kept, but isBinary and isEncrypted become false", kept),
    row!(108, "dates have exactly their form", date_form),
    row!(109, "`update:meta` of a missing key makes it with null", meta_of_missing),
    row!(110, "`update:json:` stores value and metadata", json_form),
    row!(111, "`llookup:all` has key, data, metaData and no null metadata", all),
    row!(112, "`llookup` of a missing key gives AT0015", missing),
    row!(113, "metadata in any order, and `hash` and `algo`, are accepted", any_order),
    row!(114, "`ccd:True` is accepted", capital_true),
];

impl World {
    /// A key of @alice that nobody else uses: `name.namespace@alice`.
    pub(super) fn alices(&self, name: &str) -> String {
        format!("{}{}", self.key(name), self.alice.name)
    }

    /// A key of @bob that nobody else uses.
    pub(super) fn bobs(&self, name: &str) -> String {
        format!("{}{}", self.key(name), self.bob.name)
    }
}

async fn simple(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s086"));
    owner.number(&format!("update:public:{key} v")).await?;
    owner.gives(&format!("llookup:public:{key}"), "v").await
}

async fn values(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s087"));
    for value in [
        "日本語のテキスト",
        "🛠️ 👩‍👩‍👧‍👦 🏳️‍🌈",
        "a:b:c @alice@ data:x error:AT0001-y",
        "\"quoted\" 'single' \\ {\"json\":[1, 2]} </x>",
        " two  blanks, one in front",
    ] {
        owner.number(&format!("update:{key} {value}")).await?;
        owner.gives(&format!("llookup:{key}"), value).await?;
        same("llookup:all", &owner.json(&format!("llookup:all:{key}")).await?["data"], &value)?;
    }
    Ok(())
}

async fn second_blank(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s088"));
    owner.number(&format!("update:{key}  v")).await?;
    owner.gives(&format!("llookup:{key}"), " v").await
}

async fn refused(world: &World, command: &str, code: &str) -> Check<String> {
    world.alice.owner().await?.refuses(command, code).await
}

async fn no_value(world: Arc<World>) -> Check {
    let key = world.alices("s089");
    refused(&world, &format!("update:{key}"), "AT0003").await.map(drop)
}

async fn public_and_shared(world: Arc<World>) -> Check {
    let (key, bob) = (world.alices("s090"), &world.bob.name);
    refused(&world, &format!("update:public:{bob}:{key} v"), "AT0003").await.map(drop)
}

async fn two_owners(world: Arc<World>) -> Check {
    let (key, alice) = (world.alices("s091"), &world.alice.name);
    refused(&world, &format!("update:{key}{alice} v"), "AT0003").await.map(drop)
}

async fn comma(world: Arc<World>) -> Check {
    let key = world.alices("country,current");
    refused(&world, &format!("update:{key} v"), "AT0016").await.map(drop)
}

async fn anothers(world: Arc<World>) -> Check {
    let (alice, bob) = (&world.alice.name, &world.bob.name);
    let answer = refused(&world, &format!("update:{} v", world.bobs("s093")), "AT0016").await?;
    let text = format!("sharedBy atsign {bob} should be same as current atsign {alice}");
    contains("an update of another's key", &answer, &text)
}

async fn lower_case(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s094phone"));
    let capital = format!("{}{}", world.key("S094Phone"), world.alice.name);
    owner.number(&format!("update:{capital} 1")).await?;
    owner.gives(&format!("llookup:{key}"), "1").await?;
    same("scan", &owner.json("scan s094phone").await?, &json!([key]))
}

async fn lengths(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let end = world.alices("");
    let of = |length: usize| format!("{}{end}", "k".repeat(length - end.chars().count()));
    owner.number(&format!("update:{} v", of(248))).await?;
    owner.gives(&format!("llookup:{}", of(248)), "v").await?;
    owner.refuses(&format!("update:{} v", of(249)), "AT0016").await.map(drop)
}

async fn emoji_key(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let key = format!("{}{}", world.key("🦄🦄"), world.alice.name);
    owner.number(&format!("update:public:{key} v")).await?;
    owner.gives(&format!("llookup:public:{key}"), "v").await?;
    let mut open = world.alice.connect().await?;
    open.gives(&format!("lookup:{key}"), "v").await?;
    contains("scan on U", &open.data("scan").await?, &format!("\"{key}\""))?;
    world.bob.owner().await?.gives(&format!("plookup:{key}"), "v").await
}

async fn greater_id(world: Arc<World>) -> Check {
    let (mut owner, mut last) = (world.alice.owner().await?, -1);
    for name in ["s097a", "s097b", "s097a"] {
        let id = owner.number(&format!("update:{} v", world.alices(name))).await?;
        that(id > last, format_args!("an id above {last}"), id)?;
        last = id;
    }
    Ok(())
}

async fn server_kinds(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let (key, bob) = (world.alices("s098"), &world.bob.name);
    for command in [
        format!("update:private:{key} v"),
        format!("update:cached:{bob}:{key} v"),
        format!("update:cached:public:{key} v"),
    ] {
        let answer = owner.ask(&command).await?;
        let is_refused = ["error:AT0016-", "error:AT0003-"].iter().any(|e| answer.starts_with(e));
        that(is_refused, format_args!("{command}: AT0016 or AT0003"), answer)?;
    }
    Ok(())
}

async fn ttl(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s099"));
    owner.number(&format!("update:ttl:3000:{key} v")).await?;
    same("ttl", &owner.json(&format!("llookup:meta:{key}")).await?["ttl"], &3000)?;
    owner.gives(&format!("llookup:{key}"), "v").await?;
    sleep(Duration::from_millis(3_100)).await;
    owner.gives(&format!("llookup:{key}"), "null").await
}

async fn ttb(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s100"));
    owner.number(&format!("update:ttb:2000:{key} v")).await?;
    owner.gives(&format!("llookup:{key}"), "null").await?;
    sleep(Duration::from_millis(2_100)).await;
    owner.gives(&format!("llookup:{key}"), "v").await
}

async fn ttb_and_ttl(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s101"));
    owner.number(&format!("update:ttl:4000:ttb:2000:{key} v")).await?;
    owner.gives(&format!("llookup:{key}"), "null").await?;
    sleep(Duration::from_millis(3_000)).await;
    owner.gives(&format!("llookup:{key}"), "v").await?;
    sleep(Duration::from_millis(3_500)).await;
    owner.gives(&format!("llookup:{key}"), "null").await
}

async fn no_ttl(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s102"));
    owner.number(&format!("update:ttl:1500:{key} v")).await?;
    owner.number(&format!("update:ttl:0:{key} v")).await?;
    sleep(Duration::from_millis(1_600)).await;
    owner.gives(&format!("llookup:{key}"), "v").await?;
    let meta = owner.json(&format!("llookup:meta:{key}")).await?;
    that(meta["expiresAt"].is_null(), "no expiresAt", meta)
}

async fn negative_ttl(world: Arc<World>) -> Check {
    let key = world.alices("s103");
    refused(&world, &format!("update:ttl:-1:{key} v"), "AT0003").await.map(drop)
}

async fn ttr(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s104"));
    owner.refuses(&format!("update:ttr:-2:{key} v"), "AT0003").await?;
    owner.number(&format!("update:ttr:-1:{key} v")).await.map(drop)
}

async fn version(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s105"));
    for version in [0, 1] {
        owner.number(&format!("update:{key} v")).await?;
        let meta = owner.json(&format!("llookup:meta:{key}")).await?;
        same("version", &meta["version"], &version)?;
    }
    Ok(())
}

async fn dates(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s106"));
    owner.number(&format!("update:{key} v")).await?;
    let before = owner.json(&format!("llookup:meta:{key}")).await?;
    same("updatedAt of a new key", &before["updatedAt"], &before["createdAt"])?;
    sleep(Duration::from_millis(20)).await;
    owner.number(&format!("update:{key} w")).await?;
    let after = owner.json(&format!("llookup:meta:{key}")).await?;
    same("createdAt", &after["createdAt"], &before["createdAt"])?;
    let moved = after["updatedAt"].as_str() > before["updatedAt"].as_str();
    that(moved, "a later updatedAt", &after["updatedAt"])
}

async fn kept(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s107"));
    let parts = "ttl:600000:ttr:60:ccd:true:isBinary:true:isEncrypted:true:encoding:base64";
    owner.number(&format!("update:{parts}:{key} v")).await?;
    let before = owner.json(&format!("llookup:meta:{key}")).await?;
    for flag in ["isBinary", "isEncrypted"] {
        same(flag, &before[flag], &true)?;
    }
    owner.number(&format!("update:{key} w")).await?;
    let after = owner.json(&format!("llookup:meta:{key}")).await?;
    for (name, value) in [
        ("ttl", json!(600_000)),
        ("ttr", json!(60)),
        ("ccd", json!(true)),
        ("encoding", json!("base64")),
        ("isBinary", json!(false)),
        ("isEncrypted", json!(false)),
    ] {
        same(name, &after[name], &value)?;
    }
    Ok(())
}

async fn date_form(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s108"));
    owner.number(&format!("update:ttl:600000:ttb:1:ttr:60:{key} v")).await?;
    // Until then it is null.
    sleep(Duration::from_millis(50)).await;
    let meta = owner.json(&format!("llookup:meta:{key}")).await?;
    let form = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z$";
    let form = Regex::new(form).map_err(|error| failed("a pattern", error))?;
    for name in ["createdAt", "updatedAt", "availableAt", "expiresAt", "refreshAt"] {
        let date = meta[name].as_str().unwrap_or_default();
        that(form.is_match(date), format_args!("{name}: a date"), format_args!("{date:?}"))?;
    }
    Ok(())
}

async fn meta_of_missing(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s109"));
    owner.number(&format!("update:meta:{key}:ttl:600000")).await?;
    let all = owner.json(&format!("llookup:all:{key}")).await?;
    same("data", &all["data"], &Value::Null)?;
    same("ttl", &all["metaData"]["ttl"], &600_000)?;
    owner.gives(&format!("llookup:{key}"), "null").await
}

async fn json_form(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let (alice, bob) = (&world.alice.name, &world.bob.name);
    let body = json!({
        "atKey": world.key("s110"), "value": "x", "sharedBy": alice, "sharedWith": bob,
        "metadata": { "ttl": 600_000, "isPublic": false, "isBinary": false, "isEncrypted": true },
    });
    owner.number(&format!("update:json:{body}")).await?;
    let key = format!("{bob}:{}", world.alices("s110"));
    let all = owner.json(&format!("llookup:all:{key}")).await?;
    same("data", &all["data"], &"x")?;
    same("ttl", &all["metaData"]["ttl"], &600_000)?;
    same("isEncrypted", &all["metaData"]["isEncrypted"], &true)
}

async fn all(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s111"));
    owner.number(&format!("update:{key} v")).await?;
    let text = owner.data(&format!("llookup:all:{key}")).await?;
    let all: Value = serde_json::from_str(&text).map_err(|_| failed("JSON", &text))?;
    same("members", &members(&all), &["key", "data", "metaData"])?;
    same("key", &all["key"], &key)?;
    that(!text.contains("null"), "no null", &text)?;
    same("compact JSON", &text, &all.to_string())
}

async fn missing(world: Arc<World>) -> Check {
    let key = world.alices("s112");
    let answer = world.alice.owner().await?.ask(&format!("llookup:{key}")).await?;
    code("a missing key", &answer, "AT0015")
}

async fn any_order(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s113"));
    let parts = "isEncrypted:true:ccd:true:ttr:60:hash:abc:algo:sha512:ttl:600000:ivNonce:n";
    owner.number(&format!("update:{parts}:{key} v")).await?;
    let all = owner.json(&format!("llookup:all:{key}")).await?;
    same("data", &all["data"], &"v")?;
    for (name, value) in [("ttl", json!(600_000)), ("ttr", json!(60)), ("ivNonce", json!("n"))] {
        same(name, &all["metaData"][name], &value)?;
    }
    Ok(())
}

async fn capital_true(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s114"));
    owner.number(&format!("update:ttr:60:ccd:True:{key} v")).await?;
    same("ccd", &owner.json(&format!("llookup:meta:{key}")).await?["ccd"], &true)
}
