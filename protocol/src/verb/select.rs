//! Which verb a line asks for (protocol notes 2.2, 5.1).

use super::Verb;

/// The first word decides. What stands before the first `:` may contain blanks and capitals.
pub(super) fn verb(line: &str) -> Option<Verb> {
    let line = line.trim();
    // A regular expression may follow these two after a blank, and may contain a colon.
    let word = line.split([' ', ':']).next().unwrap_or_default();
    if word.eq_ignore_ascii_case("scan") {
        return Some(Verb::Scan);
    }
    if word.eq_ignore_ascii_case("monitor") {
        return Some(Verb::Monitor);
    }
    match line.split_once(':') {
        None => without_arguments(line),
        Some((head, args)) => with_arguments(&compact(head), args),
    }
}

fn without_arguments(line: &str) -> Option<Verb> {
    if line.eq_ignore_ascii_case("pol") {
        Some(Verb::Pol)
    } else if line.eq_ignore_ascii_case("info") {
        Some(Verb::Info)
    } else if line.eq_ignore_ascii_case("stats") {
        Some(Verb::Stats)
    } else {
        None
    }
}

fn with_arguments(head: &str, args: &str) -> Option<Verb> {
    match head {
        "from" => Some(Verb::From),
        "cram" => Some(Verb::Cram),
        "pkam" => Some(Verb::Pkam),
        "update" if starts_with_part(args, "meta") => Some(Verb::UpdateMeta),
        "update" => Some(Verb::Update),
        "llookup" => Some(Verb::Llookup),
        "plookup" => Some(Verb::Plookup),
        "lookup" => Some(Verb::Lookup),
        "delete" => Some(Verb::Delete),
        "stats" => Some(Verb::Stats),
        "config" => Some(Verb::Config),
        "batch" => Some(Verb::Batch),
        "sync" if is_part(args, "from") => Some(Verb::SyncFrom),
        "notify" => notify(args),
        "info" if args.eq_ignore_ascii_case("brief") => Some(Verb::Info),
        "noop" => Some(Verb::Noop),
        "enroll" => Some(Verb::Enroll),
        "otp" => Some(Verb::Otp),
        "keys" => Some(Verb::Keys),
        _ => None,
    }
}

fn notify(args: &str) -> Option<Verb> {
    let word = args.split([' ', ':']).next().unwrap_or_default();
    match compact(word).as_str() {
        "list" => Some(Verb::NotifyList),
        "status" => Some(Verb::NotifyStatus),
        "fetch" => Some(Verb::NotifyFetch),
        "remove" => Some(Verb::NotifyRemove),
        "all" => Some(Verb::NotifyAll),
        _ => Some(Verb::Notify),
    }
}

fn starts_with_part(args: &str, part: &str) -> bool {
    args.split_once(':').is_some_and(|(first, _)| first.eq_ignore_ascii_case(part))
}

/// Whether the arguments are this word, or begin with it and a colon.
fn is_part(args: &str, part: &str) -> bool {
    args.eq_ignore_ascii_case(part) || starts_with_part(args, part)
}

/// The first letters without blanks and in lower case; no verb has more than these.
fn compact(head: &str) -> String {
    head.chars().filter(|c| *c != ' ').take(16).map(|c| c.to_ascii_lowercase()).collect()
}
