//! Metadata as a command gives them: parts such as `:ttl:60000` in any order.
//!
//! The strict grammar has one order; the SDKs write others and newer parts besides, so any order is
//! read and the known newer parts are skipped (protocol notes 5.1).

use crate::limits::METADATA_TEXT_BYTES_MAX;

/// What a command says about one text: absent keeps the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch<T> {
    /// The new value.
    Set(T),
    /// The text `null`: there is none from now on.
    Clear,
}

/// The metadata parts of one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataPatch {
    /// Time to live in milliseconds, never negative; 0 takes an expiry away.
    pub ttl: Option<i64>,
    /// Time to birth in milliseconds, never negative.
    pub ttb: Option<i64>,
    /// Time to refresh in seconds, at least -1; 0 counts as not given.
    pub ttr: Option<i64>,
    /// Cascade delete; without `ttr` it has no effect.
    pub ccd: Option<bool>,
    /// Whether the value stands for bytes.
    pub is_binary: Option<bool>,
    /// Whether the value is encrypted.
    pub is_encrypted: Option<bool>,
    /// See [`crate::Metadata::data_signature`].
    pub data_signature: Option<Patch<String>>,
    /// See [`crate::Metadata::shared_key_enc`].
    pub shared_key_enc: Option<Patch<String>>,
    /// See [`crate::Metadata::pub_key_cs`].
    pub pub_key_cs: Option<Patch<String>>,
    /// See [`crate::Metadata::encoding`].
    pub encoding: Option<Patch<String>>,
    /// See [`crate::Metadata::enc_key_name`].
    pub enc_key_name: Option<Patch<String>>,
    /// See [`crate::Metadata::enc_algo`].
    pub enc_algo: Option<Patch<String>>,
    /// See [`crate::Metadata::iv_nonce`].
    pub iv_nonce: Option<Patch<String>>,
    /// See [`crate::Metadata::ske_enc_key_name`].
    pub ske_enc_key_name: Option<Patch<String>>,
    /// See [`crate::Metadata::ske_enc_algo`].
    pub ske_enc_algo: Option<Patch<String>>,
}

/// Why a metadata part is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Not a number, or one beyond 64 bits.
    #[error("'{0}' needs a whole number")]
    Number(&'static str),
    /// `ttl`, `ttb` or `ttln` below 0.
    #[error("'{0}' cannot be negative")]
    Negative(&'static str),
    /// `ttr` below -1.
    #[error("'ttr' is -1 or a number of seconds")]
    Ttr,
    /// Neither `true` nor `false`.
    #[error("'{0}' is true or false")]
    Flag(&'static str),
    /// Empty, too long, or with a blank or `@`.
    #[error(
        "'{0}' needs a text without blanks, ':' and '@', of at most {METADATA_TEXT_BYTES_MAX} bytes"
    )]
    Text(&'static str),
}

/// Writes a patched text.
pub(super) fn apply(target: &mut Option<String>, patch: Option<&Patch<String>>) {
    match patch {
        Some(Patch::Set(text)) => *target = Some(text.clone()),
        Some(Patch::Clear) => *target = None,
        None => {}
    }
}

impl MetadataPatch {
    /// Takes one part. `Ok(false)`: no part has this name.
    ///
    /// # Errors
    /// [`MetadataError`] where the part's value is wrong.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, MetadataError> {
        let Some(part) = Part::find(name) else { return Ok(false) };
        match part {
            Part::Ttl => self.ttl = Some(not_negative("ttl", value)?),
            Part::Ttb => self.ttb = Some(not_negative("ttb", value)?),
            Part::Ttr => self.ttr = refresh(value)?,
            Part::Ccd if value.eq_ignore_ascii_case("null") => self.ccd = None,
            Part::Ccd => self.ccd = Some(flag("ccd", value)?),
            Part::IsBinary => self.is_binary = Some(flag("isBinary", value)?),
            Part::IsEncrypted => self.is_encrypted = Some(flag("isEncrypted", value)?),
            Part::DataSignature => self.data_signature = Some(text("dataSignature", value)?),
            Part::SharedKeyEnc => self.shared_key_enc = Some(text("sharedKeyEnc", value)?),
            Part::PubKeyCs => self.pub_key_cs = Some(text("pubKeyCS", value)?),
            Part::Encoding => self.encoding = Some(text("encoding", value)?),
            Part::EncKeyName => self.enc_key_name = Some(text("encKeyName", value)?),
            Part::EncAlgo => self.enc_algo = Some(text("encAlgo", value)?),
            Part::IvNonce => self.iv_nonce = Some(text("ivNonce", value)?),
            Part::SkeEncKeyName => self.ske_enc_key_name = Some(text("skeEncKeyName", value)?),
            Part::SkeEncAlgo => self.ske_enc_algo = Some(text("skeEncAlgo", value)?),
            Part::Skipped => {
                text("metadata", value)?;
            }
        }
        Ok(true)
    }
}

