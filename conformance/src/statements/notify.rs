//! 163–184: `notify`.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::scan::becomes_known;
use crate::check::{Check, begins, code, failed, same, that};
use crate::wire::Client;
use crate::world::members;
use crate::{Statement, World, row};

/// What a notification has in lists and on monitors, in this order.
pub(super) const NOTIFICATION_MEMBERS: [&str; 10] = [
    "id",
    "from",
    "to",
    "key",
    "value",
    "operation",
    "epochMillis",
    "messageType",
    "isEncrypted",
    "metadata",
];

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(163, "`notify:` of a key gives a UUID", uuid),
    row!(164, "an id of the client's own is used", own_id),
    row!(165, "the status becomes delivered", becomes_delivered),
    row!(166, "to an unknown name it becomes errored", errored),
    row!(167, "after ttln it is expired", expired),
    row!(168, "an unknown id has status null and is fetched as expired", unknown_id),
    row!(169, "a fetched notification has strings only", fetched),
    row!(170, "the receiver's list has it", listed),
    row!(171, "lists are filtered by day and expression", filtered),
    row!(172, "a removed notification is gone", removed),
    row!(173, "a text arrives as a text", text),
    row!(174, "`notify:` on U gives AT0401", open),
    row!(175, "a notification as somebody else gives AT0009", as_another),
    row!(176, "`strategy:latest` without a notifier gives AT0003", latest_of_whom),
    row!(177, "latestN keeps only the newest for who is away", latest),
    row!(178, "what came while the receiver was away is delivered later", away),
    row!(179, "a ttr and a value make the receiver's copy; delete with ccd removes it", copies),
    row!(180, "a notification to oneself is delivered at once", to_oneself),
    row!(181, "P cannot notify of a key that is not its own", foreign_key),
    row!(182, "P's notification is answered exactly `data:success`", success),
    row!(183, "an update of a shared key is notified by itself", automatic),
    row!(184, "`notify:all` is the owner's, and gives an id for each receiver", to_all),
];

const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until it is delivered.
pub(super) async fn delivered(client: &mut Client, id: &str) -> Check {
    client.becomes(&format!("notify:status:{id}"), "delivered", PATIENCE).await
}

/// Begins to monitor; whatever is stored from now on will be told.
pub(super) async fn watch(client: &mut Client, command: &str) -> Check {
    client.send(&format!("{command}\n")).await?;
    let line = answer_line(client, "noop:0").await?;
    // An answer here should have no prompt; that is statement 190's business.
    begins("noop:0 on a monitor connection", &line, "data:ok")
}

/// A command on a monitor connection and its answer: the line that is no notification.
pub(super) async fn answer_line(client: &mut Client, command: &str) -> Check<String> {
    client.send(&format!("{command}\n")).await?;
    loop {
        let line = client.line().await?;
        if !line.contains("notification: ") {
            return Ok(line);
        }
    }
}

/// The next notification that `is_it`.
pub(super) async fn told(client: &mut Client, is_it: impl Fn(&Value) -> bool) -> Check<Value> {
    let waiting = async {
        loop {
            let line = client.line().await?;
            let wrong = || failed("notification: {JSON}", format_args!("{line:?}"));
            let body = line.strip_prefix("notification: ").ok_or_else(wrong)?;
            let told: Value = serde_json::from_str(body).map_err(|_| wrong())?;
            if is_it(&told) {
                return Ok(told);
            }
        }
    };
    let result = tokio::time::timeout(PATIENCE, waiting).await;
    result.unwrap_or_else(|_| Err(failed("the notification", "others, or none")))
}

/// A name that the directory does not know and no other statement writes to: what waits for one
/// receiver may wait for what came before it.
fn nobody(world: &World, statement: &str) -> String {
    format!("@nobody{}{statement}", world.namespace())
}

/// An owner's connection of @alice, and `@bob:<key>@alice` under a name of its own.
async fn to_bob(world: &World, name: &str) -> Check<(Client, String)> {
    Ok((world.alice.owner().await?, format!("{}:{}", world.bob.name, world.alices(name))))
}

async fn uuid(world: Arc<World>) -> Check {
    let (mut alice, key) = to_bob(&world, "s163").await?;
    let id = alice.data(&format!("notify:update:messageType:key:{key}:v")).await?;
    let form = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
    let form = Regex::new(form).map_err(|error| failed("a pattern", error))?;
    that(form.is_match(&id), "a UUID", id)
}

