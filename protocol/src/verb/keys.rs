//! `keys:<put|get|delete>…`: the keys that an enrolment keeps for itself (protocol notes 5.20).

use super::VerbError;
use crate::AtSign;
use crate::enrollment::Namespace;
use crate::key::AtKey;
use crate::limits::KEY_UNITS_MAX;

const HINT: &str =
    "e.g. keys:put:self:namespace:__global:appName:a:deviceName:d:keyType:t:keyName:k <value>";

/// Longest word of one part, in bytes.
const PART_BYTES_MAX: usize = 256;

/// Keeps, shows or forgets key material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Keeps a key.
    Put(Box<KeysPut>),
    /// The names of the caller's own keys.
    List {
        /// Of this kind; without one, none.
        visibility: Option<Visibility>,
    },
    /// What is kept under a whole name.
    Get {
        /// Which.
        name: String,
    },
    /// Forgets what is kept under a whole name.
    Delete {
        /// Which.
        name: String,
    },
}

/// A key to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysPut {
    /// For whom.
    pub visibility: Visibility,
    /// Where.
    pub namespace: Namespace,
    /// Its name in front of what the kind adds: `app.device.name`, or only the name if public.
    pub name: String,
    /// What kind of key it is, such as `aes256`.
    pub key_type: Option<String>,
    /// Name of the key that encrypts it.
    pub encryption_key_name: Option<String>,
    /// The key.
    pub value: String,
}

/// Who may see a key that an enrolment keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Anybody.
    Public,
    /// The enrolment.
    Private,
    /// The enrolment.
    SelfKey,
}

/// The parts in front of the value.
#[derive(Default)]
struct Parts<'a> {
    visibility: Option<Visibility>,
    namespace: Option<&'a str>,
    app_name: Option<&'a str>,
    device_name: Option<&'a str>,
    key_type: Option<&'a str>,
    encryption_key_name: Option<&'a str>,
    key_name: Option<&'a str>,
    value: &'a str,
}

const SYNTAX: VerbError = VerbError::Syntax { hint: HINT };

impl Keys {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let (operation, rest) = args.split_once(':').unwrap_or((args, ""));
        let parts = Parts::parse(rest)?;
        let name = || parts.key_name.map(str::to_owned);
        match operation.to_ascii_lowercase().as_str() {
            "put" => parts.put().map(|put| Self::Put(Box::new(put))),
            "get" => Ok(match name() {
                Some(name) => Self::Get { name },
                None => Self::List { visibility: parts.visibility },
            }),
            "delete" => Ok(Self::Delete { name: name().ok_or(SYNTAX)? }),
            _ => Err(SYNTAX),
        }
    }
}

impl KeysPut {
    /// The whole name under which it is kept.
    ///
    /// # Errors
    /// [`VerbError::InvalidKey`] where its parts do not make one.
    pub fn key(&self, owner: &AtSign) -> Result<AtKey, VerbError> {
        let (scope, folder) = match self.visibility {
            Visibility::Public => ("public:", "__public_keys"),
            Visibility::Private => ("private:", "__private_keys"),
            Visibility::SelfKey => ("", "__self_keys"),
        };
        let name = format!("{scope}{}.{folder}.{}{owner}", self.name, self.namespace.as_str());
        AtKey::parse(&name).map_err(|error| VerbError::InvalidKey(error.to_string()))
    }
}

impl Visibility {
    fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "public" => Some(Self::Public),
            "private" => Some(Self::Private),
            "self" => Some(Self::SelfKey),
            _ => None,
        }
    }
}

impl<'a> Parts<'a> {
    /// The name of a key may contain colons, and comes last; a blank ends it.
    fn parse(text: &'a str) -> Result<Self, VerbError> {
        let mut parts = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (word, tail) = rest.split_once(':').unwrap_or((rest, ""));
            if word.eq_ignore_ascii_case("keyName") {
                let (name, value) = tail.split_once(' ').unwrap_or((tail, ""));
                parts.key_name = Some(bounded(name)?);
                parts.value = value;
                return Ok(parts);
            }
            if let Some(visibility) = Visibility::from_word(word) {
                parts.visibility = Some(visibility);
                rest = tail;
                continue;
            }
            let (value, tail) = tail.split_once(':').unwrap_or((tail, ""));
            *parts.slot(word).ok_or(SYNTAX)? = Some(part(value)?);
            rest = tail;
        }
        Ok(parts)
    }

    fn slot(&mut self, word: &str) -> Option<&mut Option<&'a str>> {
        match word.to_ascii_lowercase().as_str() {
            "namespace" => Some(&mut self.namespace),
            "appname" => Some(&mut self.app_name),
            "devicename" => Some(&mut self.device_name),
            "keytype" => Some(&mut self.key_type),
            "encryptionkeyname" => Some(&mut self.encryption_key_name),
            _ => None,
        }
    }

    fn put(&self) -> Result<KeysPut, VerbError> {
        let (visibility, key_name) = (self.visibility.ok_or(SYNTAX)?, self.key_name.ok_or(SYNTAX)?);
        let namespace = self.namespace.ok_or(SYNTAX)?;
        let namespace = Namespace::parse(namespace).map_err(|_| SYNTAX)?;
        let name = match visibility {
            Visibility::Public => key_name.to_owned(),
            Visibility::Private | Visibility::SelfKey => {
                let app = self.app_name.ok_or(SYNTAX)?;
                let device = self.device_name.ok_or(SYNTAX)?;
                format!("{app}.{device}.{key_name}")
            }
        };
        if self.value.is_empty() {
            return Err(SYNTAX);
        }
        Ok(KeysPut {
            visibility,
            namespace,
            name,
            key_type: self.key_type.map(str::to_owned),
            encryption_key_name: self.encryption_key_name.map(str::to_owned),
            value: self.value.to_owned(),
        })
    }
}

