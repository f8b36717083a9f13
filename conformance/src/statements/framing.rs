//! 16–39: how commands and answers are framed.

use std::sync::Arc;
use std::time::Duration;

use crate::check::{Check, begins, code, same, that};
use crate::wire::Client;
use crate::world::Identity;
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(16, "the server greets with exactly `@`", greets),
    row!(17, "a blank line alone on U is an invalid command", blank_open),
    row!(18, "a blank line alone on O is an invalid command", blank_owner),
    row!(19, "`from:` with a blank line behind it gives one answer", blank_after_from),
    row!(20, "`pkam:` with a blank line behind it gives one answer", blank_after_pkam),
    row!(21, "`from:alice` CRLF is `from:@alice` LF", from_crlf),
    row!(22, "blanks around a command do not matter", blanks),
    row!(23, "capitals of a verb do not matter", capitals),
    row!(24, "`noop:0` on U gives ok", noop),
    row!(25, "the prompt on O is her name, after errors too", owners_prompt),
    row!(26, "the prompt on P is the peer's name", peers_prompt),
    row!(27, "an answer and its prompt come in one record", one_record),
    row!(28, "two commands in one write give two records in order", pipelined),
    row!(29, "an answer of 1 MB is whole", large_answer),
    row!(30, "a command of 10,240,001 bytes gives AT0005 and a close", too_long),
    row!(31, "a command of 5 MB is accepted", large_command),
    row!(32, "an unknown verb on O gives AT0003 and no close", unknown_verb),
    row!(33, "an owner's verb on U gives AT0401 before its syntax is looked at", needs_owner),
    row!(34, "no usual error closes the connection", survives),
    row!(35, "`@exit` on O closes without a byte", exit),
    row!(36, "connection 201 gets AT0012 without a prompt, and a close", alone one_too_many),
    row!(37, "a full server drops open connections idle for 5 s", alone idle_squeeze),
    row!(
        38,
        "an idle open connection is closed after its time, an owner's is not",
        inside "server/src/roster.rs::s038_an_open_connection_is_idle_for_ten_minutes_and_an_owners_for_thirty_days",
        "server/tests/wire/framing.rs::s038_an_idle_open_connection_is_closed_and_an_owners_is_not"
    ),
    row!(39, "U+2028 in a value comes back byte for byte", line_separator),
];

/// Connections that one server takes.
const CONNECTIONS: usize = 200;

const NEEDS_AUTH: &str = "error:AT0401-Exception: Command cannot be executed without auth\n@";

async fn greets(world: Arc<World>) -> Check {
    let mut client = world.alice.connect_ungreeted(world.tls.plain()).await?;
    client.is_told("the greeting", "@").await?;
    client.is_silent().await
}

async fn blank_open(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    client.expect("\r", "error:AT0003-Exception: invalid command\n@").await?;
    client.expect("noop:0", "data:ok\n@").await
}

async fn blank_owner(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let name = &world.alice.name;
    let refusal = format!("error:AT0003-Invalid syntax : invalid command\n{name}@");
    owner.expect("", &refusal).await?;
    owner.expect("noop:0", &format!("data:ok\n{name}@")).await
}

async fn blank_after_from(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let answer = client.ask(&format!("from:{}\n", world.alice.bare())).await?;
    begins("from:alice", &answer, "data:_")?;
    client.is_silent().await
}

async fn blank_after_pkam(world: Arc<World>) -> Check {
    let spare = world.keyed().await?;
    let mut client = spare.owner().await?;
    let challenge = client.data(&format!("from:{}", spare.name)).await?;
    let pkam = format!("pkam:{}\n", world.keys.sign(&challenge)?);
    client.expect(&pkam, &spare.success()).await?;
    client.is_silent().await
}

async fn from_crlf(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let data = client.data(&format!("from:{}\r", world.alice.bare())).await?;
    let is_challenge = data.contains(&format!("{}:", world.alice.name));
    that(is_challenge, "a challenge for @alice", data)
}

async fn blanks(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    client.expect("  noop:0 \t", "data:ok\n@").await?;
    begins("info:brief between blanks", &client.ask("\tinfo:brief  ").await?, "data:{")
}

async fn capitals(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let key = format!("{}{}", world.key("s023"), world.alice.name);
    owner.number(&format!("update:{key} v")).await?;
    for command in ["scan", "SCAN", "Scan"] {
        let keys = owner.data(command).await?;
        that(keys.contains(&key), format_args!("{command}: …{key}…"), keys)?;
    }
    owner.gives(&format!("LLookUp:{key}"), "v").await
}

async fn noop(world: Arc<World>) -> Check {
    world.alice.connect().await?.expect("noop:0", "data:ok\n@").await
}

async fn owners_prompt(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let prompt = format!("\n{}@", world.alice.name);
    for command in ["noop:0", "deete:x", "llookup:nothinghere@alice", "noop:0"] {
        let answer = owner.ask(command).await?;
        that(answer.ends_with(&prompt), format_args!("{command}: …{prompt:?}"), answer)?;
    }
    Ok(())
}

async fn peers_prompt(world: Arc<World>) -> Check {
    let mut peer = world.peer().await?;
    peer.expect("noop:0", &format!("data:ok\n{}@", world.bob.name)).await
}

