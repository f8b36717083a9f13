//! As much of JSON Schema as the document of the HTTPS front uses, and nothing beyond: a keyword
//! that is not known here fails rather than pass for checked.

use serde_json::{Map, Value};

/// Says nothing about a value.
const SILENT: [&str; 2] = ["description", "title"];

/// What `$ref` leads to, if there is one.
pub fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("a reference into the document");
            resolve(document, document.pointer(pointer).expect(reference))
        }
        None => value,
    }
}

/// Checks a value against a schema; tells where it does not fit.
pub fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolve(document, schema).as_object().expect("a schema is an object");
    for (keyword, rule) in schema {
        let fits = match keyword.as_str() {
            "type" => is_of(rule, value),
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "pattern" => value.as_str().is_none_or(|text| fits(rule.as_str().unwrap(), text)),
            "minLength" => value.as_str().is_none_or(|text| number(rule) <= length(text)),
            "minimum" => value.as_u64().is_none_or(|value| number(rule) <= value),
            "maximum" => value.as_u64().is_none_or(|value| number(rule) >= value),
            "maxItems" => value.as_array().is_none_or(|items| number(rule) >= items.len() as u64),
            "required" => value.as_object().is_none_or(|object| has_all(object, rule)),
            "properties" | "additionalProperties" => true,
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    check(document, rule, item)?;
                }
                true
            }
            "allOf" => {
                for part in rule.as_array().unwrap() {
                    check(document, part, value)?;
                }
                true
            }
            silent if SILENT.contains(&silent) => true,
            unknown => panic!("the keyword {unknown} is not known here"),
        };
        if !fits {
            return Err(format!("{value} breaks {keyword}: {rule}"));
        }
    }
    value.as_object().map_or(Ok(()), |object| check_members(document, schema, object))
}

fn check_members(
    document: &Value,
    schema: &Map<String, Value>,
    object: &Map<String, Value>,
) -> Result<(), String> {
    for (name, member) in object {
        let known = schema.get("properties").and_then(|properties| properties.get(name));
        match (known, schema.get("additionalProperties")) {
            (Some(known), _) => check(document, known, member)?,
            (None, Some(Value::Bool(false))) => return Err(format!("{name} is not in the schema")),
            (None, Some(other)) => check(document, other, member)?,
            (None, None) => {}
        }
    }
    Ok(())
}

fn number(rule: &Value) -> u64 {
    rule.as_u64().unwrap()
}

fn length(text: &str) -> u64 {
    text.chars().count() as u64
}

fn has_all(object: &Map<String, Value>, names: &Value) -> bool {
    names.as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap()))
}

fn is_of(kinds: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    };
    kinds.as_array().map_or_else(|| is(kinds), |kinds| kinds.iter().any(is))
}

/// The handful of patterns that the document has.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern {
        "^@[^@]+$" => text.strip_prefix('@').is_some_and(|b| !b.is_empty() && !b.contains('@')),
        "^[0-9a-f]{32}$" => {
            text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        }
        "^urn:warren:problem:[a-z-]+$" => {
            let kind = text.strip_prefix("urn:warren:problem:");
            kind.is_some_and(|k| {
                !k.is_empty() && k.bytes().all(|b| b == b'-' || b.is_ascii_lowercase())
            })
        }
        "^\"[^\"]+\"$" => {
            let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            inner.is_some_and(|inner| !inner.is_empty() && !inner.contains('"'))
        }
        other => panic!("the pattern {other} is not known here"),
    }
}
