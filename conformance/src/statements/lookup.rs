//! 115–131: `lookup`, `plookup`, the cache.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::check::{Check, begins, contains, same, that};
use crate::wire::Client;
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(115, "anybody finds a public key", public_key),
    row!(116, "`lookup:all` on U has createdAt and updatedAt", public_dates),
    row!(117, "`lookup` of the own name reads what is shared with oneself", own),
    row!(118, "what another shares is fetched, and kept when it has a ttr", fetched),
    row!(119, "the second lookup comes from the copy", copied),
    row!(120, "bypassCache fetches again", bypassed),
    row!(121, "after the ttr it is fetched again", refreshed),
    row!(122, "with ttr -1 it is never fetched again", for_ever),
    row!(123, "what its owner deleted is gone from the cache too", deleted),
    row!(124, "`plookup` gives another's public value", plookup),
    row!(125, "`plookup` of a missing key gives AT0015 and names it", plookup_missing),
    row!(126, "`plookup` with two names gives AT0003", plookup_two),
    row!(127, "`plookup` of the own name works", plookup_own),
    row!(128, "an unknown name gives AT0007", unknown),
    row!(129, "a reference is followed by lookup and not by llookup", reference),
    row!(130, "another's new public key puts the shared key aside", new_public_key),
    row!(131, "`data:` inside another's value stays", data_inside),
];

async fn public_key(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let key = client.data(&format!("lookup:publickey{}", world.alice.name)).await?;
    that(key.len() > 100, "a public key", key)
}

async fn public_dates(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    let all = client.json(&format!("lookup:all:publickey{}", world.alice.name)).await?;
    for name in ["createdAt", "updatedAt"] {
        that(all["metaData"][name].is_string(), name, &all["metaData"])?;
    }
    Ok(())
}

async fn own(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s117"));
    owner.number(&format!("update:{}:{key} mine", world.alice.name)).await?;
    owner.gives(&format!("lookup:{key}"), "mine").await
}

