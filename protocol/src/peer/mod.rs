//! What another personal server answers us (protocol notes 4.5).

use crate::limits::PEER_LINE_BYTES_MAX;
use crate::line::{LineDecoder, LineTooLong};
use crate::{AtSign, ErrorCode};

/// One line of another server, without the prompts in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerLine {
    /// `data:` and this.
    Data(String),
    /// `error:` in either shape.
    Error {
        /// The code, if we know it.
        code: Option<ErrorCode>,
        /// What stands behind it.
        text: String,
    },
    /// Nothing but a prompt: the atSign as which we are authenticated, none while we are not.
    Prompt(Option<AtSign>),
    /// Anything else; the conversation cannot go on.
    Malformed,
}

/// The answer to our `from`: what we must sign, and where the other will look for the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolChallenge {
    /// The other's session, such as `_9c2f…`, with its underscore: the entity of the key under
    /// which the signature must be readable.
    pub session: String,
    /// Our name, as the other took it.
    pub name: AtSign,
    /// The text to sign.
    pub challenge: String,
}

/// Collects what another server sends on one connection.
#[derive(Debug)]
pub struct PeerDecoder {
    lines: LineDecoder,
}

impl Default for PeerDecoder {
    fn default() -> Self {
        Self { lines: LineDecoder::new(PEER_LINE_BYTES_MAX) }
    }
}

impl PeerDecoder {
    /// Makes one for lines of at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { lines: LineDecoder::new(bytes_max) }
    }

    /// Takes what one read brought.
    ///
    /// # Errors
    /// [`LineTooLong`]: the connection cannot be read any further.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), LineTooLong> {
        self.lines.push(bytes)
    }

    /// The next whole line. The prompt that came behind the line before is not part of it.
    pub fn next_line(&mut self) -> Option<PeerLine> {
        self.lines.next_line().map(|line| PeerLine::parse(&line))
    }

    /// Whether something without line end has come that is a prompt, as at the very beginning.
    #[must_use]
    pub fn is_prompted(&self) -> bool {
        let rest = self.lines.unfinished_line();
        rest.len() == 1 && rest.starts_with(b"@") || rest.len() > 2 && rest.ends_with(b"@")
    }

    /// Whether the last that came is the prompt `@name@`: the answer to a `pol` that succeeded. The
    /// prompt behind the answer before may stand in front of it.
    #[must_use]
    pub fn is_prompted_as(&self, name: &AtSign) -> bool {
        let rest = self.lines.unfinished_line();
        let own =
            rest.strip_suffix(b"@").and_then(|rest| rest.strip_suffix(name.bare().as_bytes()));
        matches!(own, Some(b"@" | b"@@"))
    }
}

impl PeerLine {
    /// Reads one line without its line end.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(line) else { return Self::Malformed };
        let (prompt, text) = split_prompts(text);
        if let Some(data) = text.strip_prefix("data:") {
            return Self::Data(data.to_owned());
        }
        if let Some(error) = text.strip_prefix("error:") {
            return Self::error(error);
        }
        match prompt {
            Some(prompt) if text.is_empty() => {
                Self::Prompt(prompt.strip_suffix('@').and_then(|name| AtSign::parse(name).ok()))
            }
            _ => Self::Malformed,
        }
    }

    fn error(error: &str) -> Self {
        if error.starts_with('{') {
            let Ok(json) = serde_json::from_str::<serde_json::Value>(error) else {
                return Self::Malformed;
            };
            let member = |name| json.get(name).and_then(serde_json::Value::as_str);
            let code = member("errorCode").and_then(ErrorCode::from_code);
            return Self::Error { code, text: member("errorDescription").unwrap_or("").to_owned() };
        }
        // `AT0015-text`, and for enrolments `AT0026:text`.
        let (code, text) = error.split_at(error.find(['-', ':']).unwrap_or(error.len()));
        match ErrorCode::from_code(code.trim()) {
            Some(code) => {
                Self::Error { code: Some(code), text: text.get(1..).unwrap_or("").to_owned() }
            }
            None => Self::Error { code: None, text: error.to_owned() },
        }
    }
}

/// Takes all prompts, `@` and `@name@`, off the front; gives the last back without its first `@`.
/// One that nobody has read yet may stand in front of another.
fn split_prompts(text: &str) -> (Option<&str>, &str) {
    let (mut prompt, mut rest) = (None, text);
    while let Some(tail) = rest.strip_prefix('@') {
        let is_open =
            tail.is_empty() || ["@", "data:", "error:"].iter().any(|start| tail.starts_with(start));
        rest = match tail.find('@') {
            _ if is_open => {
                prompt = Some("");
                tail
            }
            Some(end) => {
                prompt = tail.get(..=end);
                tail.get(end + 1..).unwrap_or_default()
            }
            None => break,
        };
    }
    (prompt, rest)
}

impl PolChallenge {
    /// Reads the data of the answer: `proof:<session>@name:<challenge>`.
    #[must_use]
    pub fn parse(data: &str) -> Option<Self> {
        let (key, challenge) = data.strip_prefix("proof:")?.split_once(':')?;
        let (session, name) = key.split_once('@')?;
        let challenge = challenge.trim();
        // Both go into a key or under a signature; a real one has 37 characters.
        let is_plain = |text: &str| {
            (1..=128).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !is_plain(session) || !is_plain(challenge) {
            return None;
        }
        let name = AtSign::parse(name).ok()?;
        Some(Self { session: session.to_owned(), name, challenge: challenge.to_owned() })
    }
}

#[cfg(test)]
mod tests;
