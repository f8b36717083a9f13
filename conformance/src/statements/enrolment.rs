//! 197–208: one-time passcodes and the life of an enrolment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::check::{Check, begins, contains, same, that};
use crate::wire::Client;
use crate::world::Identity;
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(197, "`otp:get` gives six characters of its alphabet, on U AT0401", passcode),
    row!(198, "a passcode counts once and for its time, an SPP again and again", passcodes),
    row!(199, "a request is pending; a wrong passcode is refused later and later", request),
    row!(200, "a request after CRAM is approved, with `__manage` and `*`", first_request),
    row!(201, "pkam of a pending, denied, revoked, unknown id has a code each", states),
    row!(202, "nobody approves beyond what she may do herself", narrower),
    row!(203, "wrong steps of an enrolment are refused and say why", wrong_steps),
    row!(204, "revoking closes the enrolment's connections at once", revoked),
    row!(205, "self-revocation gives AT0031; with force it closes after 10 s", self_revoked),
    row!(206, "one app on one device has one enrolment", twice),
    row!(
        207,
        "a request older than 48 h cannot be approved",
        inside "server/tests/wire/enrolment.rs::s207_a_pending_enrolment_waits_for_two_days"
    ),
    row!(208, "after its keys' expiry an enrolment stops working, also where it is open", expiry),
];

const WRONG_PASSCODE: &str =
    "error:AT0011-Exception: invalid otp. Cannot process enroll request\n@";

/// An identity that is activated, and her owner's connection without an enrolment.
pub(super) struct Home {
    pub identity: Arc<Identity>,
    pub owner: Client,
    pub world: Arc<World>,
    statement: &'static str,
}

impl Home {
    /// One with enrolments of other statements beside it; the devices' names begin with this one's.
    pub async fn shared(world: &Arc<World>, statement: &'static str) -> Check<Self> {
        Self::of(world, world.keyed().await?, statement).await
    }

    /// One whose enrolments, passcodes and delays are this statement's alone.
    pub async fn new(world: &Arc<World>) -> Check<Self> {
        Self::of(world, Arc::new(world.spare()?), "").await
    }

    async fn of(
        world: &Arc<World>,
        identity: Arc<Identity>,
        statement: &'static str,
    ) -> Check<Self> {
        let owner = identity.owner().await?;
        Ok(Self { identity, owner, world: Arc::clone(world), statement })
    }

    /// What a new device asks for.
    pub fn wish(&self, device: &str, namespaces: &Value, otp: &str) -> Value {
        json!({
            "appName": "conformance", "deviceName": format!("{}{device}", self.statement), "namespaces": namespaces, "otp": otp,
            "apkamPublicKey": self.world.keys.public,
            "encryptedAPKAMSymmetricKey": "c3ltbWV0cmlj",
        })
    }

    pub async fn otp(&mut self) -> Check<String> {
        self.owner.data("otp:get").await
    }

    /// A request from a new connection, with a fresh passcode: the id of a pending enrolment.
    pub async fn requested(&mut self, device: &str, namespaces: &Value) -> Check<String> {
        let otp = self.otp().await?;
        let wish = self.wish(device, namespaces, &otp);
        let mut client = self.identity.connect().await?;
        let answer = client.json(&format!("enroll:request:{wish}")).await?;
        same("status", &answer["status"], &"pending")?;
        Ok(answer["enrollmentId"].as_str().unwrap_or_default().to_owned())
    }

    pub async fn approve(&mut self, id: &str) -> Check {
        let answer = self.owner.json(&approval(id)).await?;
        same("approval", &answer, &json!({ "status": "approved", "enrollmentId": id }))
    }

    /// An approved enrolment, and a connection of it.
    pub async fn enrolled(&mut self, device: &str, namespaces: &Value) -> Check<(String, Client)> {
        let id = self.requested(device, namespaces).await?;
        self.approve(&id).await?;
        let client = self.identity.enrolled(&id, &self.world.keys).await?;
        Ok((id, client))
    }

    /// What `pkam:` with this id is answered.
    async fn pkam(&self, id: &str) -> Check<String> {
        let mut client = self.identity.connect().await?;
        let challenge = client.data(&format!("from:{}", self.identity.name)).await?;
        let signature = self.world.keys.sign(&challenge)?;
        client.ask(&format!("pkam:enrollmentId:{id}:{signature}")).await
    }
}

/// The command that approves.
pub(super) fn approval(id: &str) -> String {
    let params = json!({
        "enrollmentId": id,
        "encryptedDefaultEncryptionPrivateKey": "cHJpdmF0ZQ==",
        "encryptedDefaultSelfEncryptionKey": "c2VsZg==",
    });
    format!("enroll:approve:{params}")
}

/// Another step with an enrolment.
pub(super) fn step(operation: &str, id: &str) -> String {
    format!("enroll:{operation}:{}", json!({ "enrollmentId": id }))
}

