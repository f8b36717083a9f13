//! The directory's conversation, one line a request (protocol notes 1.1, 1.2, 1.5).

use std::num::NonZeroU16;

use crate::limits::DIRECTORY_ANSWER_BYTES_MAX;
use crate::{Address, AtSign, Host};

/// What the directory sends first.
pub const PROMPT: &[u8] = b"@";

/// The answer for a name that nobody has, with the next prompt.
pub const NOT_FOUND: &[u8] = b"null\r\n@";

/// One line from a client of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryRequest {
    /// Where is this identity?
    Lookup(AtSign),
    /// Not a name; answered with [`NOT_FOUND`] like a name that nobody has.
    Unknowable,
    /// An empty line; answered with [`NOT_FOUND`], but no miss: one SDK opens with it.
    Empty,
    /// `@exit`: close, without an answer.
    Exit,
}

/// What a directory said to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryAnswer {
    /// The identity's server is here.
    Found(Address),
    /// Nobody has the name.
    NotFound,
    /// The answer has not come whole yet.
    Incomplete,
    /// Neither an address nor `null`.
    Malformed,
}

impl DirectoryRequest {
    /// Reads one line. What is not UTF-8 is no name; nothing closes the connection.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(line) else { return Self::Unknowable };
        let text = text.trim();
        if text.is_empty() {
            return Self::Empty;
        }
        if text.eq_ignore_ascii_case("@exit") {
            return Self::Exit;
        }
        AtSign::parse(text).map_or(Self::Unknowable, Self::Lookup)
    }

    /// The line that asks for `name`: without `@`, as every client writes it.
    #[must_use]
    pub fn lookup_line(name: &AtSign) -> Vec<u8> {
        format!("{}\n", name.bare()).into_bytes()
    }
}

/// The answer for a name that is at `address`, with the next prompt: both must leave in one write.
#[must_use]
pub fn found(address: &Address) -> Vec<u8> {
    let mut answer = Vec::with_capacity(address.host.as_str().len() + 16);
    put_found(&mut answer, Host::from(&address.host), address.port);
    answer
}

/// The same, appended.
pub fn put_found(out: &mut Vec<u8>, host: Host<'_>, port: NonZeroU16) {
    host.put(out);
    out.push(b':');
    let mut port = port.get();
    let mut digits = [0; 5];
    let mut first = digits.len();
    while port > 0 {
        first -= 1;
        // A digit is below ten.
        digits[first] = b'0' + (port % 10) as u8;
        port /= 10;
    }
    out.extend_from_slice(&digits[first..]);
    out.extend_from_slice(b"\r\n@");
}

/// Reads what a directory has sent since our request. Prompts in front of the answer and behind it
/// are ignored, and so is whether its line ends with LF or CR-LF.
#[must_use]
pub fn parse_directory_answer(bytes: &[u8]) -> DirectoryAnswer {
    let start = bytes.iter().position(|b| *b != b'@').unwrap_or(bytes.len());
    let answer = bytes.get(start..).unwrap_or_default();
    let Some(end) = answer.iter().position(|b| *b == b'\n') else {
        let is_endless = bytes.len() > DIRECTORY_ANSWER_BYTES_MAX;
        return if is_endless { DirectoryAnswer::Malformed } else { DirectoryAnswer::Incomplete };
    };
    let line = answer.get(..end).and_then(|line| std::str::from_utf8(line).ok());
    match line.map(str::trim) {
        Some("null") => DirectoryAnswer::NotFound,
        Some(text) => {
            Address::parse(text).map_or(DirectoryAnswer::Malformed, DirectoryAnswer::Found)
        }
        None => DirectoryAnswer::Malformed,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_line_is_a_name_or_something_that_is_answered_all_the_same() {
        // Checklist 4 to 7, 10, 12.
        let lookup = |name: &str| DirectoryRequest::Lookup(AtSign::parse(name).unwrap());
        for (line, request) in [
            ("alice".as_bytes(), lookup("alice")),
            (b"ALICE", lookup("alice")),
            (b"@alice", lookup("alice")),
            (b"  alice \r", lookup("alice")),
            ("alice🛠".as_bytes(), lookup("alice🛠")),
            ("🛠\u{fe0f}".as_bytes(), lookup("🛠\u{fe0f}")),
            (b"", DirectoryRequest::Empty),
            (b" \r", DirectoryRequest::Empty),
            (b"@exit", DirectoryRequest::Exit),
            (b"exit", lookup("exit")),
            (b"@", DirectoryRequest::Unknowable),
            (b"a b", DirectoryRequest::Unknowable),
            (b"a@b", DirectoryRequest::Unknowable),
            (b"from:@alice", DirectoryRequest::Unknowable),
            (b"\xff\xfe", DirectoryRequest::Unknowable),
            ("🛠".as_bytes().get(..3).unwrap(), DirectoryRequest::Unknowable),
        ] {
            assert_eq!(DirectoryRequest::parse(line), request, "{line:?}");
        }
    }

    #[test]
    fn an_answer_comes_with_the_next_prompt_and_is_understood() {
        // Checklist 2, 5.
        let address = Address::parse("localhost:25000").unwrap();
        assert_eq!(found(&address), b"localhost:25000\r\n@");
        assert_eq!(parse_directory_answer(&found(&address)), DirectoryAnswer::Found(address));
        assert_eq!(parse_directory_answer(NOT_FOUND), DirectoryAnswer::NotFound);
        assert_eq!(DirectoryRequest::lookup_line(&AtSign::parse("@Alice").unwrap()), b"alice\n");
    }

    #[test]
    fn other_directories_are_understood_too() {
        let found = |text: &str| DirectoryAnswer::Found(Address::parse(text).unwrap());
        for (bytes, answer) in [
            (&b"@host:64\n"[..], found("host:64")),
            (b"@@host:64\n@", found("host:64")),
            (b"@null\n@", DirectoryAnswer::NotFound),
            (b"", DirectoryAnswer::Incomplete),
            (b"@", DirectoryAnswer::Incomplete),
            (b"host:6", DirectoryAnswer::Incomplete),
            (b"host\n@", DirectoryAnswer::Malformed),
            (b"::1:64\n@", DirectoryAnswer::Malformed),
            (b"host:0\n@", DirectoryAnswer::Malformed),
            (b"\xff\n", DirectoryAnswer::Malformed),
            (b"\r\n@", DirectoryAnswer::Malformed),
            (&[b'x'; 513], DirectoryAnswer::Malformed),
        ] {
            assert_eq!(parse_directory_answer(bytes), answer, "{bytes:?}");
        }
    }
}