async fn own_id(world: Arc<World>) -> Check {
    let (mut alice, key) = to_bob(&world, "s164").await?;
    let id = format!("own-{}_164", world.namespace());
    alice.gives(&format!("notify:id:{id}:update:{key}:v"), &id).await?;
    delivered(&mut alice, &id).await
}

async fn becomes_delivered(world: Arc<World>) -> Check {
    let (mut alice, key) = to_bob(&world, "s165").await?;
    let id = alice.data(&format!("notify:update:messageType:key:{key}:v")).await?;
    delivered(&mut alice, &id).await
}

async fn errored(world: Arc<World>) -> Check {
    let mut alice = world.alice.owner().await?;
    let key = world.alices("s166");
    let id = alice.data(&format!("notify:{}:{key}:v", nobody(&world, "s166"))).await?;
    alice.becomes(&format!("notify:status:{id}"), "errored", PATIENCE).await
}

async fn expired(world: Arc<World>) -> Check {
    let mut alice = world.alice.owner().await?;
    let key = world.alices("s167");
    let command = format!("notify:ttln:1000:{}:{key}:v", nobody(&world, "s167"));
    let id = alice.data(&command).await?;
    sleep(Duration::from_millis(1_100)).await;
    alice.gives(&format!("notify:status:{id}"), "expired").await
}

async fn unknown_id(world: Arc<World>) -> Check {
    let mut alice = world.alice.owner().await?;
    alice.gives("notify:status:unknown-168", "null").await?;
    let text = r#"{"id":"unknown-168","notificationStatus":"NotificationStatus.expired"}"#;
    alice.gives("notify:fetch:unknown-168", text).await
}

async fn fetched(world: Arc<World>) -> Check {
    let (mut alice, key) = to_bob(&world, "s169").await?;
    let id = alice.data(&format!("notify:update:messageType:key:{key}:v")).await?;
    delivered(&mut alice, &id).await?;
    let fetched = alice.json(&format!("notify:fetch:{id}")).await?;
    for (name, value) in fetched.as_object().into_iter().flatten() {
        that(value.is_string(), format_args!("{name}: a string"), value)?;
    }
    for (name, value) in [
        ("id", id.as_str()),
        ("fromAtSign", &world.alice.name),
        ("toAtSign", &world.bob.name),
        ("notification", &key),
        ("type", "NotificationType.sent"),
        ("opType", "OperationType.update"),
        ("messageType", "MessageType.key"),
        ("priority", "NotificationPriority.low"),
        ("notificationStatus", "NotificationStatus.delivered"),
        ("atValue", "v"),
    ] {
        same(name, &fetched[name], &value)?;
    }
    for name in
        ["notificationDateTime", "retryCount", "strategy", "depth", "notifier", "expiresAt", "ttl"]
    {
        that(fetched.get(name).is_some(), format_args!("a member {name}"), &fetched)?;
    }
    Ok(())
}

async fn listed(world: Arc<World>) -> Check {
    let (mut alice, key) = to_bob(&world, "s170").await?;
    let id = alice.data(&format!("notify:update:messageType:key:{key}:v")).await?;
    delivered(&mut alice, &id).await?;
    let list = world.bob.owner().await?.json("notify:list:s170").await?;
    let one = &list[0];
    for (name, value) in [
        ("id", id.as_str()),
        ("from", &world.alice.name),
        ("to", &world.bob.name),
        ("key", &key),
        ("value", "v"),
        ("operation", "update"),
        ("messageType", "MessageType.key"),
    ] {
        same(name, &one[name], &value)?;
    }
    same("members", &members(one), &NOTIFICATION_MEMBERS)?;
    let metadata = &one["metadata"];
    for name in ["availableAt", "expiresAt"] {
        that(metadata[name].is_string(), format_args!("{name}: a string"), metadata)?;
    }
    Ok(())
}

