//! 47–54: certificates and versions of TLS.

use std::sync::Arc;

use crate::check::{Check, begins, same};
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(47, "a client without a certificate can be the owner", without),
    row!(48, "a client with a strange certificate can be the owner", strange),
    row!(49, "another's `from:` without a certificate gives AT0401, no close", missing),
    row!(50, "another's `from:` with the certificate of his host is challenged", right),
    row!(51, "another's `from:` with another host's certificate gives AT0401", wrong),
    row!(52, "a host name that merely contains his is refused", similar),
    row!(
        53,
        "new certificates are served without a restart",
        inside "net/tests/handshakes.rs::s053_certificates_are_replaced_while_connections_live"
    ),
    row!(54, "TLS 1.2 alone and TLS 1.3 alone both do", versions),
];

const REFUSAL: &str = "error:AT0401-Exception: Certificate Verification Failed\n@";

async fn without(world: Arc<World>) -> Check {
    world.alice.owner().await?.gives("noop:0", "ok").await
}

async fn strange(world: Arc<World>) -> Check {
    let stranger = world.tls.stranger("stranger.example")?;
    let mut client = world.alice.connect_with(stranger).await?;
    world.alice.authenticate(&mut client, "").await?;
    client.gives("noop:0", "ok").await
}

async fn missing(world: Arc<World>) -> Check {
    let mut client = world.alice.connect().await?;
    client.expect(&format!("from:{}", world.bob.name), REFUSAL).await?;
    client.expect("noop:0", "data:ok\n@").await
}

async fn right(world: Arc<World>) -> Check {
    let mut client = world.as_bobs_host().await?;
    let data = client.data(&format!("from:{}", world.bob.name)).await?;
    begins("from:@bob", &data, "proof:_")
}

async fn wrong(world: Arc<World>) -> Check {
    let mut client = world.alice.connect_with(world.tls.other(&["other.example"])?).await?;
    client.expect(&format!("from:{}", world.bob.name), REFUSAL).await?;
    client.expect("noop:0", "data:ok\n@").await
}

async fn similar(world: Arc<World>) -> Check {
    let host = &world.bob.host;
    for similar in [format!("x{host}"), format!("{host}.example"), format!("{host}x")] {
        let mut client = world.alice.connect_with(world.tls.other(&[&similar])?).await?;
        let answer = client.ask(&format!("from:{}", world.bob.name)).await?;
        same(&similar, answer.as_str(), REFUSAL)?;
    }
    Ok(())
}

async fn versions(world: Arc<World>) -> Check {
    for is_13 in [false, true] {
        let mut client = world.alice.connect_with(world.tls.only(is_13)?).await?;
        world.alice.authenticate(&mut client, "").await?;
        client.gives("noop:0", "ok").await?;
    }
    Ok(())
}
