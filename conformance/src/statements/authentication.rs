//! 55–75: `from`, `cram`, `pkam`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use regex::Regex;

use crate::check::{Check, failed, same, that};
use crate::wire::Client;
use crate::world::EccKeys;
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(55, "`from:` gives a challenge with two distinct UUIDs", challenge),
    row!(56, "each `from:` has its own challenge under one session", two_challenges),
    row!(57, "dots in the name do not matter", dots),
    row!(58, "a name with two `@` gives AT0003", two_ats),
    row!(59, "clientConfig is accepted", client_config),
    row!(60, "`cram:` with the right digest lets the owner in", cram),
    row!(61, "`cram:` with a wrong digest gives AT0401, no close and no rights", wrong_cram),
    row!(62, "`cram:` after the secret was deleted gives AT0015", deleted_secret),
    row!(
        63,
        "a deleted secret does not come back at a restart",
        inside "server/tests/wire/authentication.rs::s062_s063_s144_a_deleted_secret_is_gone_for_good"
    ),
    row!(64, "storing the PKAM key gives -1", store_key),
    row!(65, "`pkam:` with RSA and SHA-256 lets in", rsa_sha256),
    row!(66, "`pkam:` with sha512, when it says so, lets in", rsa_sha512),
    row!(67, "`pkam:` with ecc_secp256r1 lets in", ecc),
    row!(68, "`pkam:` with a wrong signature gives AT0401, no close", wrong_pkam),
    row!(69, "`pkam:` without `from:` gives AT0015", pkam_alone),
    row!(
        70,
        "a challenge older than 60 s is worth nothing",
        inside "server/tests/wire/authentication.rs::s070_a_challenge_is_good_for_a_minute",
        "server/src/auth/challenge.rs::s070_a_challenge_older_than_a_minute_is_worth_nothing"
    ),
    row!(71, "a challenge counts once", reused),
    row!(72, "`cram`, then `from` and `pkam` on one connection", cram_then_pkam),
    row!(73, "ten authentications in a row, each under 1.5 s", ten),
    row!(74, "a failed `pkam:` on O ends the owner's rights", lost_rights),
    row!(75, "a blocked name's `from:` gives AT0013 and a close", blocked),
];

const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";

const NO_RIGHTS: &str = "error:AT0401-Exception: Command cannot be executed without auth\n@";

/// Session and second UUID of a challenge.
fn parts(data: &str, name: &str) -> Check<(String, String)> {
    let pattern = format!("^_({UUID}){}:({UUID})$", regex::escape(name));
    let found = Regex::new(&pattern).ok().and_then(|pattern| {
        let found = pattern.captures(data)?;
        Some((found[1].to_owned(), found[2].to_owned()))
    });
    found.ok_or_else(|| failed(format_args!("_<uuid>{name}:<uuid>"), format_args!("{data:?}")))
}

async fn from(world: &World, client: &mut Client, line: &str) -> Check<(String, String)> {
    parts(&client.data(line).await?, &world.alice.name)
}

async fn challenge(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let (session, uuid) = from(&world, &mut client, &format!("from:{}", world.alice.name)).await?;
    that(session != uuid, "two distinct UUIDs", uuid)
}

async fn two_challenges(world: Arc<World>) -> Check {
    let (mut client, line) = (world.alice.connect().await?, format!("from:{}", world.alice.name));
    let first = from(&world, &mut client, &line).await?;
    let second = from(&world, &mut client, &line).await?;
    same("the session", &second.0, &first.0)?;
    that(first.1 != second.1, "another challenge", second.1)
}

async fn dots(world: Arc<World>) -> Check {
    let bare = world.alice.bare();
    let middle = bare.char_indices().nth(1).map_or(bare.len(), |(at, _)| at);
    let line = format!("from:@{}.{}", &bare[..middle], &bare[middle..]);
    let mut client = world.alice.connect().await?;
    from(&world, &mut client, &line).await.map(drop)
}

async fn two_ats(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    client.refuses("from:@a@b", "AT0003").await.map(drop)
}

async fn client_config(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let config =
        r#"{"version":"3.0.38","clientId":"c","appName":"a","appVersion":"1","platform":"p"}"#;
    let line = format!("from:{}:clientConfig:{config}", world.alice.name);
    from(&world, &mut client, &line).await.map(drop)
}

async fn cram(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let challenge = client.data(&format!("from:{}", world.alice.name)).await?;
    let digest = world.alice.cram(&challenge)?;
    client.expect(&format!("cram:{digest}"), &world.alice.success()).await
}

async fn wrong_cram(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let challenge = client.data(&format!("from:{}", world.alice.name)).await?;
    let digest = world.alice.cram(&format!("{challenge}x"))?;
    let refusal = "error:AT0401-Exception: Authentication Failed\n@";
    client.expect(&format!("cram:{digest}"), refusal).await?;
    client.expect("llookup:x@alice", NO_RIGHTS).await
}