fn count(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

/// Today as the server sees it: the day of a key that was written just now.
async fn today(owner: &mut Client, key: &str) -> Check<String> {
    owner.number(&format!("update:{key} v")).await?;
    let meta = owner.json(&format!("llookup:meta:{key}")).await?;
    let date = meta["updatedAt"].as_str().and_then(|date| date.get(..10));
    date.map(str::to_owned).ok_or_else(|| failed("updatedAt", meta))
}

async fn filtered(world: Arc<World>) -> Check {
    let spare = world.spare()?;
    let (mut owner, name) = (spare.owner().await?, &spare.name);
    owner.gives("notify:list", "null").await?;
    for key in ["a.wavi", "b.buzz"] {
        owner.data(&format!("notify:{name}:{key}{name}:v")).await?;
    }
    let today = today(&mut owner, &format!("day.x{name}")).await?;
    for (command, number) in [
        (format!("notify:list:{today}"), 2),
        (format!("notify:list:{today}:{today}"), 2),
        (format!("notify:list:{today}:wavi"), 1),
        ("notify:list:wavi".to_owned(), 1),
        (format!("notify:list:2020-01-01:{today}:{}", spare.bare()), 2),
        ("notify:list:2020-01-01:2020-01-02".to_owned(), 0),
        ("notify:list:nothing".to_owned(), 0),
    ] {
        same(&command, &count(&owner.json(&command).await?), &number)?;
    }
    owner.refuses("notify:list:2024-01-02:2024-01-01", "AT0022").await.map(drop)
}

async fn removed(world: Arc<World>) -> Check {
    let (mut alice, key) = to_bob(&world, "s172").await?;
    let id = alice.data(&format!("notify:update:{key}:v")).await?;
    delivered(&mut alice, &id).await?;
    alice.gives(&format!("notify:remove:{id}"), "success").await?;
    alice.gives(&format!("notify:status:{id}"), "null").await?;
    alice.gives("notify:remove:unknown-172", "success").await
}

async fn text(world: Arc<World>) -> Check {
    let (mut alice, mut bob) = (world.alice.owner().await?, world.bob.owner().await?);
    watch(&mut bob, "monitor s173").await?;
    let bobs = &world.bob.name;
    alice.data(&format!("notify:messageType:text:{bobs}:hello s173 there")).await?;
    let told = told(&mut bob, |told| told["id"] != "-1").await?;
    same("messageType", &told["messageType"], &"MessageType.text")?;
    same("key", &told["key"], &format!("{bobs}:hello s173 there"))?;
    same("from", &told["from"], &world.alice.name)
}

async fn open(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let command = format!("notify:{}:{}:v", world.bob.name, world.alices("s174"));
    client.refuses(&command, "AT0401").await.map(drop)
}

async fn as_another(world: Arc<World>) -> Check {
    let mut alice = world.alice.owner().await?;
    let command = format!("notify:{}:{}@carol:v", world.bob.name, world.key("s175"));
    alice.refuses(&command, "AT0009").await.map(drop)
}

async fn latest_of_whom(world: Arc<World>) -> Check {
    let (mut alice, key) = to_bob(&world, "s176").await?;
    alice.refuses(&format!("notify:strategy:latest:{key}:v"), "AT0003").await.map(drop)
}

/// Somebody whose server lets a sender in only when it is told to: the sender cannot tell it from
/// a server that is away. It has to be the first time that the two meet, because connections that
/// exist are not touched by the block list.
struct Away {
    sender: Client,
    receiver: Client,
    from: String,
    to: String,
}

async fn somebody_away(world: &World) -> Check<Away> {
    let (from, to) = (world.spare()?, world.spare()?);
    let sender = from.activated(&world.keys).await?;
    let mut receiver = to.owner().await?;
    receiver.gives(&format!("config:block:add:{}", from.name), "success").await?;
    Ok(Away { sender, receiver, from: from.name, to: to.name })
}

impl Away {
    /// Waits until a first try has failed, so that what comes after it is waiting, not on its way.
    async fn is_missed(&mut self) -> Check {
        self.sender.data(&format!("notify:id:first:{}:k.x{}:v", self.to, self.from)).await?;
        self.sender.becomes("notify:status:first", "errored", PATIENCE).await
    }

    async fn comes_back(&mut self) -> Check {
        self.receiver.gives(&format!("config:block:remove:{}", self.from), "success").await
    }
}

async fn latest(world: Arc<World>) -> Check {
    let mut away = somebody_away(&world).await?;
    away.is_missed().await?;
    let (from, to) = (away.from.clone(), away.to.clone());
    for number in 0..5 {
        let strategy = "strategy:latest:latestN:2:notifier:s177";
        let command = format!("notify:id:n{number}:{strategy}:{to}:k{number}.x{from}:v");
        away.sender.data(&command).await?;
    }
    away.comes_back().await?;
    delivered(&mut away.sender, "n4").await?;
    let list = away.receiver.json("notify:list").await?;
    let mut ids: Vec<&str> =
        list.as_array().into_iter().flatten().filter_map(|one| one["id"].as_str()).collect();
    ids.sort_unstable();
    same("what arrived", &ids, &["first", "n3", "n4"])
}

async fn away(world: Arc<World>) -> Check {
    let mut away = somebody_away(&world).await?;
    away.is_missed().await?;
    away.comes_back().await?;
    delivered(&mut away.sender, "first").await?;
    same("the list", &away.receiver.json("notify:list").await?[0]["id"], &"first")
}

async fn copies(world: Arc<World>) -> Check {
    let (mut alice, key) = to_bob(&world, "s179").await?;
    let mut bob = world.bob.owner().await?;
    let copy = format!("llookup:cached:{key}");
    alice.data(&format!("notify:update:messageType:key:ttr:-1:ccd:true:{key}:v")).await?;
    becomes_known(&mut bob, &copy, true, PATIENCE).await?;
    bob.gives(&copy, "v").await?;
    alice.data(&format!("notify:delete:messageType:key:{key}")).await?;
    becomes_known(&mut bob, &copy, false, PATIENCE).await
}

async fn to_oneself(world: Arc<World>) -> Check {
    let mut alice = world.alice.owner().await?;
    let command = format!("notify:update:{}:{}:v", world.alice.name, world.alices("s180"));
    let id = alice.data(&command).await?;
    alice.gives(&format!("notify:status:{id}"), "delivered").await
}

async fn foreign_key(world: Arc<World>) -> Check {
    let mut peer = world.peer().await?;
    let (alice, key) = (&world.alice.name, world.key("s181"));
    for command in [
        format!("notify:id:s181-1:update:ttr:-1:{alice}:{key}@carol:poison"),
        format!("notify:id:s181-2:update:ttr:-1:{alice}:{key}{alice}:poison"),
        format!("notify:id:s181-3:update:ttr:-1:@carol:{key}{}:stray", world.bob.name),
    ] {
        let answer = peer.ask(&command).await?;
        code(&command, &answer, "AT0009")?;
    }
    let mut owner = world.alice.owner().await?;
    owner.refuses(&format!("llookup:cached:{alice}:{key}@carol"), "AT0015").await.map(drop)
}

async fn success(world: Arc<World>) -> Check {
    let mut peer = world.peer().await?;
    let key = format!("{}:{}", world.alice.name, world.bobs("s182"));
    let id = format!("{}-182", world.namespace());
    let line = format!(
        "notify:id:{id}:update:messageType:key:notifier:system:ttln:900000:ttr:60:ccd:true:\
         isEncrypted:false:{key}:v"
    );
    peer.expect(&line, &format!("data:success\n{}@", world.bob.name)).await?;
    let mut owner = world.alice.owner().await?;
    owner.gives(&format!("llookup:cached:{key}"), "v").await?;
    same("the list", &owner.json("notify:list:s182").await?[0]["id"], &id)
}

async fn automatic(world: Arc<World>) -> Check {
    let (mut alice, key) = to_bob(&world, "s183").await?;
    let mut bob = world.bob.owner().await?;
    watch(&mut bob, "monitor s183").await?;
    alice.number(&format!("update:ttl:600000:{key} v")).await?;
    let told = told(&mut bob, |told| told["id"] != "-1").await?;
    for (name, value) in [
        ("from", world.alice.name.as_str()),
        ("to", &world.bob.name),
        ("key", &key),
        ("value", "v"),
        ("operation", "update"),
    ] {
        same(name, &told[name], &value)?;
    }
    Ok(())
}

async fn to_all(world: Arc<World>) -> Check {
    let (bob, carol) = (&world.bob.name, &*nobody(&world, "s184"));
    let key = world.alices("s184");
    let command = format!("notify:all:update:messageType:key:{bob},{carol}:{key}:v");
    world.alice.connect().await?.refuses(&command, "AT0401").await?;
    let mut alice = world.alice.owner().await?;
    let answer = alice.ask(&command).await?;
    begins("notify:all", &answer, "data: {")?;
    let body = answer.strip_prefix("data: ").and_then(|rest| rest.split('\n').next());
    let ids: Value = body
        .and_then(|body| serde_json::from_str(body).ok())
        .ok_or_else(|| failed("JSON", &answer))?;
    let mut names = members(&ids);
    names.sort_unstable();
    let mut expected = vec![bob.as_str(), carol];
    expected.sort_unstable();
    same("receivers", &names, &expected)?;
    delivered(&mut alice, ids[bob].as_str().unwrap_or_default()).await?;
    let list = world.bob.owner().await?.json("notify:list:s184").await?;
    same("what arrived", &list[0]["key"], &json!(format!("{bob}:{key}")))
}
