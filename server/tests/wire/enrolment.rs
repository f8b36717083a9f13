//! enroll, otp and pkam with an enrolment (sections 4.6, 4.7).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, keys};
use super::lab::Lab;

const HOUR: i64 = 3_600_000;

/// The members of a request, as an app sends them.
pub fn request(app: &str, namespaces: &str, otp: Option<&str>) -> String {
    let namespaces: Value = serde_json::from_str(namespaces).unwrap();
    let mut members = json!({
        "appName": app,
        "deviceName": "pixel",
        "namespaces": namespaces,
        "apkamPublicKey": keys().public,
        "encryptedAPKAMSymmetricKey": "symmetric",
    });
    if let Some(otp) = otp {
        members["otp"] = otp.into();
    }
    format!("enroll:request:{members}")
}

pub fn approve(id: &str) -> String {
    let members = json!({
        "enrollmentId": id,
        "encryptedDefaultEncryptionPrivateKey": format!("private for {id}"),
        "encryptedDefaultSelfEncryptionKey": format!("self for {id}"),
    });
    format!("enroll:approve:{members}")
}

pub fn about(operation: &str, id: &str) -> String {
    format!("enroll:{operation}:{{\"enrollmentId\":\"{id}\"}}")
}

/// The id of a request that is taken.
pub async fn ask_for(client: &mut Client, request: &str, status: &str) -> String {
    let answer = client.json(request).await;
    assert_eq!(answer["status"], status, "{answer}");
    answer["enrollmentId"].as_str().unwrap().to_owned()
}

/// Asks as a stranger with a passcode, and has the owner approve.
pub async fn enrol(lab: &Lab, owner: &mut Client, app: &str, namespaces: &str) -> String {
    let otp = owner.data("otp:get").await;
    let mut stranger = lab.connect("@alice").await;
    let id = ask_for(&mut stranger, &request(app, namespaces, Some(&otp)), "pending").await;
    let approved = owner.json(&approve(&id)).await;
    assert_eq!(approved, json!({"enrollmentId": id, "status": "approved"}));
    id
}

/// A connection that stands on an enrolment.
pub async fn enrolled(lab: &Lab, id: &str) -> Client {
    let mut client = lab.connect("@alice").await;
    assert_eq!(client.pkam_as(id).await, "data:success\n@alice@");
    client
}

#[tokio::test]
async fn s199_s209_a_new_device_asks_is_approved_and_works_in_its_namespace() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let id = enrol(&lab, &mut owner, "wavi", r#"{"wavi":"rw"}"#).await;
    let mut device = enrolled(&lab, &id).await;
    device.data("update:x.wavi@alice v").await;
    assert_eq!(owner.data("llookup:x.wavi@alice").await, "v");
    let refused = device.ask("update:x.buzz@alice v").await;
    let text = format!(
        "error:AT0009-UnAuthorized client in request : Connection with enrollment ID {id} is not \
         authorized to update key: x.buzz@alice\n@alice@"
    );
    assert_eq!(refused, text);
}

#[tokio::test]
async fn s197_a_passcode_is_drawn_for_the_owner_alone() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut seen = std::collections::HashSet::new();
    for command in ["otp:get", "otp:get:ttl:1000", "OTP:GET"].repeat(20) {
        let otp = owner.data(command).await;
        assert_eq!(otp.len(), 6, "{otp}");
        assert!(otp.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "{otp}");
        assert!(!otp.contains(['0', 'O']) && otp.contains(|c: char| c.is_ascii_digit()), "{otp}");
        seen.insert(otp);
    }
    assert!(seen.len() > 55, "they are drawn");
    let mut open = lab.connect("@alice").await;
    for command in ["otp:get", "otp:put:abcdef", "otp:nonsense"] {
        let refused = open.ask(command).await;
        assert!(refused.starts_with("error:AT0401-"), "{command}: {refused}");
    }
}

