//! Entries of a stream, as XREAD and XREVRANGE answer them.

use ::redis::Value;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The first half of its id.
    pub number: u64,
    /// The value of its one field.
    pub bytes: Vec<u8>,
}

/// The first entry of an answer of XREVRANGE, or of XREAD for one stream; none if there is none, or
/// it has another form.
#[must_use]
pub fn first_entry(answer: &Value) -> Option<Entry> {
    let [head, rest, ..] = array(array(answer)?.first()?)? else { return None };
    let Value::BulkString(head) = head else { return None };
    let rest = array(rest)?;
    // XREAD puts the stream's key in front, and the entries behind it.
    if let Some(Value::Array(_)) = rest.first() {
        return entry(rest.first()?);
    }
    made(head, rest)
}

fn entry(value: &Value) -> Option<Entry> {
    let [Value::BulkString(id), fields, ..] = array(value)? else { return None };
    made(id, array(fields)?)
}

fn made(id: &[u8], fields: &[Value]) -> Option<Entry> {
    let number = std::str::from_utf8(id).ok()?.split('-').next()?.parse().ok()?;
    let [_, Value::BulkString(bytes)] = fields else { return None };
    Some(Entry { number, bytes: bytes.clone() })
}

fn array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn both_forms_are_read_and_others_are_none() {
        let one = Value::Array(vec![bulk("7-0"), Value::Array(vec![bulk("b"), bulk("x")])]);
        let range = Value::Array(vec![one]);
        let read = Value::Array(vec![Value::Array(vec![bulk("key"), range.clone()])]);
        let wanted = Some(Entry { number: 7, bytes: b"x".to_vec() });
        assert_eq!((first_entry(&range), first_entry(&read)), (wanted.clone(), wanted));
        let empty = Value::Array(Vec::new());
        let nothing = Value::Array(vec![Value::Array(vec![bulk("key"), empty.clone()])]);
        let fields = Value::Array(vec![bulk("b")]);
        let odd = Value::Array(vec![Value::Array(vec![bulk("7-0"), fields])]);
        let no_id = Value::Array(vec![Value::Array(vec![
            bulk("x-0"),
            Value::Array(vec![bulk("b"), bulk("x")]),
        ])]);
        for none in [Value::Nil, empty, nothing, odd, no_id, bulk("7-0")] {
            assert_eq!(first_entry(&none), None, "{none:?}");
        }
    }
}
