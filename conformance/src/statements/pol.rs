//! 76–85: `pol`, one server at another's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::check::{Check, code, contains, same, that};
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(76, "a proven `pol` is answered with the peer's prompt and no line end", proven),
    row!(77, "`pol` without `from:` gives AT0011 and a close", without_from),
    row!(78, "the proof is looked up at the caller's own server", looked_up),
    row!(
        79,
        "the signature for a peer is gone after 60 s",
        inside "server/src/outbound/proofs.rs::s079_a_signature_is_there_for_a_minute_and_not_longer"
    ),
    row!(80, "a wrong signature gives AT0401", wrong_signature),
    row!(81, "P finds only what is shared with it", finds),
    row!(82, "P can change and configure nothing", cannot),
    row!(83, "P's scan lists only what is shared with it, without its prefix", scans),
    row!(84, "anybody finds the server's public signing key", signing_key),
    row!(85, "a whole handshake between two servers takes less than 3 s", alone quick),
];

const REFUSAL: &str = "error:AT0401-Exception: Pol Authentication Failed\n@";

async fn proven(world: Arc<World>) -> Check {
    let mut peer = world.peer().await?;
    peer.is_silent().await
}

async fn without_from(world: Arc<World>) -> Check {
    let mut client = world.as_bobs_host().await?;
    client.send("pol\n").await?;
    code("pol without from", &client.rest().await?, "AT0011")
}

async fn looked_up(world: Arc<World>) -> Check {
    let mut client = world.as_bobs_host().await?;
    world.pol_challenge(&mut client).await?;
    // Nothing is there yet, so nobody is believed…
    client.expect("pol", REFUSAL).await?;
    let (session, challenge) = world.pol_challenge(&mut client).await?;
    // …and now it is, at @bob's server and nowhere else.
    world.sign_as_bobs_server(&session, &challenge).await?;
    client.send("pol\n").await?;
    client.is_told("pol", &format!("{}@", world.bob.name)).await
}

async fn wrong_signature(world: Arc<World>) -> Check {
    let mut client = world.as_bobs_host().await?;
    let (session, challenge) = world.pol_challenge(&mut client).await?;
    world.sign_as_bobs_server(&session, &format!("{challenge}x")).await?;
    client.expect("pol", REFUSAL).await
}

/// Keys of @alice: shared with @bob, with somebody else, her own, everybody's.
async fn shelf(world: &World, name: &str) -> Check<[String; 4]> {
    let mut owner = world.alice.owner().await?;
    let (alice, bob) = (&world.alice.name, &world.bob.name);
    let key = |part: &str| format!("{}{alice}", world.key(&format!("{name}{part}")));
    let keys = [key("shared"), key("other"), key("own"), key("public")];
    for command in [
        format!("update:{bob}:{} v", keys[0]),
        format!("update:@carol:{} v", keys[1]),
        format!("update:{} v", keys[2]),
        format!("update:public:{} v", keys[3]),
    ] {
        owner.number(&command).await?;
    }
    Ok(keys)
}

async fn finds(world: Arc<World>) -> Check {
    let [shared, others @ ..] = shelf(&world, "s081").await?;
    let mut peer = world.peer().await?;
    peer.expect(&format!("lookup:{shared}"), &format!("data:v\n{}@", world.bob.name)).await?;
    for key in others {
        let answer = peer.refuses(&format!("lookup:{key}"), "AT0015").await?;
        that(answer.ends_with("\n@"), "the bare prompt after an error", answer)?;
    }
    Ok(())
}

async fn cannot(world: Arc<World>) -> Check {
    let [shared, _, own, _] = shelf(&world, "s082").await?;
    let (alice, bob) = (&world.alice.name, &world.bob.name);
    let mut peer = world.peer().await?;
    for command in [
        format!("update:{bob}:{shared} changed"),
        format!("update:meta:{bob}:{shared}:ttl:1"),
        format!("delete:{bob}:{shared}"),
        format!("llookup:{own}"),
        "stats".to_owned(),
        "config:block:show".to_owned(),
        format!("config:block:add:{alice}"),
        "sync:from:-1:limit:5".to_owned(),
        "monitor".to_owned(),
    ] {
        peer.refuses(&command, "AT0401").await?;
    }
    world.alice.owner().await?.gives(&format!("llookup:{bob}:{shared}"), "v").await
}

async fn scans(world: Arc<World>) -> Check {
    let [shared, ..] = shelf(&world, "s083").await?;
    let mut peer = world.peer().await?;
    let keys = peer.json("scan s083").await?;
    same("scan s083", &keys, &json!([shared]))?;
    let all = peer.data("scan").await?;
    contains("scan", &all, &shared)?;
    that(!all.contains(&format!("{}:", world.bob.name)), "no prefix", all)
}

async fn signing_key(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let key = client.data(&format!("lookup:signing_publickey{}", world.alice.name)).await?;
    that(key.len() > 300 && key.starts_with("MII"), "base64 of an RSA key", key)
}

async fn quick(world: Arc<World>) -> Check {
    let caller = world.spare()?;
    let key = format!("{}{}", world.key("s085"), world.bob.name);
    let mut bob = world.bob.owner().await?;
    bob.number(&format!("update:{}:{key} v", caller.name)).await?;
    let mut owner = caller.activated(&world.keys).await?;
    // A new server makes its key pair at the first need, which is no part of a handshake.
    owner.data(&format!("plookup:signing_publickey{}", caller.name)).await?;
    let began = Instant::now();
    owner.gives(&format!("lookup:{key}"), "v").await?;
    let took = began.elapsed();
    that(took < Duration::from_secs(3), "less than 3 s", format_args!("{took:?}"))
}
