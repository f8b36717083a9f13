//! `from:@name[:clientConfig:{…}]` (protocol notes 2.5, 4.1).

use serde_json::Value;

use super::{VerbError, grammar};
use crate::AtSign;
use crate::response::ErrorShape;

const HINT: &str = "e.g. from:@alice";

/// Says who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// Who.
    pub name: AtSign,
    /// How this client wants its errors, as its version tells.
    pub error_shape: ErrorShape,
}

impl From {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let (name, config) = match args.split_once(':') {
            None => (args, None),
            Some((name, rest)) => (name, Some(client_config(rest)?)),
        };
        let name = grammar::at_sign(name, HINT)?;
        let error_shape = match config {
            Some(json) => error_shape(json)?,
            None => ErrorShape::Classic,
        };
        Ok(Self { name, error_shape })
    }
}

fn client_config(rest: &str) -> Result<&str, VerbError> {
    grammar::strip_word(rest, "clientConfig").ok_or(VerbError::Syntax { hint: HINT })
}

/// Errors are JSON for versions after 3.0.37. A version that is absent or cannot be read counts as
/// not given.
fn error_shape(json: &str) -> Result<ErrorShape, VerbError> {
    let config: Value = serde_json::from_str(json).map_err(|_| VerbError::Json)?;
    let version = config.get("version").and_then(Value::as_str).and_then(version);
    let is_new = version.is_some_and(|version| version > (3, 0, 37));
    Ok(if is_new { ErrorShape::Json } else { ErrorShape::Classic })
}

fn version(text: &str) -> Option<(u32, u32, u32)> {
    let core = text.split(['-', '+']).next()?;
    let mut parts = core.split('.').map(|part| part.parse::<u32>().ok());
    let version = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(version)
}
