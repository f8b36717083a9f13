//! `enroll:<operation>[:force][:<json>]` (protocol notes 4.7, 5.21).

use serde::Deserialize;

use super::{VerbError, grammar};
use crate::EnrollmentId;
use crate::enrollment::{EnrollmentStatus, Namespaces};
use crate::limits::{APP_NAME_BYTES_MAX, ENROLLMENT_KEY_BYTES_MAX, PASSCODE_BYTES_MAX};

const HINT: &str = "e.g. enroll:approve:{\"enrollmentId\":\"…\"}";

/// What is done about enrolments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enroll {
    /// An app on a device asks for rights.
    Request(Box<EnrollRequest>),
    /// The owner decides.
    Decide {
        /// About which.
        id: EnrollmentId,
        /// What.
        decision: Decision,
    },
    /// Lists enrolments.
    List {
        /// Only those; all if absent.
        filter: Option<Vec<EnrollmentStatus>>,
    },
    /// Shows one.
    Fetch {
        /// Which.
        id: EnrollmentId,
    },
}

/// What an app asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollRequest {
    /// The app.
    pub app_name: String,
    /// The device that it is on.
    pub device_name: String,
    /// What it wants to do where.
    pub namespaces: Namespaces,
    /// The passcode that the owner gave it.
    pub otp: Option<String>,
    /// The key that its signatures are checked with.
    pub apkam_public_key: String,
    /// Its symmetric key, encrypted for the owner.
    pub encrypted_symmetric_key: Option<String>,
    /// The owner's keys, encrypted for the app; a first app brings its own.
    pub default_keys: Option<DefaultKeys>,
    /// How long its rights last after they are granted; for ever if absent.
    pub keys_expiry_millis: Option<i64>,
}

/// The owner's keys, encrypted for one enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultKeys {
    /// The private key that others encrypt for.
    pub encryption_private_key: String,
    /// The key of her own data.
    pub self_encryption_key: String,
}

/// What the owner decides about an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It gets what it asked for, and the owner's keys.
    Approve(DefaultKeys),
    /// It gets nothing.
    Deny,
    /// It loses what it had.
    Revoke {
        /// Even where it is the one that asks.
        force: bool,
    },
    /// It has it again.
    Unrevoke,
    /// It is forgotten.
    Delete,
}

/// The JSON behind an operation. What clients send beside it is left alone.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parameters {
    enrollment_id: Option<String>,
    app_name: Option<String>,
    device_name: Option<String>,
    namespaces: Option<Namespaces>,
    otp: Option<String>,
    apkam_public_key: Option<String>,
    #[serde(rename = "encryptedAPKAMSymmetricKey")]
    encrypted_symmetric_key: Option<String>,
    encrypted_default_encryption_private_key: Option<String>,
    encrypted_default_self_encryption_key: Option<String>,
    enrollment_status_filter: Option<Vec<EnrollmentStatus>>,
    apkam_keys_expiry_in_millis: Option<i64>,
}

impl Enroll {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let (operation, rest) = operation(args);
        let (force, json) = match grammar::strip_word(rest, "force") {
            Some(json) => (true, json),
            None => (false, rest),
        };
        if json.is_empty() && operation == "list" {
            return Ok(Self::List { filter: None });
        }
        let parameters = |is_known: bool| match (is_known, json.is_empty()) {
            (false, _) => Err(VerbError::Syntax { hint: HINT }),
            (true, true) => Err(VerbError::Arguments("Enroll parameters not provided".to_owned())),
            (true, false) => serde_json::from_str::<Parameters>(json).map_err(|_| VerbError::Json),
        };
        let is_known = OPERATIONS.contains(&operation.as_str());
        let parameters = parameters(is_known)?;
        let decide = |decision| {
            let id = parameters.id(&operation)?;
            Ok(Self::Decide { id, decision })
        };
        match operation.as_str() {
            "request" => parameters.request().map(|request| Self::Request(Box::new(request))),
            "approve" => decide(Decision::Approve(parameters.default_keys()?)),
            "deny" => decide(Decision::Deny),
            "revoke" => decide(Decision::Revoke { force }),
            "unrevoke" => decide(Decision::Unrevoke),
            "delete" => decide(Decision::Delete),
            "fetch" => Ok(Self::Fetch { id: parameters.id(&operation)? }),
            _ => Ok(Self::List { filter: parameters.enrollment_status_filter }),
        }
    }

    /// Whether somebody who has proved nothing may send this line: only requests. To be asked before
    /// the syntax is looked at.
    ///
    /// # Errors
    /// [`VerbError::Unauthenticated`].
    pub fn check_open(line: &str) -> Result<(), VerbError> {
        let (operation, _) = operation(grammar::after_head(line.trim()));
        if operation != "request" && OPERATIONS.contains(&operation.as_str()) {
            let text = format!("Cannot {operation} enrollment without authentication");
            return Err(VerbError::Unauthenticated(text));
        }
        Ok(())
    }
}

