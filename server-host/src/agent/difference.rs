//! Where a service is not what it is to be.

use serde_json::{Map, Value};

/// What an engine fills in by itself, as the last word of a path and the value.
const FILLED_IN: [(&str, &str); 2] = [("Isolation", "default"), ("Runtime", "container")];

/// Counts what an operator asked for by hand and what is no part of the service's nature.
const NOT_OURS: [&str; 1] = ["TaskTemplate.ForceUpdate"];

/// The paths at which `has` is not what `wants` says. What `wants` leaves out must be nothing, or
/// what an engine fills in. Only paths are told: a value may be anything that somebody typed.
#[must_use]
pub fn difference(wants: &Value, has: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(Some(wants), Some(has), "", &mut found);
    found
}

fn walk(wants: Option<&Value>, has: Option<&Value>, path: &str, found: &mut Vec<String>) {
    if NOT_OURS.contains(&path) {
        return;
    }
    let (wants, has) = (wants.unwrap_or(&Value::Null), has.unwrap_or(&Value::Null));
    let none = Map::new();
    let both = match (wants, has) {
        (Value::Object(wanted), Value::Object(had)) => Some((wanted, had)),
        (Value::Object(wanted), Value::Null) => Some((wanted, &none)),
        (Value::Null, Value::Object(had)) => Some((&none, had)),
        _ => None,
    };
    if let Some((wanted, had)) = both {
        for (key, value) in wanted {
            walk(Some(value), find(had, key), &join(path, key), found);
        }
        for (key, value) in had.iter().filter(|(key, _)| find(wanted, key).is_none()) {
            walk(None, Some(value), &join(path, key), found);
        }
        return;
    }
    let is_same = match (wants, has) {
        (Value::Array(wanted), Value::Array(had)) if wanted.len() == had.len() => {
            wanted.iter().zip(had).all(|(wants, has)| difference(wants, has).is_empty())
        }
        _ => wants == has || (is_nothing(wants) && (is_nothing(has) || is_filled_in(path, has))),
    };
    if !is_same {
        found.push(path.to_owned());
    }
}

/// Engines read keys in any case, and write `Healthcheck` where their own description says
/// `HealthCheck`.
fn find<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let named = || object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    object.get(key).or_else(|| named().map(|(_, value)| value))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.values().all(is_nothing),
    }
}

fn is_filled_in(path: &str, has: &Value) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default();
    FILLED_IN.iter().any(|(known, value)| name == *known && has == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_out_must_be_nothing_or_the_engines_own() {
        let wants = json!({"Name": "a", "Task": {"Image": "x", "Env": ["A=1"]}, "N": 0});
        let same = [
            wants.clone(),
            json!({"Name": "a", "Task": {"Image": "x", "Env": ["A=1"], "Isolation": "default",
                "DNSConfig": {}, "Privileges": {"SELinuxContext": null}, "Init": false}}),
            json!({"Name": "a", "Task": {"Image": "x", "Env": ["A=1"]}, "N": 0.0,
                "TaskTemplate": {"ForceUpdate": 3, "Runtime": "container"}}),
        ];
        for has in same {
            assert_eq!(difference(&wants, &has), Vec::<String>::new(), "{has}");
        }
        assert!(difference(&json!({"HealthCheck": 1}), &json!({"Healthcheck": 1})).is_empty());
        let other = [
            (json!({"Name": "b", "Task": {"Image": "x", "Env": ["A=1"]}}), "Name"),
            (json!({"Name": "a", "Task": {"Image": "y", "Env": ["A=1"]}}), "Task.Image"),
            (json!({"Name": "a", "Task": {"Image": "x", "Env": ["A=1", "B=2"]}}), "Task.Env"),
            (json!({"Name": "a", "Task": {"Image": "x", "Env": ["A=2"]}}), "Task.Env"),
            (json!({"Name": "a", "Task": {"Image": "x", "Env": ["A=1"], "Dir": "/"}}), "Task.Dir"),
            (json!({"Name": "a", "Task": "x"}), "Task"),
        ];
        for (has, path) in other {
            assert_eq!(difference(&wants, &has), [path], "{has}");
        }
        assert_eq!(difference(&wants, &json!({"Name": "a"})), ["Task.Image", "Task.Env"]);
        assert_eq!(difference(&wants, &json!("nonsense")), [""]);
    }
}
