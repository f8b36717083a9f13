//! Dates inside metadata: the wire's text, with a space and exactly three fraction digits.

/// A date that must be there.
pub(super) mod required {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::Timestamp;

    pub(in crate::metadata) fn serialize<S: Serializer>(
        date: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(date)
    }

    pub(in crate::metadata) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Timestamp::from_wire(&text).ok_or_else(|| de::Error::custom("not a date"))
    }
}

/// A date that may be absent, null, or the text `null`.
pub(super) mod optional {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::Timestamp;

    // serde's `with` asks for exactly this shape.
    #[allow(clippy::ref_option)]
    pub(in crate::metadata) fn serialize<S: Serializer>(
        date: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match date {
            Some(date) => serializer.collect_str(date),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::metadata) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            None => Ok(None),
            Some(text) if text == "null" => Ok(None),
            Some(text) => {
                Timestamp::from_wire(&text).map(Some).ok_or_else(|| de::Error::custom("not a date"))
            }
        }
    }
}