async fn deleted_secret(world: Arc<World>) -> Check {
    let spare = world.spare()?;
    spare.activated(&world.keys).await?.gives("delete:privatekey:at_secret", "-1").await?;
    let mut client = spare.connect().await?;
    let challenge = client.data(&format!("from:{}", spare.name)).await?;
    client.refuses(&format!("cram:{}", spare.cram(&challenge)?), "AT0015").await?;
    let mut keyed = spare.connect().await?;
    spare.pkam(&mut keyed, &world.keys).await
}

async fn store_key(world: Arc<World>) -> Check {
    world.keyed().await?.activated(&world.keys).await.map(drop)
}

async fn rsa_sha256(world: Arc<World>) -> Check {
    let spare = world.keyed().await?;
    let mut client = spare.connect().await?;
    spare.pkam(&mut client, &world.keys).await?;
    let challenge = client.data(&format!("from:{}", spare.name)).await?;
    let options = "signingAlgo:rsa2048:hashingAlgo:sha256";
    let pkam = format!("pkam:{options}:{}", world.keys.sign(&challenge)?);
    client.expect(&pkam, &spare.success()).await
}

async fn rsa_sha512(world: Arc<World>) -> Check {
    let spare = world.keyed().await?;
    let mut client = spare.connect().await?;
    let challenge = client.data(&format!("from:{}", spare.name)).await?;
    let options = "signingAlgo:rsa2048:hashingAlgo:sha512";
    let pkam = format!("pkam:{options}:{}", world.keys.sign_sha512(&challenge)?);
    client.expect(&pkam, &spare.success()).await
}

async fn ecc(world: Arc<World>) -> Check {
    let (spare, keys) = (world.spare()?, EccKeys::generate()?);
    let mut owner = spare.activated(&world.keys).await?;
    let store = format!("update:privatekey:at_pkam_publickey {}", keys.public());
    owner.gives(&store, "-1").await?;
    let mut client = spare.connect().await?;
    let challenge = client.data(&format!("from:{}", spare.name)).await?;
    let options = "signingAlgo:ecc_secp256r1:hashingAlgo:sha256";
    let pkam = format!("pkam:{options}:{}", keys.sign(&challenge)?);
    client.expect(&pkam, &spare.success()).await
}

async fn wrong_pkam(world: Arc<World>) -> Check {
    let spare = world.keyed().await?;
    let mut client = spare.connect().await?;
    let challenge = client.data(&format!("from:{}", spare.name)).await?;
    let pkam = format!("pkam:{}", world.keys.sign(&format!("{challenge}x"))?);
    client.expect(&pkam, "error:AT0401-Exception: pkam authentication failed\n@").await?;
    client.expect("llookup:x@alice", NO_RIGHTS).await
}

async fn pkam_alone(world: Arc<World>) -> Check {
    let spare = world.keyed().await?;
    let mut client = spare.connect().await?;
    let pkam = format!("pkam:{}", world.keys.sign("nothing")?);
    client.refuses(&pkam, "AT0015").await.map(drop)
}

async fn reused(world: Arc<World>) -> Check {
    let spare = world.keyed().await?;
    let mut client = spare.connect().await?;
    let challenge = client.data(&format!("from:{}", spare.name)).await?;
    let pkam = format!("pkam:{}", world.keys.sign(&challenge)?);
    client.expect(&pkam, &spare.success()).await?;
    let again = client.ask(&pkam).await?;
    that(again.starts_with("error:AT0"), "a refusal of the second use", again)
}

async fn cram_then_pkam(world: Arc<World>) -> Check {
    let spare = world.keyed().await?;
    let mut client = spare.owner().await?;
    spare.pkam(&mut client, &world.keys).await?;
    client.gives("noop:0", "ok").await
}

async fn ten(world: Arc<World>) -> Check {
    let spare = world.keyed().await?;
    let mut client = spare.connect().await?;
    for number in 1..=10 {
        let began = Instant::now();
        spare.pkam(&mut client, &world.keys).await?;
        let took = began.elapsed();
        let limit = Duration::from_millis(1_500);
        that(took < limit, format_args!("number {number} in 1.5 s"), format_args!("{took:?}"))?;
    }
    Ok(())
}

async fn lost_rights(world: Arc<World>) -> Check {
    let spare = world.keyed().await?;
    let mut client = spare.owner().await?;
    let challenge = client.data(&format!("from:{}", spare.name)).await?;
    let pkam = format!("pkam:{}", world.keys.sign(&format!("{challenge}x"))?);
    client.refuses(&pkam, "AT0401").await?;
    client.expect("llookup:x@alice", NO_RIGHTS).await
}

async fn blocked(world: Arc<World>) -> Check {
    let spare = world.spare()?;
    let mut owner = spare.owner().await?;
    owner.gives(&format!("config:block:add:{}", world.bob.name), "success").await?;
    let config = world.tls.peer(&[&world.bob.host]).unwrap_or_else(|_| world.tls.plain());
    let mut client = spare.connect_with(config).await?;
    client.send(&format!("from:{}\n", world.bob.name)).await?;
    let rest = client.rest().await?;
    crate::check::code("from: of a blocked name", &rest, "AT0013")
}
