//! `pkam:[signingAlgo:…:][hashingAlgo:…:][enrollmentId:…:]<signature>` (protocol notes 4.3).

use super::{VerbError, grammar};
use crate::EnrollmentId;

const HINT: &str = "e.g. pkam:<signature of the challenge>";

/// Longest signature that is read, in bytes; that of an RSA-16384 key is shorter.
const SIGNATURE_BYTES_MAX: usize = 4_096;

/// A signed challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pkam {
    /// How it is signed.
    pub signing_algo: SigningAlgo,
    /// What is signed is this hash of it.
    pub hashing_algo: HashingAlgo,
    /// Which enrolment's key signs, if not the owner's.
    pub enrollment_id: Option<EnrollmentId>,
    /// The signature in base64.
    pub signature: String,
}

/// How a challenge is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SigningAlgo {
    /// RSA with PKCS#1 v1.5.
    #[default]
    Rsa2048,
    /// ECDSA on P-256.
    EccSecp256r1,
}

/// Which hash of a challenge is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HashingAlgo {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Pkam {
    /// An algorithm that nobody knows is not wrong syntax but part of a signature that will not
    /// verify, as in the reference.
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let (signing_algo, rest) = algo(args, "signingAlgo", signing_algo);
        let (hashing_algo, rest) = algo(rest, "hashingAlgo", hashing_algo);
        let (enrollment_id, signature) = match grammar::strip_word(rest, "enrollmentId") {
            Some(enrolled) => match enrolled.rsplit_once(':') {
                Some((id, signature)) if !id.is_empty() => {
                    (Some(VerbError::enrollment_id(id)?), signature)
                }
                _ => (None, rest),
            },
            None => (None, rest),
        };
        if !(1..=SIGNATURE_BYTES_MAX).contains(&signature.len()) {
            return Err(VerbError::Syntax { hint: HINT });
        }
        Ok(Self { signing_algo, hashing_algo, enrollment_id, signature: signature.to_owned() })
    }
}

fn algo<'a, T: Default>(
    text: &'a str,
    word: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> (T, &'a str) {
    let part = grammar::strip_part(text).filter(|(name, ..)| name.eq_ignore_ascii_case(word));
    match part.and_then(|(_, value, rest)| read(value).map(|algo| (algo, rest))) {
        Some(found) => found,
        None => (T::default(), text),
    }
}

fn signing_algo(name: &str) -> Option<SigningAlgo> {
    match name.to_ascii_lowercase().as_str() {
        "rsa2048" => Some(SigningAlgo::Rsa2048),
        "ecc_secp256r1" => Some(SigningAlgo::EccSecp256r1),
        _ => None,
    }
}

fn hashing_algo(name: &str) -> Option<HashingAlgo> {
    match name.to_ascii_lowercase().as_str() {
        "sha256" => Some(HashingAlgo::Sha256),
        "sha512" => Some(HashingAlgo::Sha512),
        _ => None,
    }
}