const OPERATIONS: [&str; 8] =
    ["request", "approve", "deny", "revoke", "unrevoke", "delete", "list", "fetch"];

/// The word in front, and what follows it; a colon between the two may be left out.
fn operation(args: &str) -> (String, &str) {
    let end = args.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(args.len());
    let (word, rest) = args.split_at(end);
    let word = word.chars().take(16).map(|c| c.to_ascii_lowercase()).collect();
    (word, rest.strip_prefix(':').unwrap_or(rest))
}

impl Parameters {
    fn id(&self, operation: &str) -> Result<EnrollmentId, VerbError> {
        let id = self.enrollment_id.as_deref().filter(|id| !id.is_empty());
        VerbError::enrollment_id(id.ok_or_else(|| {
            VerbError::Enrollment(format!("enrollmentId is mandatory for enroll:{operation}"))
        })?)
    }

    fn request(self) -> Result<EnrollRequest, VerbError> {
        let default_keys = self.some_default_keys()?;
        let request = EnrollRequest {
            app_name: name(self.app_name, "appName is mandatory for enroll:request")?,
            device_name: name(self.device_name, "deviceName is mandatory for enroll:request")?,
            apkam_public_key: text(
                self.apkam_public_key,
                "apkam public key is mandatory for enroll:request",
            )?,
            namespaces: self.namespaces.unwrap_or_default(),
            otp: self.otp.filter(|otp| !otp.is_empty()),
            encrypted_symmetric_key: optional(self.encrypted_symmetric_key)?,
            default_keys,
            keys_expiry_millis: expiry(self.apkam_keys_expiry_in_millis)?,
        };
        request.check_newcomer()?;
        Ok(request)
    }

    fn default_keys(&self) -> Result<DefaultKeys, VerbError> {
        let private = self.encrypted_default_encryption_private_key.clone();
        let own = self.encrypted_default_self_encryption_key.clone();
        // The id is what a client must not forget first.
        self.id("approve")?;
        Ok(DefaultKeys {
            encryption_private_key: text(
                private,
                "encryptedDefaultEncryptionPrivateKey is mandatory for enroll:approve",
            )?,
            self_encryption_key: text(
                own,
                "encryptedDefaultSelfEncryptionKey is mandatory for enroll:approve",
            )?,
        })
    }

    /// Both or none.
    fn some_default_keys(&self) -> Result<Option<DefaultKeys>, VerbError> {
        let private = optional(self.encrypted_default_encryption_private_key.clone())?;
        let own = optional(self.encrypted_default_self_encryption_key.clone())?;
        match (private, own) {
            (Some(encryption_private_key), Some(self_encryption_key)) => {
                Ok(Some(DefaultKeys { encryption_private_key, self_encryption_key }))
            }
            (None, None) => Ok(None),
            _ => Err(refused("one of the default keys is missing")),
        }
    }
}

impl EnrollRequest {
    /// Who comes with a passcode must say what for.
    fn check_newcomer(&self) -> Result<(), VerbError> {
        let Some(otp) = &self.otp else { return Ok(()) };
        if otp.len() > PASSCODE_BYTES_MAX {
            return Err(refused("invalid otp. Cannot process enroll request"));
        }
        if self.encrypted_symmetric_key.is_none() {
            return Err(refused(
                "encrypted apkam symmetric key is mandatory for new client enroll:request",
            ));
        }
        if self.namespaces.is_empty() {
            return Err(refused(
                "At least one namespace must be specified for new client enroll:request",
            ));
        }
        Ok(())
    }
}