fn wavi() -> Value {
    json!({ "wavi": "rw" })
}

async fn passcode(world: Arc<World>) -> Check {
    world.alice.connect().await?.refuses("otp:get", "AT0401").await?;
    let mut owner = world.alice.owner().await?;
    for _ in 0..20 {
        let code = owner.data("otp:get").await?;
        let fits = |c: char| c.is_ascii_digit() && c != '0' || c.is_ascii_uppercase() && c != 'O';
        let is_good = code.len() == 6
            && code.chars().all(fits)
            && code.contains(|c: char| c.is_ascii_digit());
        that(is_good, "six of A–Z without O and 1–9, a digit among them", code)?;
    }
    Ok(())
}

async fn passcodes(world: Arc<World>) -> Check {
    let mut home = Home::new(&world).await?;
    let otp = home.otp().await?;
    let mut client = home.identity.connect().await?;
    let first = home.wish("one", &wavi(), &otp);
    client.json(&format!("enroll:request:{first}")).await?;
    let second = home.wish("two", &wavi(), &otp);
    client.expect(&format!("enroll:request:{second}"), WRONG_PASSCODE).await?;
    let short = home.owner.data("otp:get:ttl:200").await?;
    sleep(Duration::from_millis(300)).await;
    let late = home.wish("two", &wavi(), &short);
    client.expect(&format!("enroll:request:{late}"), WRONG_PASSCODE).await?;
    home.owner.gives("otp:put:Spp123", "ok").await?;
    for (device, spp) in [("three", "Spp123"), ("four", "SPP123"), ("five", "spp123")] {
        let mut client = home.identity.connect().await?;
        client.json(&format!("enroll:request:{}", home.wish(device, &wavi(), spp))).await?;
    }
    Ok(())
}

async fn request(world: Arc<World>) -> Check {
    let mut home = Home::new(&world).await?;
    home.requested("one", &wavi()).await?;
    let mut waits = Vec::new();
    let mut client = home.identity.connect().await?;
    for _ in 0..3 {
        let wish = home.wish("two", &wavi(), "ZZZZZ1");
        let began = Instant::now();
        client.expect(&format!("enroll:request:{wish}"), WRONG_PASSCODE).await?;
        waits.push(began.elapsed());
    }
    let grows =
        waits[0] >= Duration::from_millis(900) && waits[2] > waits[0] + Duration::from_millis(500);
    that(grows, "answers after 1 s and then later and later", format_args!("{waits:?}"))
}

async fn first_request(world: Arc<World>) -> Check {
    let spare = world.spare()?;
    let mut owner = spare.connect().await?;
    let challenge = owner.data(&format!("from:{}", spare.name)).await?;
    owner.expect(&format!("cram:{}", spare.cram(&challenge)?), &spare.success()).await?;
    let wish = json!({
        "appName": "first", "deviceName": "first", "apkamPublicKey": world.keys.public,
        "encryptedDefaultEncryptionPrivateKey": "cHJpdmF0ZQ==",
        "encryptedDefaultSelfEncryptionKey": "c2VsZg==",
    });
    let answer = owner.json(&format!("enroll:request:{wish}")).await?;
    same("status", &answer["status"], &"approved")?;
    let id = answer["enrollmentId"].as_str().unwrap_or_default().to_owned();
    let fetched = owner.json(&step("fetch", &id)).await?;
    same("namespaces", &fetched["namespace"], &json!({ "__manage": "rw", "*": "rw" }))?;
    // It can be used at once, as enrolment and without one.
    spare.enrolled(&id, &world.keys).await?.gives("noop:0", "ok").await?;
    spare.pkam(&mut spare.connect().await?, &world.keys).await
}

async fn states(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s201").await?;
    let says = |code: &str, id: &str, state: &str| {
        format!("error:{code}:enrollment_id: {id} is {state}\n@")
    };
    let id = home.requested("one", &wavi()).await?;
    same("pending", &home.pkam(&id).await?, &says("AT0026", &id, "pending"))?;
    home.owner.data(&step("deny", &id)).await?;
    same("denied", &home.pkam(&id).await?, &says("AT0025", &id, "denied"))?;
    let id = home.requested("two", &wavi()).await?;
    home.approve(&id).await?;
    home.owner.data(&step("revoke", &id)).await?;
    same("revoked", &home.pkam(&id).await?, &says("AT0027", &id, "revoked"))?;
    let id = "00000000-0000-4000-8000-000000000000";
    same("unknown", &home.pkam(id).await?, &says("AT0028", id, "expired or invalid"))
}