#[derive(Clone, Copy)]
enum Part {
    Ttl,
    Ttb,
    Ttr,
    Ccd,
    IsBinary,
    IsEncrypted,
    DataSignature,
    SharedKeyEnc,
    PubKeyCs,
    Encoding,
    EncKeyName,
    EncAlgo,
    IvNonce,
    SkeEncKeyName,
    SkeEncAlgo,
    /// Known, and without effect.
    Skipped,
}

impl Part {
    const NAMES: [(&'static str, Self); 21] = [
        ("ttl", Self::Ttl),
        ("ttb", Self::Ttb),
        ("ttr", Self::Ttr),
        ("ccd", Self::Ccd),
        ("isBinary", Self::IsBinary),
        ("isEncrypted", Self::IsEncrypted),
        ("dataSignature", Self::DataSignature),
        ("sharedKeyEnc", Self::SharedKeyEnc),
        ("pubKeyCS", Self::PubKeyCs),
        ("encoding", Self::Encoding),
        ("encKeyName", Self::EncKeyName),
        ("encAlgo", Self::EncAlgo),
        ("ivNonce", Self::IvNonce),
        ("skeEncKeyName", Self::SkeEncKeyName),
        ("skeEncAlgo", Self::SkeEncAlgo),
        ("sharedKeyStatus", Self::Skipped),
        ("hash", Self::Skipped),
        ("algo", Self::Skipped),
        ("pubKeyHash", Self::Skipped),
        ("hashingAlgo", Self::Skipped),
        ("ttln", Self::Skipped),
    ];

    fn find(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, part)| *part)
    }
}

/// Reads a number that is 0 or more.
pub(crate) fn not_negative(name: &'static str, value: &str) -> Result<i64, MetadataError> {
    match whole(name, value)? {
        number if number < 0 => Err(MetadataError::Negative(name)),
        number => Ok(number),
    }
}

fn whole(name: &'static str, value: &str) -> Result<i64, MetadataError> {
    // The standard parser also takes a plus sign, which the grammar does not know.
    let digits = value.strip_prefix('-').unwrap_or(value);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(MetadataError::Number(name));
    }
    value.parse().map_err(|_| MetadataError::Number(name))
}

fn refresh(value: &str) -> Result<Option<i64>, MetadataError> {
    match whole("ttr", value)? {
        seconds if seconds < -1 => Err(MetadataError::Ttr),
        0 => Ok(None),
        seconds => Ok(Some(seconds)),
    }
}

fn flag(name: &'static str, value: &str) -> Result<bool, MetadataError> {
    if value.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if value.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(MetadataError::Flag(name))
    }
}

fn text(name: &'static str, value: &str) -> Result<Patch<String>, MetadataError> {
    let is_text = (1..=METADATA_TEXT_BYTES_MAX).contains(&value.len())
        && !value.contains(|c: char| c == '@' || c == ':' || c.is_whitespace());
    match value {
        _ if !is_text => Err(MetadataError::Text(name)),
        "null" => Ok(Patch::Clear),
        _ => Ok(Patch::Set(value.to_owned())),
    }
}