/// Has @bob share a key, without the notification that would bring a copy to @alice at once: a copy
/// that came with it is deleted.
async fn shared(world: &World, name: &str, parts: &str) -> Check<(Client, Client, String)> {
    let (mut alice, mut bob) = (world.alice.owner().await?, world.bob.owner().await?);
    let key = world.bobs(name);
    let full = format!("{}:{key}", world.alice.name);
    bob.number(&format!("update:{parts}{full} one")).await?;
    if !parts.is_empty() {
        // The copy comes by notification; it is awaited so that it does not come later.
        let copy = format!("llookup:cached:{full}");
        for _ in 0..200 {
            if alice.ask(&copy).await?.starts_with("data:") {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        alice.number(&format!("delete:cached:{full}")).await?;
    }
    Ok((alice, bob, key))
}

async fn fetched(world: Arc<World>) -> Check {
    let (mut alice, _, key) = shared(&world, "s118", "ttr:60:").await?;
    alice.gives(&format!("lookup:{key}"), "one").await?;
    alice.gives(&format!("llookup:cached:{}:{key}", world.alice.name), "one").await?;
    let (mut alice, _, key) = shared(&world, "s118uncached", "").await?;
    alice.gives(&format!("lookup:{key}"), "one").await?;
    alice.refuses(&format!("llookup:cached:{}:{key}", world.alice.name), "AT0015").await.map(drop)
}

async fn copied(world: Arc<World>) -> Check {
    let (mut alice, _, key) = shared(&world, "s119", "ttr:60:").await?;
    let fetched = format!("{}:{key}", world.alice.name);
    for expected in [fetched.clone(), format!("cached:{fetched}")] {
        same("key", &alice.json(&format!("lookup:all:{key}")).await?["key"], &expected)?;
    }
    Ok(())
}

async fn bypassed(world: Arc<World>) -> Check {
    let (mut alice, _, key) = shared(&world, "s120", "ttr:60:").await?;
    alice.data(&format!("lookup:{key}")).await?;
    let all = alice.json(&format!("lookup:bypassCache:true:all:{key}")).await?;
    same("key", &all["key"], &format!("{}:{key}", world.alice.name))
}

async fn refreshed(world: Arc<World>) -> Check {
    let (mut alice, _, key) = shared(&world, "s121", "ttr:2:").await?;
    let fetched = format!("{}:{key}", world.alice.name);
    alice.data(&format!("lookup:{key}")).await?;
    let all = alice.json(&format!("lookup:all:{key}")).await?;
    same("key at once", &all["key"], &format!("cached:{fetched}"))?;
    sleep(Duration::from_millis(2_200)).await;
    let all = alice.json(&format!("lookup:all:{key}")).await?;
    same("key after the ttr", &all["key"], &fetched)
}

async fn for_ever(world: Arc<World>) -> Check {
    let (mut alice, _, key) = shared(&world, "s122", "ttr:-1:").await?;
    alice.data(&format!("lookup:{key}")).await?;
    sleep(Duration::from_millis(2_200)).await;
    let all = alice.json(&format!("lookup:all:{key}")).await?;
    same("key", &all["key"], &format!("cached:{}:{key}", world.alice.name))?;
    let meta = &all["metaData"];
    that(meta["refreshAt"].is_null(), "no refreshAt", meta)
}

async fn deleted(world: Arc<World>) -> Check {
    let (mut alice, mut bob, key) = shared(&world, "s123", "ttr:60:").await?;
    alice.gives(&format!("lookup:{key}"), "one").await?;
    bob.number(&format!("delete:{}:{key}", world.alice.name)).await?;
    alice.refuses(&format!("lookup:bypassCache:true:{key}"), "AT0015").await?;
    alice.refuses(&format!("llookup:cached:{}:{key}", world.alice.name), "AT0015").await.map(drop)
}

async fn plookup(world: Arc<World>) -> Check {
    let (mut alice, mut bob) = (world.alice.owner().await?, world.bob.owner().await?);
    let key = world.bobs("s124");
    bob.number(&format!("update:public:{key} here")).await?;
    alice.gives(&format!("plookup:{key}"), "here").await?;
    same("key", &alice.json(&format!("plookup:all:{key}")).await?["key"], &format!("public:{key}"))
}

async fn plookup_missing(world: Arc<World>) -> Check {
    let key = world.bobs("s125");
    let answer = world.alice.owner().await?.refuses(&format!("plookup:{key}"), "AT0015").await?;
    contains("plookup", &answer, &format!("public:{key} does not exist in keystore"))
}

async fn plookup_two(world: Arc<World>) -> Check {
    let command = format!("plookup:{}{}", world.alices("s126"), world.bob.name);
    world.alice.owner().await?.refuses(&command, "AT0003").await.map(drop)
}

async fn plookup_own(world: Arc<World>) -> Check {
    let (mut owner, key) = (world.alice.owner().await?, world.alices("s127"));
    owner.number(&format!("update:public:{key} mine")).await?;
    owner.gives(&format!("plookup:{key}"), "mine").await
}

async fn unknown(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    owner.refuses("lookup:x@nobodybythisnameishere", "AT0007").await.map(drop)
}

async fn reference(world: Arc<World>) -> Check {
    let mut owner = world.alice.owner().await?;
    let alice = &world.alice.name;
    let (target, key) = (world.alices("s129target"), world.alices("s129"));
    // One implementation reads the private of the two, another the public: here both are the same.
    owner.number(&format!("update:public:{target} found")).await?;
    owner.number(&format!("update:{alice}:{target} found")).await?;
    for prefix in ["public:".to_owned(), format!("{alice}:")] {
        owner.number(&format!("update:{prefix}{key} atsign://{target}")).await?;
        owner.gives(&format!("llookup:{prefix}{key}"), &format!("atsign://{target}")).await?;
    }
    world.alice.connect().await?.gives(&format!("lookup:{key}"), "found").await?;
    owner.gives(&format!("lookup:{key}"), "found").await
}

async fn new_public_key(world: Arc<World>) -> Check {
    let (holder, other) = (world.spare()?, world.spare()?);
    let mut owner = holder.owner().await?;
    let mut others = other.owner().await?;
    let public = format!("publickey{}", other.name);
    others.number(&format!("update:public:{public} first")).await?;
    owner.gives(&format!("plookup:{public}"), "first").await?;
    let shared = format!("shared_key.{}{}", other.bare(), holder.name);
    owner.number(&format!("update:{shared} cut for the first")).await?;
    others.number(&format!("update:public:{public} second")).await?;
    owner.gives(&format!("plookup:bypassCache:true:{public}"), "second").await?;
    owner.refuses(&format!("llookup:{shared}"), "AT0015").await?;
    let keys = owner.json(&format!("scan shared_key.{}.until", other.bare())).await?;
    let aside = keys[0].as_str().unwrap_or_default().to_owned();
    begins("the key put aside", &aside, &format!("shared_key.{}.until.", other.bare()))?;
    owner.gives(&format!("llookup:{aside}"), "cut for the first").await
}

async fn data_inside(world: Arc<World>) -> Check {
    let (mut alice, mut bob) = (world.alice.owner().await?, world.bob.owner().await?);
    let (key, value) = (world.bobs("s131"), "data:x data:y {\"data:\":\"data:\"}");
    bob.number(&format!("update:public:{key} {value}")).await?;
    bob.number(&format!("update:{}:{key} {value}", world.alice.name)).await?;
    alice.gives(&format!("plookup:{key}"), value).await?;
    alice.gives(&format!("lookup:{key}"), value).await
}