async fn narrower(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s202").await?;
    let (_, mut plain) = home.enrolled("plain", &wavi()).await?;
    let managing = json!({ "__manage": "rw", "wavi": "r" });
    let (_, mut manager) = home.enrolled("manager", &managing).await?;
    for (device, namespaces) in [("one", wavi()), ("two", json!({ "buzz": "r" }))] {
        let id = home.requested(device, &namespaces).await?;
        let answer = plain.refuses(&approval(&id), "AT0011").await?;
        contains("by one without __manage", &answer, "does not have access to \"__manage\"")?;
        let answer = manager.refuses(&approval(&id), "AT0011").await?;
        let text = "Client is not authorized for namespaces in the enrollment request";
        contains("by one with less", &answer, text)?;
    }
    let id = home.requested("three", &json!({ "wavi": "r" })).await?;
    manager.json(&approval(&id)).await.map(drop)
}

async fn wrong_steps(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s203").await?;
    let id = home.requested("one", &wavi()).await?;
    let text = "Cannot revoke a pending enrollment. Only approved enrollments can be revoked";
    contains("revoke", &home.owner.refuses(&step("revoke", &id), "AT0011").await?, text)?;
    home.approve(&id).await?;
    for (command, text) in [
        (
            approval(&id),
            "Cannot approve a approved enrollment. Only pending enrollments can be approved",
        ),
        (
            step("unrevoke", &id),
            "Cannot un-revoke a approved enrollment. Only revoked enrollments can be un-revoked",
        ),
        (
            step("delete", &id),
            "Cannot delete approved enrollments. Only denied and revoked enrollments can be deleted",
        ),
    ] {
        contains(&command, &home.owner.refuses(&command, "AT0011").await?, text)?;
    }
    home.owner.gives("noop:0", "ok").await
}

async fn revoked(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s204").await?;
    let (id, mut one) = home.enrolled("one", &wavi()).await?;
    let mut two = home.identity.enrolled(&id, &world.keys).await?;
    home.owner.data(&step("revoke", &id)).await?;
    for client in [&mut one, &mut two] {
        client.be_patient(Duration::from_secs(3));
        same("what comes before the close", client.rest().await?.as_str(), "")?;
    }
    home.owner.gives("noop:0", "ok").await
}

async fn self_revoked(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s205").await?;
    let namespaces = json!({ "__manage": "rw", "*": "rw" });
    let (id, mut client) = home.enrolled("one", &namespaces).await?;
    let answer = client.refuses(&step("revoke", &id), "AT0031").await?;
    contains("self-revocation", &answer, "Current client cannot revoke its own enrollment")?;
    client.gives("noop:0", "ok").await?;
    let forced = client.json(&step("revoke:force", &id)).await?;
    same("status", &forced["status"], &"revoked")?;
    let text = "Enrollment is revoked. Closing the connection in 10 seconds";
    same("message", &forced["message"], &text)?;
    let began = Instant::now();
    client.rest().await?;
    let took = began.elapsed();
    let is_ten = (Duration::from_secs(8)..Duration::from_secs(13)).contains(&took);
    that(is_ten, "a close after 10 s", format_args!("{took:?}"))
}

async fn twice(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s206").await?;
    let id = home.requested("one", &wavi()).await?;
    for state in ["pending", "approved"] {
        let otp = home.otp().await?;
        let wish = home.wish("one", &wavi(), &otp);
        let mut client = home.identity.connect().await?;
        let answer = client.refuses(&format!("enroll:request:{wish}"), "AT0011").await?;
        let text = format!(
            "Another enrollment with id {id} exists with the app name: conformance and device \
             name: s206one in {state} state"
        );
        contains("a second request", &answer, &text)?;
        if state == "pending" {
            home.approve(&id).await?;
        }
    }
    Ok(())
}

async fn expiry(world: Arc<World>) -> Check {
    let mut home = Home::shared(&world, "s208").await?;
    let otp = home.otp().await?;
    let mut wish = home.wish("one", &wavi(), &otp);
    wish["apkamKeysExpiryInMillis"] = json!(2_500);
    let mut client = home.identity.connect().await?;
    let answer = client.json(&format!("enroll:request:{wish}")).await?;
    let id = answer["enrollmentId"].as_str().unwrap_or_default().to_owned();
    home.approve(&id).await?;
    let mut open = home.identity.enrolled(&id, &world.keys).await?;
    open.gives("noop:0", "ok").await?;
    sleep(Duration::from_millis(2_700)).await;
    let text = format!("error:AT0028:enrollment_id: {id} is expired or invalid\n@");
    same("a new connection", &home.pkam(&id).await?, &text)?;
    // One implementation closes without a word, another says why before it.
    let sent = open.send(&format!("update:s208.wavi{} v\n", home.identity.name)).await;
    let rest = if sent.is_ok() { open.rest().await? } else { String::new() };
    let is_refused = rest.is_empty() || rest.starts_with("error:");
    that(is_refused, "a refusal and a close", &rest)?;
    let key = format!("llookup:s208.wavi{}", home.identity.name);
    let answer = home.owner.ask(&key).await?;
    begins("what was tried afterwards", &answer, "error:AT0015-")
}
