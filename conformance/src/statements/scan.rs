//! 132–144: `scan` and `delete`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::check::{Check, code, same, that};
use crate::wire::Client;
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(132, "O's scan shows all but what is private or hidden", owners),
    row!(133, "showHidden adds `_…` and `public:__…`", hidden),
    row!(134, "U's scan shows public keys without `public:`", open),
    row!(135, "an expression filters", filtered),
    row!(136, "expired and unborn keys are not listed", living),
    row!(137, "`scan:@bob` gives AT0401 on U, on O what @bob shares with her", others),
    row!(138, "an invalid expression does not kill the server", invalid),
    row!(139, "`delete` gives a number, again and again", deletes),
    row!(140, "what is deleted is neither looked up nor listed", gone),
    row!(141, "the identity's own keys cannot be deleted", protected),
    row!(142, "the copy of another's public key can be deleted", cached_public_key),
    row!(143, "a deleted key goes from the other's cache if ccd was true", cascade),
    row!(144, "deleting the activation secret gives -1", secret),
];

fn names(keys: &Value) -> Vec<&str> {
    keys.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

async fn shows(client: &mut Client, command: &str, is: &[&str], is_not: &[&str]) -> Check {
    let keys = client.json(command).await?;
    let names = names(&keys);
    for key in is {
        that(names.contains(key), format_args!("{command} with {key}"), &keys)?;
    }
    for start in is_not {
        let found = names.iter().find(|name| name.starts_with(start));
        that(
            found.is_none(),
            format_args!("{command} without {start}…"),
            format_args!("{found:?}"),
        )?;
    }
    Ok(())
}

async fn owners(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let (bob, key) = (&world.bob.name, world.alices("s132"));
    let copy = format!("cached:public:{}", world.bobs("s132copy"));
    let mut bobs = world.bob.owner().await?;
    bobs.number(&format!("update:ttr:-1:public:{} v", world.bobs("s132copy"))).await?;
    owner.gives(&format!("plookup:{}", world.bobs("s132copy")), "v").await?;
    for full in [format!("{bob}:{key}"), key.clone(), format!("public:{key}"), format!("_{key}")] {
        owner.number(&format!("update:{full} v")).await?;
    }
    let hidden = format!("public:__{key}");
    owner.number(&format!("update:{hidden} v")).await?;
    let is = [&format!("{bob}:{key}"), &key, &format!("public:{key}"), &copy];
    let is_not = ["private:", "privatekey:", "_", "public:_"];
    shows(&mut owner, "scan", &is.map(String::as_str), &is_not).await
}

async fn hidden(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s133"));
    let (own, public) = (format!("_{key}"), format!("public:__{key}"));
    for full in [&own, &public] {
        owner.number(&format!("update:{full} v")).await?;
    }
    for command in ["scan:showHidden:true", "scan:showhidden:true"] {
        shows(&mut owner, command, &[&own, &public], &["private:", "privatekey:"]).await?;
    }
    Ok(())
}

async fn open(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s134"));
    let own = world.alices("s134own");
    owner.number(&format!("update:public:{key} v")).await?;
    owner.number(&format!("update:{own} v")).await?;
    let is_not = ["public:", "_", "private", "cached:", "@", own.as_str()];
    shows(&mut world.alice.connect().await?, "scan", &[&key], &is_not).await
}

async fn filtered(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let (one, two) = (world.alices("s135one"), world.alices("s135two"));
    for key in [&one, &two] {
        owner.number(&format!("update:{key} v")).await?;
    }
    for (command, expected) in [
        (format!("scan s135.*{}", world.namespace()), json!([one, two])),
        ("scan s135t".to_owned(), json!([two])),
        ("scan ^s135[no]".to_owned(), json!([one])),
        ("scan s135nothing".to_owned(), json!([])),
    ] {
        let mut keys = owner.json(&command).await?;
        if let Some(keys) = keys.as_array_mut() {
            keys.sort_by_key(ToString::to_string);
        }
        same(&command, &keys, &expected)?;
    }
    Ok(())
}

async fn living(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let (expired, unborn) = (world.alices("s136expired"), world.alices("s136unborn"));
    owner.number(&format!("update:ttl:500:{expired} v")).await?;
    owner.number(&format!("update:ttb:600000:{unborn} v")).await?;
    same("scan before", &owner.json("scan s136").await?, &json!([expired]))?;
    sleep(Duration::from_millis(600)).await;
    same("scan after", &owner.json("scan s136").await?, &json!([]))
}

async fn others(world: Arc<World>) -> Check {
    let bob = &world.bob.name;
    let mut client = world.alice.connect().await?;
    let answer = client.ask(&format!("scan:{bob}")).await?;
    code("scan:@bob on U", &answer, "AT0401")?;
    let key = world.bobs("s137");
    let mut bobs = world.bob.owner().await?;
    bobs.number(&format!("update:{}:{key} v", world.alice.name)).await?;
    bobs.number(&format!("update:{} v", world.bobs("s137own"))).await?;
    let keys = world.alice.owner().await?.json(&format!("scan:{bob} s137")).await?;
    same("scan:@bob on O", &keys, &json!([key]))
}

async fn invalid(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    owner.send("scan [\n").await?;
    let answer = owner.record().await?.unwrap_or_default();
    let is_refused = ["error:AT0003-", "error:AT0011-"].iter().any(|e| answer.starts_with(e));
    that(is_refused, "AT0003 or AT0011", answer)?;
    world.alice.owner().await?.gives("noop:0", "ok").await
}

async fn deletes(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s139"));
    owner.number(&format!("update:{key} v")).await?;
    for _ in 0..2 {
        owner.number(&format!("delete:{key}")).await?;
    }
    Ok(())
}

async fn gone(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s140"));
    owner.number(&format!("update:{key} v")).await?;
    same("scan before", &owner.json("scan s140").await?, &json!([key]))?;
    owner.number(&format!("delete:{key}")).await?;
    owner.refuses(&format!("llookup:{key}"), "AT0015").await?;
    same("scan after", &owner.json("scan s140").await?, &json!([]))
}

async fn protected(world: Arc<World>) -> Check {
    let (mut owner, alice) = (world.alice.owner().await?, &world.alice.name);
    for key in [
        format!("public:publickey{alice}"),
        format!("public:signing_publickey{alice}"),
        format!("{alice}:signing_privatekey{alice}"),
    ] {
        owner.refuses(&format!("delete:{key}"), "AT0009").await?;
    }
    Ok(())
}

async fn cached_public_key(world: Arc<World>) -> Check {
    let other = world.spare()?;
    let mut others = other.owner().await?;
    others.number(&format!("update:public:publickey{} k", other.name)).await?;
    let mut owner = world.alice.owner().await?;
    owner.gives(&format!("plookup:publickey{}", other.name), "k").await?;
    let copy = format!("cached:public:publickey{}", other.name);
    owner.gives(&format!("llookup:{copy}"), "k").await?;
    owner.number(&format!("delete:{copy}")).await?;
    owner.refuses(&format!("llookup:{copy}"), "AT0015").await.map(drop)
}

async fn cascade(world: Arc<World>) -> Check {
    let (mut alice, mut bob) = (world.alice.owner().await?, world.bob.owner().await?);
    let full = |name: &str| format!("{}:{}", world.bob.name, world.alices(name));
    let (gone, kept) = (full("s143gone"), full("s143kept"));
    let patience = Duration::from_secs(30);
    alice.number(&format!("update:ttr:-1:ccd:true:{gone} v")).await?;
    alice.number(&format!("update:ttr:-1:ccd:false:{kept} v")).await?;
    for key in [&gone, &kept] {
        becomes_known(&mut bob, &format!("llookup:cached:{key}"), true, patience).await?;
        alice.number(&format!("delete:{key}")).await?;
    }
    becomes_known(&mut bob, &format!("llookup:cached:{gone}"), false, patience).await?;
    bob.gives(&format!("llookup:cached:{kept}"), "v").await
}

/// Waits until a look-up finds something, or nothing any more.
pub(super) async fn becomes_known(
    client: &mut Client,
    command: &str,
    is_known: bool,
    within: Duration,
) -> Check {
    let began = std::time::Instant::now();
    loop {
        let answer = client.ask(command).await?;
        let is_data = answer.starts_with("data:") && !answer.starts_with("data:null\n");
        if is_data == is_known {
            return Ok(());
        }
        let word = if is_known { "something" } else { "nothing" };
        let what = format!("{command} finds {word} within {within:?}");
        that(began.elapsed() < within, what, answer)?;
        sleep(Duration::from_millis(50)).await;
    }
}

async fn secret(world: Arc<World>) -> Check {
    let mut owner = world.spare()?.owner().await?;
    owner.gives("delete:privatekey:at_secret", "-1").await
}
