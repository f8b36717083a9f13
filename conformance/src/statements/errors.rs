//! 40–46: the shapes of errors.

use std::sync::Arc;

use serde_json::Value;

use crate::check::{Check, begins, failed, same, that};
use crate::wire::Client;
use crate::world::members;
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(40, "without clientConfig errors have shape (a)", classic),
    row!(41, "from version 3.0.38 on errors are JSON", json),
    row!(42, "up to version 3.0.37 errors have shape (a)", older),
    row!(43, "clientConfig without a version does no harm", versionless),
    row!(44, "on O a missing key is `key not found : …`", missing_owner),
    row!(45, "on U a missing key is `Exception: …`", missing_open),
    row!(46, "an error of shape (c) is not JSON for anybody", shape_c),
];

/// An open connection that has told the version of its client.
async fn of_version(world: &World, config: &str) -> Check<Client> {
    let mut client = world.alice.connect().await?;
    client.data(&format!("from:{}:clientConfig:{config}", world.alice.name)).await?;
    Ok(client)
}

fn missing(world: &World) -> (String, String) {
    let key = format!("{}{}", world.key("s040"), world.alice.name);
    let text = format!("error:AT0015-Exception: public:{key} does not exist in keystore\n@");
    (format!("lookup:{key}"), text)
}

async fn classic(world: Arc<World>) -> Check {
    let (command, text) = missing(&world);
    world.alice.connect().await?.expect(&command, &text).await
}

async fn json(world: Arc<World>) -> Check {
    let (command, _) = missing(&world);
    for version in ["3.0.38", "3.1.0", "4.0.0"] {
        let mut client = of_version(&world, &format!("{{\"version\":\"{version}\"}}")).await?;
        let answer = client.ask(&command).await?;
        let body = answer.strip_prefix("error:").and_then(|rest| rest.strip_suffix("\n@"));
        let error: Value = body
            .and_then(|body| serde_json::from_str(body).ok())
            .ok_or_else(|| failed(format_args!("{version}: error:{{JSON}}"), &answer))?;
        same("members", &members(&error), &["errorCode", "errorDescription"])?;
        same("errorCode", &error["errorCode"], &"AT0015")?;
    }
    let mut owner = world.alice.connect().await?;
    world.alice.authenticate(&mut owner, ":clientConfig:{\"version\":\"3.0.38\"}").await?;
    begins("deete:x on O", &owner.ask("deete:x").await?, "error:{\"errorCode\":\"AT0003\",")
}

async fn older(world: Arc<World>) -> Check {
    let (command, text) = missing(&world);
    for version in ["3.0.37", "3.0.9", "2.9.99"] {
        let mut client = of_version(&world, &format!("{{\"version\":\"{version}\"}}")).await?;
        client.expect(&command, &text).await?;
    }
    Ok(())
}

async fn versionless(world: Arc<World>) -> Check {
    let (command, text) = missing(&world);
    for config in ["{\"clientId\":\"x\"}", "{\"version\":\"latest\"}", "{\"version\":38}"] {
        let mut client = of_version(&world, config).await?;
        client.expect(&command, &text).await?;
    }
    Ok(())
}

async fn missing_owner(world: Arc<World>) -> Check {
    let key = format!("{}{}", world.key("s044"), world.alice.name);
    let text = format!("error:AT0015-key not found : {key} does not exist in keystore\n");
    let answer = world.alice.owner().await?.ask(&format!("llookup:{key}")).await?;
    begins("a missing key on O", &answer, &text)
}

async fn missing_open(world: Arc<World>) -> Check {
    let (command, _) = missing(&world);
    let answer = world.alice.connect().await?.ask(&command).await?;
    begins("a missing key on U", &answer, "error:AT0015-Exception: ")
}

async fn shape_c(world: Arc<World>) -> Check {
    let id = "00000000-0000-4000-8000-000000000000";
    for options in ["", ":clientConfig:{\"version\":\"3.0.38\"}"] {
        let mut client = world.alice.connect().await?;
        let challenge = client.data(&format!("from:{}{options}", world.alice.name)).await?;
        let signature = world.keys.sign(&challenge)?;
        let answer = client.ask(&format!("pkam:enrollmentId:{id}:{signature}")).await?;
        let text = format!("error:AT0028:enrollment_id: {id} is expired or invalid\n@");
        that(answer == text, format_args!("{text:?}"), format_args!("{answer:?}"))?;
    }
    Ok(())
}
