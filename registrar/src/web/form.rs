//! That a form comes from this page, in this browser, and not long after it was shown.
//!
//! A form carries the id of the registration it will make, so that sending it twice leads to one
//! identity and shows the same secret again. Whoever knows that id could ask for the secret too;
//! so the id is sealed together with a cookie that only this browser has, and an id that somebody
//! else chose is refused.

use axum::http::{HeaderMap, Uri, header};
use protocol::{RegistrationId, Timestamp};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::limits::FORM_AGE_MS_MAX;
use crate::opening::random;
use crate::secret::ActivationKey;

/// The prefix makes browsers take the cookie only over HTTPS from this very host.
const COOKIE: &str = "__Host-warren-form";

/// What a browser sends. It may hold the admin token, so it cannot be printed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    pub(super) identity: String,
    pub(super) token: String,
    registration: String,
    issued: String,
    seal: String,
}

/// What a form carries besides what is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) registration: RegistrationId,
    pub(super) issued: Timestamp,
    pub(super) seal: String,
}

/// What ties a browser's forms to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Browser([u8; 16]);

impl Browser {
    /// The browser that sent these headers, if it was here before.
    pub(super) fn known(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|c| c.to_str().ok());
        let mut pairs =
            cookies.flat_map(|line| line.split(';')).filter_map(|c| c.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == COOKIE)?;
        let mut bytes = [0; 16];
        hex::decode_to_slice(value, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// A browser that was not here before.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        random().map(Self)
    }

    /// The header's value that makes it known.
    pub(super) fn cookie(self) -> String {
        format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict", hex::encode(self.0))
    }

    /// A form for a registration of its own.
    pub(super) fn form(
        self,
        key: &ActivationKey,
        now: Timestamp,
    ) -> Result<Hidden, getrandom::Error> {
        let registration = RegistrationId::from_bytes(random()?);
        let seal = hex::encode(self.seal(key, registration, now));
        Ok(Hidden { registration, issued: now, seal })
    }

    /// The hidden part of what was sent, if this registrar made it for this browser and it is not
    /// too old.
    pub(super) fn check(self, key: &ActivationKey, sent: &Sent, now: Timestamp) -> Option<Hidden> {
        let registration = sent.registration.parse().ok()?;
        let issued = Timestamp(sent.issued.parse().ok()?);
        let mut seal = [0; 32];
        hex::decode_to_slice(&sent.seal, &mut seal).ok()?;
        let is_ours: bool = self.seal(key, registration, issued).ct_eq(&seal).into();
        let is_fresh = now < issued.plus_millis(FORM_AGE_MS_MAX);
        (is_ours && is_fresh).then(|| Hidden { registration, issued, seal: sent.seal.clone() })
    }

    fn seal(
        self,
        key: &ActivationKey,
        registration: RegistrationId,
        issued: Timestamp,
    ) -> [u8; 32] {
        key.seal(&[&self.0, registration.as_bytes(), &issued.0.to_be_bytes()])
    }
}

/// Whether a browser says that the request comes from this very site. Every browser says so with
/// each form it posts.
pub(super) fn is_from_here(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return false;
    }
    let host = text("host").or(uri.authority().map(axum::http::uri::Authority::as_str));
    let origin = text("origin").and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn sent(hidden: &Hidden) -> Sent {
        Sent {
            registration: hidden.registration.to_string(),
            issued: hidden.issued.0.to_string(),
            seal: hidden.seal.clone(),
            ..Sent::default()
        }
    }

    #[test]
    fn a_form_is_good_in_its_browser_for_its_time() {
        let key = ActivationKey::new(&[1; 32]);
        let (browser, other) = (Browser::new().unwrap(), Browser::new().unwrap());
        let form = browser.form(&key, NOW).unwrap();
        assert_eq!(browser.check(&key, &sent(&form), NOW), Some(form.clone()));
        assert_eq!(other.check(&key, &sent(&form), NOW), None);
        assert_eq!(browser.check(&ActivationKey::new(&[2; 32]), &sent(&form), NOW), None);
        let last = NOW.plus_millis(FORM_AGE_MS_MAX - 1);
        assert!(browser.check(&key, &sent(&form), last).is_some());
        assert_eq!(browser.check(&key, &sent(&form), last.plus_millis(1)), None);
    }

    #[test]
    fn nothing_in_a_form_can_be_changed() {
        let key = ActivationKey::new(&[1; 32]);
        let browser = Browser::new().unwrap();
        let (form, other) = (browser.form(&key, NOW).unwrap(), browser.form(&key, NOW).unwrap());
        let fields = [
            Sent { registration: other.registration.to_string(), ..sent(&form) },
            Sent { issued: "1000001".into(), ..sent(&form) },
            Sent { seal: other.seal.clone(), ..sent(&form) },
            Sent { seal: String::new(), ..sent(&form) },
            Sent { registration: String::new(), ..sent(&form) },
        ];
        for (index, sent) in fields.iter().enumerate() {
            assert_eq!(browser.check(&key, sent, NOW), None, "{index}");
        }
    }

    #[test]
    fn a_browser_is_known_by_its_cookie() {
        let browser = Browser::new().unwrap();
        let cookie = browser.cookie();
        let pair = cookie.split(';').next().unwrap();
        assert_eq!(Browser::known(&headers(&[("cookie", &format!("a=b; {pair}"))])), Some(browser));
        for other in ["", "a=b", "__Host-warren-form=zz", "__Host-warren-form"] {
            assert_eq!(Browser::known(&headers(&[("cookie", other)])), None, "{other}");
        }
    }

    #[test]
    fn a_form_from_another_site_is_recognised() {
        let uri = Uri::from_static("/register");
        let host = ("host", "localhost:8443");
        let here = ("origin", "https://localhost:8443");
        assert!(is_from_here(&headers(&[host, here]), &uri));
        assert!(is_from_here(&headers(&[host, here, ("sec-fetch-site", "same-origin")]), &uri));
        for other in [
            vec![host],
            vec![host, ("origin", "null")],
            vec![host, ("origin", "https://evil.example")],
            vec![host, ("origin", "https://localhost:8444")],
            vec![host, here, ("sec-fetch-site", "cross-site")],
            vec![host, here, ("sec-fetch-site", "same-site")],
            vec![here],
        ] {
            assert!(!is_from_here(&headers(&other), &uri), "{other:?}");
        }
    }
}