/// Letters, digits, `_` and `-`, as the grammar has it.
fn part(value: &str) -> Result<&str, VerbError> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let is_good = (1..=PART_BYTES_MAX).contains(&value.len()) && value.bytes().all(is_word);
    if is_good { Ok(value) } else { Err(SYNTAX) }
}

fn bounded(name: &str) -> Result<&str, VerbError> {
    // A character has at most 4 bytes.
    let is_good = (1..=4 * KEY_UNITS_MAX).contains(&name.len());
    if is_good && !name.contains(char::is_whitespace) { Ok(name) } else { Err(SYNTAX) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn put(args: &str) -> Option<KeysPut> {
        match Keys::parse(args) {
            Ok(Keys::Put(put)) => Some(*put),
            _ => None,
        }
    }

    #[test]
    fn a_key_is_kept_under_a_name_made_of_its_parts() {
        let alice = AtSign::parse("@alice").unwrap();
        let all = "private:namespace:__global:appName:wavi:deviceName:pixel:keyType:aes256:\
                   encryptionKeyName:k-1:keyName:my.key a value: of two";
        let private = put(&format!("put:{all}")).unwrap();
        assert_eq!(
            private.key(&alice).unwrap().as_str(),
            "private:wavi.pixel.my.key.__private_keys.__global@alice"
        );
        assert_eq!(private.value, "a value: of two");
        assert_eq!(private.key_type.as_deref(), Some("aes256"));
        assert_eq!(private.encryption_key_name.as_deref(), Some("k-1"));
        let own = put(&format!("PUT:{}", all.replacen("private", "self", 1))).unwrap();
        assert_eq!(
            own.key(&alice).unwrap().as_str(),
            "wavi.pixel.my.key.__self_keys.__global@alice"
        );
        let public = put("put:public:namespace:wavi:keyType:rsa:keyName:pk v").unwrap();
        assert_eq!(public.key(&alice).unwrap().as_str(), "public:pk.__public_keys.wavi@alice");
        for missing in
            ["namespace:__global:", "appName:wavi:", "deviceName:pixel:", " a value: of two"]
        {
            assert_eq!(put(&format!("put:{}", all.replacen(missing, "", 1))), None, "{missing}");
        }
    }

    #[test]
    fn a_name_with_another_scope_in_it_is_no_name() {
        let alice = AtSign::parse("@alice").unwrap();
        for name in ["privatekey:at_secret", "@bob:x", "x@alice", "a/b"] {
            let put = put(&format!("put:public:namespace:wavi:keyName:{name} v")).unwrap();
            assert!(put.key(&alice).is_err(), "{name}");
        }
    }

    #[test]
    fn keys_are_listed_by_kind_and_shown_by_name() {
        let list = |visibility| Ok(Keys::List { visibility });
        assert_eq!(Keys::parse("get:self"), list(Some(Visibility::SelfKey)));
        assert_eq!(Keys::parse("get:Private:"), list(Some(Visibility::Private)));
        assert_eq!(Keys::parse("get"), list(None));
        let name = "public:x.__public_keys.wavi@alice".to_owned();
        let get = Keys::parse(&format!("get:keyName:{name}"));
        assert_eq!(get, Ok(Keys::Get { name: name.clone() }));
        let delete = Keys::parse(&format!("delete:keyName:{name} "));
        assert_eq!(delete, Ok(Keys::Delete { name }));
        for args in
            ["", "delete", "delete:self", "take:self", "get:x:y", "get:keyName:", "put:self"]
        {
            assert!(Keys::parse(args).is_err(), "{args}");
        }
    }
}
