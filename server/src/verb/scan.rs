//! `scan`: lists keys (the protocol's section 5.8).

use protocol::response::Answer;
use protocol::verb::Scan;
use protocol::{AtSign, Timestamp};

use super::Pattern;
use crate::refusal::Refusal;
use crate::rights::Rights;
use crate::view::View;

/// Names that the owner sees only if she asks for hidden ones, and names that nobody sees.
const INNER: [&str; 2] = ["private:", "privatekey:"];

/// What the owner sees: all keys but the server's own, hidden ones if asked for.
pub(crate) fn as_owner(
    view: &mut View<'_>,
    rights: &Rights,
    scan: &Scan,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    let is_seen = |name: &str| {
        let is_hidden = name.starts_with("public:_") || name.starts_with('_');
        let is_shown = name.starts_with("public:__") || name.starts_with('_');
        let is_inner = INNER.iter().any(|prefix| name.starts_with(prefix));
        !is_inner && (!is_hidden || (scan.show_hidden && is_shown)) && rights.sees(name)
    };
    list(view, "", scan, now, is_seen)
}

/// What another identity's server sees: what is shared with it, without its name in front.
pub(crate) fn as_peer(
    view: &mut View<'_>,
    peer: &AtSign,
    scan: &Scan,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    list(view, &format!("{peer}:"), scan, now, |_| true)
}

/// What anybody sees: public keys, without `public:` in front.
pub(crate) fn as_anybody(
    view: &mut View<'_>,
    scan: &Scan,
    now: Timestamp,
) -> Result<Answer, Refusal> {
    list(view, "public:", scan, now, |name| !name.starts_with("public:_"))
}

/// What another shares with the owner, as far as her connection may see it.
pub(crate) fn shared(rights: &Rights, identity: &AtSign, names: Answer) -> Answer {
    let Some(_) = rights.grant() else { return names };
    let listed = match &names {
        Answer::Data(json) => serde_json::from_str::<Vec<String>>(json).unwrap_or_default(),
        _ => Vec::new(),
    };
    let is_seen = |name: &&String| rights.sees(&format!("{identity}:{name}"));
    let seen: Vec<_> = listed.iter().filter(is_seen).collect();
    // A list of texts always serialises.
    Answer::Data(serde_json::to_string(&seen).unwrap_or_default())
}

/// The line that asks `scan.of`'s server for what it shares with us.
pub(crate) fn question(scan: &Scan) -> String {
    match &scan.regex {
        Some(regex) => format!("scan {regex}\n"),
        None => "scan\n".to_owned(),
    }
}

/// The expression is matched against the whole key; the prefix is taken off what is listed.
fn list(
    view: &mut View<'_>,
    prefix: &str,
    scan: &Scan,
    now: Timestamp,
    is_seen: impl Fn(&str) -> bool,
) -> Result<Answer, Refusal> {
    let pattern = Pattern::compile(scan.regex.as_deref())?;
    let names = view.names(prefix, now)?;
    let seen: Vec<&str> = names
        .iter()
        .filter(|name| is_seen(name) && pattern.is_match(name))
        .filter_map(|name| name.strip_prefix(prefix))
        .collect();
    // A list of texts always serialises.
    Ok(Answer::Data(serde_json::to_string(&seen).unwrap_or_default()))
}