/// Asks as a stranger from a new connection; the answer.
async fn try_otp(lab: &Lab, app: &str, otp: &str) -> String {
    let mut stranger = lab.connect("@alice").await;
    stranger.ask(&request(app, r#"{"wavi":"rw"}"#, Some(otp))).await
}

const INVALID_OTP: &str = "error:AT0011-Exception: invalid otp. Cannot process enroll request\n@";

#[tokio::test]
async fn s198_a_drawn_passcode_is_good_once_and_a_set_one_again_and_again() {
    let lab = Lab::with(|limits| limits.passcode_step = Duration::from_millis(1)).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let once = owner.data("otp:get").await;
    let answer = try_otp(&lab, "a", &once.to_lowercase()).await;
    assert!(answer.contains("pending"), "{answer}");
    assert_eq!(try_otp(&lab, "b", &once).await, INVALID_OTP);
    let used_in_vain = owner.data("otp:get").await;
    let answer = try_otp(&lab, "a", &used_in_vain).await;
    assert!(answer.contains("Another enrollment"), "{answer}");
    assert_eq!(try_otp(&lab, "c", &used_in_vain).await, INVALID_OTP);
    let (short, long) = (owner.data("otp:get:ttl:1000").await, owner.data("otp:get").await);
    lab.clock.advance(1_001);
    assert_eq!(try_otp(&lab, "c", &short).await, INVALID_OTP);
    lab.clock.advance(5 * 60_000);
    assert_eq!(try_otp(&lab, "c", &long).await, INVALID_OTP);
    assert_eq!(owner.data("otp:put:Abc_123").await, "ok");
    for (app, otp) in [("d", "abc_123"), ("e", "ABC_123"), ("f", "Abc_123")] {
        let answer = try_otp(&lab, app, otp).await;
        assert!(answer.contains("pending"), "{answer}");
    }
    assert_eq!(owner.data("otp:put:newcode:ttl:1000").await, "ok");
    assert_eq!(try_otp(&lab, "g", "abc_123").await, INVALID_OTP, "it is replaced");
    assert!(try_otp(&lab, "g", "newcode").await.contains("pending"));
    lab.clock.advance(1_001);
    assert_eq!(try_otp(&lab, "h", "newcode").await, INVALID_OTP);
    assert_eq!(try_otp(&lab, "h", "").await, INVALID_OTP, "none is no passcode");
}

#[tokio::test]
async fn s199_wrong_passcodes_are_answered_later_and_later() {
    let step = Duration::from_millis(100);
    let lab = Lab::with(|limits| limits.passcode_step = step).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let otp = owner.data("otp:get").await;
    let mut stranger = lab.connect("@alice").await;
    for (n, delay) in [1_u32, 2, 3].into_iter().enumerate() {
        let began = Instant::now();
        let wrong = request(&format!("a{n}"), r#"{"wavi":"rw"}"#, Some("wrong1"));
        assert_eq!(stranger.ask(&wrong).await, INVALID_OTP);
        assert!(began.elapsed() >= step * delay, "{delay}: {:?}", began.elapsed());
    }
    let right = request("wavi", r#"{"wavi":"rw"}"#, Some(&otp));
    ask_for(&mut stranger, &right, "pending").await;
}

fn first_app() -> String {
    let members = json!({
        "appName": "firstApp",
        "deviceName": "firstDevice",
        "apkamPublicKey": keys().public,
        "encryptedDefaultEncryptionPrivateKey": "the private key",
        "encryptedDefaultSelfEncryptionKey": "the self key",
    });
    format!("enroll:request:{members}")
}

#[tokio::test]
async fn s200_the_first_app_is_approved_with_all_rights() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let not_enrolled = owner.ask("keys:get:self").await;
    let text = "Keys verb cannot be accessed without an enrollmentId";
    assert!(not_enrolled.starts_with("error:AT0011-") && not_enrolled.contains(text));
    let id = ask_for(&mut owner, &first_app(), "approved").await;
    let name = format!("{id}.default_self_enc_key.__manage@alice");
    assert_eq!(owner.json("keys:get:self").await, json!([name]), "it stands on the enrolment now");
    assert_eq!(owner.json(&format!("keys:get:keyName:{name}")).await["value"], "the self key");
    let info = owner.json("info").await;
    let metadata = &info["apkam_metadata"];
    assert_eq!(metadata["namespaces"], json!({"__manage": "rw", "*": "rw"}));
    assert_eq!(metadata["approval"], json!({"state": "approved"}));
    assert_eq!(metadata["requestType"], "newEnrollment");
    let mut device = enrolled(&lab, &id).await;
    device.data("update:public:publickey@alice MIIB").await;
    assert_eq!(device.data("delete:privatekey:at_secret").await, "-1");
    let mut legacy = lab.connect("@alice").await;
    legacy.pkam("@alice").await;
    assert!(legacy.json("info").await.get("apkam_metadata").is_none());
    let published = "lookup:firstApp.firstDevice.pkam.__pkams.__public_keys@alice";
    let published = lab.connect("@alice").await.json(published).await;
    assert_eq!(published["apkamPublicKey"], keys().public);
}

#[tokio::test]
async fn s201_pkam_tells_how_far_an_enrolment_has_come() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let otp = owner.data("otp:get").await;
    let mut device = lab.connect("@alice").await;
    // Whatever the client's version: it waits for these very words.
    let config = r#"from:@alice:clientConfig:{"version":"3.0.50"}"#;
    device.data(config).await;
    let id = ask_for(&mut device, &request("a", r#"{"a":"rw"}"#, Some(&otp)), "pending").await;
    let told = |code, state| format!("error:{code}:enrollment_id: {id} is {state}\n@");
    device.data(config).await;
    let answer = device.ask(&format!("pkam:enrollmentId:{id}:AAAA")).await;
    assert_eq!(answer, told("AT0026", "pending"));
    owner.data(&approve(&id)).await;
    let challenge = device.data(config).await;
    let wrong = keys().sign(&format!("{challenge}x"));
    let failed = device.ask(&format!("pkam:enrollmentId:{id}:{wrong}")).await;
    assert!(failed.contains("\"errorCode\":\"AT0401\""), "{failed}");
    assert_eq!(device.pkam_as(&id).await, "data:success\n@alice@");
    drop(device);
    owner.data(&about("revoke", &id)).await;
    let mut other = lab.connect("@alice").await;
    assert_eq!(other.pkam_as(&id).await, told("AT0027", "revoked"));
    owner.data(&about("unrevoke", &id)).await;
    assert_eq!(other.pkam_as(&id).await, "data:success\n@alice@");
    let otp = owner.data("otp:get").await;
    let mut stranger = lab.connect("@alice").await;
    let denied =
        ask_for(&mut stranger, &request("b", r#"{"b":"rw"}"#, Some(&otp)), "pending").await;
    owner.data(&about("deny", &denied)).await;
    let answer = stranger.pkam_as(&denied).await;
    assert_eq!(answer, format!("error:AT0025:enrollment_id: {denied} is denied\n@"));
    for unknown in ["1234", "a.b", "1:2"] {
        let answer = stranger.pkam_as(unknown).await;
        let text = format!("error:AT0028:enrollment_id: {unknown} is expired or invalid\n@");
        assert_eq!(answer, text);
    }
}

#[tokio::test]
async fn s202_who_approves_may_manage_and_gives_away_only_what_it_has() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let plain = enrol(&lab, &mut owner, "plain", r#"{"wavi":"rw"}"#).await;
    let narrow = r#"{"__manage":"rw","wavi":"rw","buzz":"r"}"#;
    let narrow = enrol(&lab, &mut owner, "narrow", narrow).await;
    let looker = enrol(&lab, &mut owner, "looker", r#"{"__manage":"r","*":"rw"}"#).await;
    let mut plain = enrolled(&lab, &plain).await;
    let mut narrow = enrolled(&lab, &narrow).await;
    let mut looker = enrolled(&lab, &looker).await;
    let not_manager = "The approving enrollment does not have access to \"__manage\" namespace";
    let not_covered = "Client is not authorized for namespaces in the enrollment request";
    for (n, (namespaces, is_covered)) in [
        (r#"{"wavi":"rw"}"#, true),
        (r#"{"data.wavi":"rw","buzz":"r"}"#, true),
        (r#"{"buzz":"rw"}"#, false),
        (r#"{"wavi":"r","fizz":"r"}"#, false),
        (r#"{"*":"r"}"#, false),
    ]
    .into_iter()
    .enumerate()
    {
        let otp = owner.data("otp:get").await;
        let request = request(&format!("app{n}"), namespaces, Some(&otp));
        let id = ask_for(&mut lab.connect("@alice").await, &request, "pending").await;
        let refused = |why: &str| {
            format!(
                "error:AT0011-Internal server exception : Failed to approve enrollment id: {id}. \
                 {why}\n@alice@"
            )
        };
        assert_eq!(plain.ask(&approve(&id)).await, refused(not_manager));
        assert_eq!(looker.ask(&approve(&id)).await, refused(not_manager));
        let answer = narrow.ask(&approve(&id)).await;
        if is_covered {
            assert!(answer.starts_with("data:"), "{namespaces}: {answer}");
        } else {
            assert_eq!(answer, refused(not_covered), "{namespaces}");
        }
    }
}

#[tokio::test]
async fn s203_only_some_decisions_can_be_made() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let otp = owner.data("otp:get").await;
    let request = request("a", r#"{"a":"rw"}"#, Some(&otp));
    let id = ask_for(&mut lab.connect("@alice").await, &request, "pending").await;
    let refused =
        |text: &str| format!("error:AT0011-Internal server exception : Failed to {text}\n@alice@");
    let forbidden = |word: &str, verb: &str, state: &str, only: &str| {
        refused(&format!(
            "{word} enrollment id: {id}. Cannot {verb} a {state} enrollment. Only {only}"
        ))
    };
    let revoke = "approved enrollments can be revoked";
    let answer = owner.ask(&about("revoke", &id)).await;
    assert_eq!(answer, forbidden("revoke", "revoke", "pending", revoke));
    owner.data(&approve(&id)).await;
    let approved = "pending enrollments can be approved";
    let answer = owner.ask(&approve(&id)).await;
    assert_eq!(answer, forbidden("approve", "approve", "approved", approved));
    let unrevoke = "revoked enrollments can be un-revoked";
    let answer = owner.ask(&about("unrevoke", &id)).await;
    assert_eq!(answer, forbidden("unrevoke", "un-revoke", "approved", unrevoke));
    let answer = owner.ask(&about("delete", &id)).await;
    let text = format!(
        "delete enrollment id: {id} | Cause: Cannot delete approved enrollments. Only denied and \
         revoked enrollments can be deleted"
    );
    assert_eq!(answer, refused(&text));
    let status = |answer: Value| answer["status"].as_str().unwrap().to_owned();
    assert_eq!(status(owner.json(&about("revoke", &id)).await), "revoked");
    assert_eq!(status(owner.json(&about("unrevoke", &id)).await), "approved");
    assert_eq!(status(owner.json(&about("revoke", &id)).await), "revoked");
    assert_eq!(status(owner.json(&about("delete", &id)).await), "deleted");
    let gone = format!("error:AT0028:enrollment_id: {id} is expired or invalid\n@alice@");
    assert_eq!(owner.ask(&about("revoke", &id)).await, gone);
    for operation in ["fetch", "delete"] {
        let answer = owner.ask(&about(operation, &id)).await;
        assert!(answer.starts_with("error:AT0015-key not found : "), "{answer}");
    }
    let scan = owner.data("scan:showHidden:true").await;
    assert!(!scan.contains(&id), "nothing of it is left: {scan}");
}

#[tokio::test]
async fn s204_revoking_closes_the_other_connections_at_once() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let id = enrol(&lab, &mut owner, "a", r#"{"a":"rw"}"#).await;
    let other = enrol(&lab, &mut owner, "b", r#"{"a":"rw"}"#).await;
    let (mut one, mut two) = (enrolled(&lab, &id).await, enrolled(&lab, &id).await);
    let mut other = enrolled(&lab, &other).await;
    two.watch("monitor:strict x").await;
    let answer = owner.json(&about("revoke", &id)).await;
    assert_eq!(answer, json!({"enrollmentId": id, "status": "revoked"}));
    let began = Instant::now();
    assert_eq!((one.rest().await.as_str(), two.rest().await.as_str()), ("", ""));
    assert!(began.elapsed() < Duration::from_secs(5));
    other.data("update:x.a@alice v").await;
    owner.data("noop:0").await;
}

#[tokio::test]
async fn s205_who_revokes_itself_is_asked_whether_it_means_it() {
    let linger = Duration::from_millis(400);
    let lab = Lab::with(|limits| limits.revoked_linger = linger).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let id = enrol(&lab, &mut owner, "a", r#"{"__manage":"rw","a":"rw"}"#).await;
    let (mut device, mut twin) = (enrolled(&lab, &id).await, enrolled(&lab, &id).await);
    let text = "error:AT0031-Cannot revoke self enrollment : Current client cannot revoke its own \
                enrollment\n@alice@";
    assert_eq!(device.ask(&about("revoke", &id)).await, text);
    device.data("update:x.a@alice v").await;
    let began = Instant::now();
    let forced = device.json(&about("revoke:force", &id)).await;
    assert_eq!(forced["status"], "revoked");
    let message = forced["message"].as_str().unwrap();
    assert!(message.starts_with("Enrollment is revoked. Closing the connection in "), "{message}");
    assert_eq!(twin.rest().await, "");
    assert_eq!(device.rest().await, "", "it closes by itself");
    assert!(began.elapsed() >= linger, "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_has_revoked_itself_does_nothing_more_in_its_last_seconds() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let id = enrol(&lab, &mut owner, "a", r#"{"__manage":"rw","a":"rw"}"#).await;
    let mut device = enrolled(&lab, &id).await;
    let forced = device.json(&about("revoke:force", &id)).await;
    let message = "Enrollment is revoked. Closing the connection in 10 seconds";
    assert_eq!(forced["message"], message);
    device.send("update:x.a@alice v\n").await;
    let told = format!("error:AT0027:enrollment_id: {id} is revoked\n@alice@");
    assert_eq!(device.rest().await, told);
    assert!(owner.ask("llookup:x.a@alice").await.starts_with("error:AT0015-"));
}

#[tokio::test]
async fn s206_one_app_on_one_device_waits_or_acts_once() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("otp:put:passcode").await;
    let ask = request("wavi", r#"{"wavi":"rw"}"#, Some("passcode"));
    let id = ask_for(&mut lab.connect("@alice").await, &ask, "pending").await;
    let refused = |state: &str| {
        format!(
            "error:AT0011-Exception: Another enrollment with id {id} exists with the app name: \
             wavi and device name: pixel in {state} state\n@"
        )
    };
    assert_eq!(lab.connect("@alice").await.ask(&ask).await, refused("pending"));
    owner.data(&approve(&id)).await;
    assert_eq!(lab.connect("@alice").await.ask(&ask).await, refused("approved"));
    owner.data(&about("revoke", &id)).await;
    ask_for(&mut lab.connect("@alice").await, &ask, "pending").await;
}

#[tokio::test]
async fn s207_a_pending_enrolment_waits_for_two_days() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("otp:put:passcode").await;
    let mut stranger = lab.connect("@alice").await;
    let ask = |app: &str| request(app, r#"{"a":"rw"}"#, Some("passcode"));
    let late = ask_for(&mut stranger, &ask("late"), "pending").await;
    lab.clock.advance(1);
    let in_time = ask_for(&mut stranger, &ask("in-time"), "pending").await;
    lab.clock.advance(48 * HOUR);
    let invalid = |id: &str| format!("error:AT0028:enrollment_id: {id} is expired or invalid");
    for command in [approve(&late), about("deny", &late)] {
        assert_eq!(owner.ask(&command).await, format!("{}\n@alice@", invalid(&late)));
    }
    assert_eq!(stranger.pkam_as(&late).await, format!("{}\n@", invalid(&late)));
    owner.data(&approve(&in_time)).await;
    lab.clock.advance(1_000 * HOUR);
    enrolled(&lab, &in_time).await;
    ask_for(&mut stranger, &ask("late"), "pending").await;
}

#[tokio::test]
async fn s208_an_enrolment_ends_with_its_keys_on_open_connections_too() {
    let lab = Lab::with(|limits| limits.stats_interval = Duration::from_millis(50)).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let otp = owner.data("otp:get").await;
    let ask = request("a", r#"{"a":"rw"}"#, Some(&otp))
        .replace("\"otp\"", "\"apkamKeysExpiryInMillis\":60000,\"otp\"");
    let id = ask_for(&mut lab.connect("@alice").await, &ask, "pending").await;
    lab.clock.advance(HOUR);
    owner.data(&approve(&id)).await;
    let (mut device, mut monitor) = (enrolled(&lab, &id).await, enrolled(&lab, &id).await);
    monitor.watch("monitor").await;
    lab.clock.advance(60_000);
    device.data("update:x.a@alice v").await;
    lab.clock.advance(1);
    device.send("llookup:x.a@alice\n").await;
    let told = format!("error:AT0028:enrollment_id: {id} is expired or invalid\n");
    assert_eq!(device.rest().await, format!("{told}@alice@"), "told, then closed (gap 17)");
    let rest = monitor.rest().await;
    assert!(rest.ends_with(&told), "{rest}");
    let mut again = lab.connect("@alice").await;
    assert_eq!(again.pkam_as(&id).await, format!("{told}@"));
    let list = owner.json("enroll:list").await;
    assert_eq!(list[format!("{id}.new.enrollments.__manage@alice")]["status"], "expired");
}

#[tokio::test]
async fn s215_who_may_manage_sees_all_enrolments_and_others_their_own() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let manager = enrol(&lab, &mut owner, "manager", r#"{"__manage":"rw"}"#).await;
    let plain = enrol(&lab, &mut owner, "plain", r#"{"wavi":"rw"}"#).await;
    let otp = owner.data("otp:get").await;
    let ask = request("waits", r#"{"wavi":"r"}"#, Some(&otp));
    let waits = ask_for(&mut lab.connect("@alice").await, &ask, "pending").await;
    let name = |id: &str| format!("{id}.new.enrollments.__manage@alice");
    let shown = json!({
        "appName": "plain", "deviceName": "pixel", "namespace": {"wavi": "rw"},
        "encryptedAPKAMSymmetricKey": "symmetric", "status": "approved",
    });
    let mut manager = enrolled(&lab, &manager).await;
    for client in [&mut owner, &mut manager] {
        let all = client.json("enroll:list").await;
        assert_eq!(all.as_object().unwrap().len(), 3);
        assert_eq!(all[name(&plain)], shown);
        assert_eq!(client.json(&about("fetch", &plain)).await, shown);
        let filter = r#"enroll:list:{"enrollmentStatusFilter":["pending","denied"]}"#;
        let pending = client.json(filter).await;
        assert_eq!(pending.as_object().unwrap().keys().collect::<Vec<_>>(), [&name(&waits)]);
    }
    let mut plain_client = enrolled(&lab, &plain).await;
    let own = plain_client.json("enroll:list").await;
    assert_eq!(own, json!({ name(&plain): shown }));
    let mut open = lab.connect("@alice").await;
    for operation in ["list", "fetch", "approve", "deny", "revoke", "unrevoke", "delete"] {
        let refused = open.ask(&format!("enroll:{operation}:{{\"")).await;
        let text = format!(
            "error:AT0401-Exception: Cannot {operation} enrollment without authentication\n@"
        );
        assert_eq!(refused, text);
    }
}

#[tokio::test]
async fn s216_the_sixth_request_of_a_connection_within_an_hour_is_refused() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("otp:put:passcode").await;
    let mut stranger = lab.connect("@alice").await;
    let ask = |n: u32| request(&format!("app{n}"), r#"{"a":"rw"}"#, Some("passcode"));
    for n in 0..5 {
        ask_for(&mut stranger, &ask(n), "pending").await;
    }
    let refused = "Enrollment requests have exceeded the limit within the specified time frame";
    let answer = stranger.ask(&ask(5)).await;
    assert_eq!(answer, format!("error:AT0011-Exception: {refused}\n@"));
    lab.clock.advance(HOUR);
    ask_for(&mut stranger, &ask(5), "pending").await;
}

#[tokio::test]
async fn s217_monitors_that_ask_for_it_are_told_who_wants_to_be_enrolled() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let manager = enrol(&lab, &mut owner, "manager", r#"{"__manage":"rw"}"#).await;
    let everything = enrol(&lab, &mut owner, "everything", r#"{"*":"rw"}"#).await;
    let mut listening = lab.owner("@alice").await;
    let mut manager = enrolled(&lab, &manager).await;
    let mut others = [lab.owner("@alice").await, enrolled(&lab, &everything).await];
    listening.watch("monitor:selfNotifications").await;
    manager.watch("monitor:selfNotifications").await;
    others[0].watch("monitor").await;
    others[1].watch("monitor:selfNotifications").await;
    let otp = owner.data("otp:get").await;
    let ask = request("wavi", r#"{"wavi":"rw"}"#, Some(&otp));
    let id = ask_for(&mut lab.connect("@alice").await, &ask, "pending").await;
    owner.data("notify:@alice:after.it@alice:v").await;
    for client in [&mut listening, &mut manager] {
        let told = client.notification().await;
        assert_eq!(told["key"], format!("{id}.new.enrollments.__manage@alice"));
        assert_eq!((&told["from"], &told["to"]), (&json!("@alice"), &json!("@alice")));
        let value: Value = serde_json::from_str(told["value"].as_str().unwrap()).unwrap();
        let expected = json!({
            "encryptedApkamSymmetricKey": "symmetric",
            "encryptedAPKAMSymmetricKey": "symmetric",
            "appName": "wavi", "deviceName": "pixel", "namespace": {"wavi": "rw"},
        });
        assert_eq!(value, expected);
    }
    for client in &mut others {
        assert_eq!(client.notification().await["key"], "@alice:after.it@alice");
    }
    let list = owner.data("notify:list").await;
    assert!(!list.contains(&id), "{list}");
    let mut late = lab.owner("@alice").await;
    late.send("monitor:selfNotifications:0\n").await;
    let told = late.notification().await["key"].as_str().unwrap().to_owned();
    assert!(told.contains(".new.enrollments."), "what came before is told as well: {told}");
}

#[tokio::test]
async fn enrolments_outlive_a_restart() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let id = enrol(&lab, &mut owner, "wavi", r#"{"wavi":"rw"}"#).await;
    let otp = owner.data("otp:get").await;
    drop(owner);
    alice.stop().await;
    let _alice = lab.start("@alice").await;
    let mut device = enrolled(&lab, &id).await;
    device.data("update:x.wavi@alice v").await;
    assert!(device.ask("update:x.buzz@alice v").await.starts_with("error:AT0009-"));
    assert!(try_otp(&lab, "b", &otp).await.contains("pending"));
}