async fn one_record(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let key = format!("{}{}", world.key("s027"), world.alice.name);
    let prompt = format!("\n{}@", world.alice.name);
    let update = format!("update:{key} {}", "v".repeat(8_000));
    let (data, all) = (format!("llookup:{key}"), format!("llookup:all:{key}"));
    let commands =
        ["noop:0", &update, &data, &all, "deete:x", "llookup:nothinghere@alice", "info", ""];
    for command in commands {
        owner.send(&format!("{command}\n")).await?;
        let record = owner.record().await?.unwrap_or_default();
        let short = command.get(..20).unwrap_or(command);
        let is_whole = ["data:", "error:"].iter().any(|start| record.starts_with(start))
            && record.ends_with(&prompt)
            && record.matches('\n').count() == 1;
        that(is_whole, format_args!("{short}: answer and prompt in one record"), record)?;
    }
    let mut open = world.alice.connect().await?;
    open.expect("noop:0", "data:ok\n@").await?;
    open.is_silent().await
}

async fn pipelined(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let key = format!("{}{}", world.key("s028"), world.alice.name);
    owner.number(&format!("update:{key} v")).await?;
    owner.send(&format!("noop:100\nllookup:{key}\n")).await?;
    owner.is_told("the first answer", &format!("data:ok\n{}@", world.alice.name)).await?;
    owner.is_told("the second answer", &format!("data:v\n{}@", world.alice.name)).await
}

async fn large_answer(world: Arc<World>) -> Check {
    large(&world, "s029", 1 << 20).await
}

async fn large_command(world: Arc<World>) -> Check {
    large(&world, "s031", 5 * 1024 * 1024).await
}

async fn large(world: &World, name: &str, bytes: usize) -> Check {
    let mut owner = world.alice.owner().await?;
    owner.be_patient(Duration::from_secs(40));
    let key = format!("{}{}", world.key(name), world.alice.name);
    let value = "0123456789abcdef".repeat(bytes / 16);
    owner.number(&format!("update:{key} {value}")).await?;
    let answer = owner.ask(&format!("llookup:{key}")).await?;
    let wanted = format!("data:{value}\n{}@", world.alice.name);
    that(answer == wanted, format_args!("{bytes} bytes"), format_args!("{answer:?}"))?;
    owner.number(&format!("delete:{key}")).await.map(drop)
}

async fn too_long(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    owner.be_patient(Duration::from_secs(40));
    owner.send(&"x".repeat(10_240_001)).await?;
    let rest = owner.rest().await?;
    code("10,240,001 bytes", &rest, "AT0005")
}

async fn unknown_verb(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    owner.refuses(&format!("deete:x{}", world.alice.name), "AT0003").await?;
    owner.gives("noop:0", "ok").await
}

async fn needs_owner(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let commands = [
        "update:",
        "update:x@alice v",
        "update:meta:",
        "llookup:",
        "plookup:",
        "delete:",
        "stats",
        "stats:x",
        "config:",
        "monitor",
        "batch:",
        "sync:from",
        "notify:status",
        "notify:all",
        "notify:fetch",
        "notify:remove:",
        "otp:",
        "keys:",
    ];
    for command in commands {
        client.expect(command, NEEDS_AUTH).await?;
    }
    client.expect("noop:0", "data:ok\n@").await
}

async fn survives(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let (alice, bob) = (&world.alice.name, &world.bob.name);
    let commands = [
        ("AT0003", "deete:x".to_owned()),
        ("AT0009", format!("delete:public:publickey{alice}")),
        ("AT0015", format!("llookup:nothinghere{alice}")),
        ("AT0016", format!("update:x{bob} v")),
        ("AT0022", "noop:5001".to_owned()),
    ];
    for (code, command) in commands {
        owner.refuses(&command, code).await?;
        owner.gives("noop:0", "ok").await?;
    }
    let mut client = world.alice.connect().await?;
    client.refuses("scan:@somebody", "AT0401").await?;
    client.gives("noop:0", "ok").await
}

async fn exit(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    owner.send("@exit\n").await?;
    same("what comes after @exit", owner.rest().await?.as_str(), "")
}

/// As many connections as a server takes.
async fn fill(identity: &Identity) -> Check<Vec<Client>> {
    let mut all = Vec::with_capacity(CONNECTIONS);
    for number in 1..=CONNECTIONS {
        let connected = identity.connect().await;
        all.push(connected.map_err(|stop| match stop {
            crate::Stop::Failed { expected, seen } => crate::Stop::Failed {
                expected: format!("{CONNECTIONS} connections; number {number}: {expected}"),
                seen,
            },
            other => other,
        })?);
    }
    Ok(all)
}

async fn one_too_many(world: Arc<World>) -> Check {
    let spare = world.spare()?;
    let _kept = fill(&spare).await?;
    let mut surplus = spare.connect_ungreeted(world.tls.plain()).await?;
    let text = "error:AT0012-Inbound connection limit exceeded\n";
    same("connection 201", surplus.rest().await?.as_str(), text)
}

async fn idle_squeeze(world: Arc<World>) -> Check {
    let spare = world.spare()?;
    let mut kept = fill(&spare).await?;
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    let newcomer = spare.connect().await?.gives("noop:0", "ok").await;
    let dropped = kept[0].rest().await?;
    same("what the longest idle one is told", dropped.as_str(), "")?;
    newcomer
}

async fn line_separator(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let key = format!("{}{}", world.key("s039"), world.alice.name);
    let value = "before\u{2028}after\u{2029}\u{85}end";
    owner.number(&format!("update:{key} {value}")).await?;
    owner.gives(&format!("llookup:{key}"), value).await
}
