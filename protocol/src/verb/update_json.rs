//! `update:json:{…}`: the same command as one JSON object (protocol notes 5.3).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Update, VerbError, update};
use crate::{AtSign, MetadataPatch};

const HINT: &str =
    "e.g. update:json:{\"atKey\":\"phone.wavi\",\"value\":\"x\",\"sharedBy\":\"@alice\"}";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    at_key: String,
    value: Value,
    shared_by: Option<String>,
    shared_with: Option<String>,
    metadata: Option<Map<String, Value>>,
}

pub(super) fn parse(json: &str) -> Result<Update, VerbError> {
    let parameters: Parameters = serde_json::from_str(json).map_err(|_| VerbError::Json)?;
    let flag = |name: &str| {
        parameters.metadata.as_ref().and_then(|m| m.get(name)).and_then(Value::as_bool)
            == Some(true)
    };
    let mut text = String::new();
    if flag("isCached") {
        text.push_str("cached:");
    }
    if flag("isPublic") {
        text.push_str("public:");
    } else if let Some(with) = parameters.shared_with.as_deref().filter(|with| !with.is_empty()) {
        text.push_str(&format!("{}:", AtSign::parse(with)?));
    }
    text.push_str(&parameters.at_key);
    if let Some(owner) = parameters.shared_by.as_deref().filter(|owner| !owner.is_empty()) {
        text.push_str(&AtSign::parse(owner)?.to_string());
    }
    let key = update::writable_key(&text, HINT)?;
    let value = scalar(&parameters.value).ok_or(VerbError::Json)?;
    if value.is_empty() || value.contains('\n') {
        return Err(VerbError::Syntax { hint: HINT });
    }
    Ok(Update { key, value, patch: patch(parameters.metadata.unwrap_or_default())? })
}

fn patch(members: Map<String, Value>) -> Result<MetadataPatch, VerbError> {
    let mut patch = MetadataPatch::default();
    for (name, value) in members {
        if let Some(text) = scalar(&value) {
            // Members that are no metadata part, such as `isPublic`, are not stored.
            patch.take(&name, &text)?;
        }
    }
    Ok(patch)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
