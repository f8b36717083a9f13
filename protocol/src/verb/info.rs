//! `info[:brief]` (protocol notes 5.19).

pub(super) fn is_brief(args: &str) -> bool {
    args.eq_ignore_ascii_case("brief")
}