impl Decision {
    /// The word on the wire.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Deny => "deny",
            Self::Revoke { .. } => "revoke",
            Self::Unrevoke => "unrevoke",
            Self::Delete => "delete",
        }
    }
}

fn refused(text: &str) -> VerbError {
    VerbError::Enrollment(text.to_owned())
}

/// A name that people and error texts can show.
fn name(given: Option<String>, missing: &str) -> Result<String, VerbError> {
    let name = text(given, missing)?;
    if name.len() > APP_NAME_BYTES_MAX || name.contains(char::is_control) {
        return Err(refused("appName and deviceName are short texts of one line"));
    }
    Ok(name)
}

fn text(given: Option<String>, missing: &str) -> Result<String, VerbError> {
    optional(given)?.ok_or_else(|| refused(missing))
}

fn optional(given: Option<String>) -> Result<Option<String>, VerbError> {
    match given.filter(|text| !text.is_empty()) {
        Some(text) if text.len() > ENROLLMENT_KEY_BYTES_MAX => {
            let text =
                format!("a part of an enrolment has at most {ENROLLMENT_KEY_BYTES_MAX} bytes");
            Err(VerbError::Arguments(text))
        }
        given => Ok(given),
    }
}

/// 0 is for ever, too.
fn expiry(millis: Option<i64>) -> Result<Option<i64>, VerbError> {
    match millis {
        Some(millis) if millis < 0 => {
            Err(VerbError::Arguments("apkamKeysExpiryInMillis cannot be negative".to_owned()))
        }
        millis => Ok(millis.filter(|millis| *millis > 0)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ErrorCode;
    use crate::enrollment::Access;

    fn message(args: &str) -> String {
        Enroll::parse(args).unwrap_err().message()
    }

    const FULL: &str = r#"request:{"enrollmentId":null,"appName":"wavi","deviceName":"pixel",
        "namespaces":{"Wavi":"rw","orders.shop":"r"},"otp":"A1B2C3","apkamPublicKey":"MIIB",
        "encryptedAPKAMSymmetricKey":"s","apkamKeysExpiryInMillis":5,"newMember":[1]}"#;

    #[test]
    fn a_request_is_read_into_types() {
        let Ok(Enroll::Request(request)) = Enroll::parse(FULL) else { unreachable!("{FULL}") };
        assert_eq!((&*request.app_name, &*request.device_name), ("wavi", "pixel"));
        assert_eq!(request.namespaces.get("wavi"), Some(Access::Write));
        assert_eq!(request.namespaces.get("orders.shop"), Some(Access::Read));
        assert_eq!(request.otp.as_deref(), Some("A1B2C3"));
        assert_eq!(request.keys_expiry_millis, Some(5));
        let without_colon = FULL.replacen("request:", "Request", 1);
        assert_eq!(Enroll::parse(&without_colon), Enroll::parse(FULL));
    }

    #[test]
    fn a_first_app_brings_its_keys_and_no_namespaces() {
        let line = r#"request:{"appName":"a","deviceName":"d","apkamPublicKey":"k",
            "encryptedDefaultEncryptionPrivateKey":"p","encryptedDefaultSelfEncryptionKey":"s"}"#;
        let Ok(Enroll::Request(request)) = Enroll::parse(line) else { unreachable!("{line}") };
        assert!(request.namespaces.is_empty() && request.otp.is_none());
        assert_eq!(request.default_keys.unwrap().self_encryption_key, "s");
        let half = line.replace(r#","encryptedDefaultSelfEncryptionKey":"s""#, "");
        assert_eq!(message(&half), "one of the default keys is missing");
    }

    #[test]
    fn what_is_missing_is_told_in_the_protocols_words() {
        let without = |member: &str| {
            let start = FULL.find(&format!("\"{member}\"")).unwrap();
            let end = FULL[start..].find("\",").map_or(FULL.len(), |at| start + at + 2);
            format!("{}{}", &FULL[..start], &FULL[end..])
        };
        for (member, text) in [
            ("appName", "appName is mandatory for enroll:request"),
            ("deviceName", "deviceName is mandatory for enroll:request"),
            ("apkamPublicKey", "apkam public key is mandatory for enroll:request"),
            (
                "encryptedAPKAMSymmetricKey",
                "encrypted apkam symmetric key is mandatory for new client enroll:request",
            ),
        ] {
            assert_eq!(message(&without(member)), text);
        }
        let nowhere = FULL.replace(r#""Wavi":"rw","orders.shop":"r""#, "");
        let text = "At least one namespace must be specified for new client enroll:request";
        assert_eq!(message(&nowhere), text);
        for operation in ["approve", "deny", "revoke", "unrevoke", "delete", "fetch"] {
            let text = format!("enrollmentId is mandatory for enroll:{operation}");
            assert_eq!(message(&format!("{operation}:{{}}")), text);
            let none = Enroll::parse(operation).unwrap_err();
            assert_eq!(none.code(), ErrorCode::IllegalArguments);
            assert_eq!(none.message(), "Enroll parameters not provided");
        }
        let text = "encryptedDefaultEncryptionPrivateKey is mandatory for enroll:approve";
        assert_eq!(message(r#"approve:{"enrollmentId":"1"}"#), text);
        let text = "encryptedDefaultSelfEncryptionKey is mandatory for enroll:approve";
        let half = r#"approve:{"enrollmentId":"1","encryptedDefaultEncryptionPrivateKey":"p"}"#;
        assert_eq!(message(half), text);
    }

    #[test]
    fn decisions_name_an_enrolment() {
        let decided = |line: &str| match Enroll::parse(line) {
            Ok(Enroll::Decide { id, decision }) => (id.to_string(), decision),
            other => unreachable!("{line}: {other:?}"),
        };
        let json = r#"{"enrollmentId":"A-1"}"#;
        assert_eq!(decided(&format!("deny:{json}")), ("a-1".into(), Decision::Deny));
        let revoke = |force| ("a-1".to_owned(), Decision::Revoke { force });
        assert_eq!(decided(&format!("revoke:{json}")), revoke(false));
        assert_eq!(decided(&format!("REVOKE:Force:{json}")), revoke(true));
        let unknown = Enroll::parse(r#"deny:{"enrollmentId":"a.b"}"#).unwrap_err();
        assert_eq!(unknown, VerbError::NoEnrollment("a.b".into()));
        assert_eq!(Enroll::parse("list"), Ok(Enroll::List { filter: None }));
        assert_eq!(Enroll::parse("list:{}"), Ok(Enroll::List { filter: None }));
        let filter = Some(vec![EnrollmentStatus::Denied, EnrollmentStatus::Expired]);
        let line = r#"list:{"enrollmentStatusFilter":["denied","expired"]}"#;
        assert_eq!(Enroll::parse(line), Ok(Enroll::List { filter }));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for line in ["", ":", "request:{", "bless:{}", r#"list:{"enrollmentStatusFilter":["x"]}"#] {
            assert!(Enroll::parse(line).is_err(), "{line}");
        }
        for (from, to) in [
            (r#""rw""#, r#""x""#),
            ("5,", "-5,"),
            ("5,", "5.5,"),
            ("\"pixel\"", "\"a\\nb\""),
            ("\"pixel\"", "7"),
            ("\"Wavi\"", "\"wa vi\""),
        ] {
            assert!(Enroll::parse(&FULL.replace(from, to)).is_err(), "{to}");
        }
        let long = FULL.replace("MIIB", &"k".repeat(ENROLLMENT_KEY_BYTES_MAX + 1));
        assert_eq!(Enroll::parse(&long).unwrap_err().code(), ErrorCode::IllegalArguments);
        let long = FULL.replace("A1B2C3", &"1".repeat(PASSCODE_BYTES_MAX + 1));
        assert_eq!(message(&long), "invalid otp. Cannot process enroll request");
    }

    #[test]
    fn a_stranger_may_only_request() {
        assert_eq!(Enroll::check_open("enroll:request:{"), Ok(()));
        assert_eq!(Enroll::check_open("enroll:bless"), Ok(()));
        let refused = Enroll::check_open(" enroll:List").unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Unauthenticated);
        assert_eq!(refused.message(), "Cannot list enrollment without authentication");
    }
}
