//! The file in which official clients keep an identity's keys.

use aes::Aes256;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::RsaKeys;

const BLOCK_BYTES: usize = 16;

/// What of the file is needed to authenticate.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AtKeys {
    aes_pkam_private_key: String,
    self_encryption_key: String,
    /// Of which enrolment the keys are.
    pub enrollment_id: Option<String>,
}

impl AtKeys {
    /// Reads the file's text.
    ///
    /// # Errors
    /// The reason; it shows nothing of the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        serde_json::from_str(text).map_err(|_| "not an .atKeys file")
    }

    /// The PKAM key: AES-256 in counter mode, the counter begins at zero, padded as in PKCS#7.
    ///
    /// # Errors
    /// The reason; it shows nothing of the key.
    pub fn pkam(&self) -> Result<RsaKeys, &'static str> {
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| "not base64");
        let key = decode(&self.self_encryption_key)?;
        let key = Aes256::new_from_slice(&key).map_err(|_| "not an AES-256 key")?;
        let mut bytes = decode(&self.aes_pkam_private_key)?;
        for (counter, chunk) in (0_u128..).zip(bytes.chunks_mut(BLOCK_BYTES)) {
            let mut block = Block::<Aes256>::from(counter.to_be_bytes());
            key.encrypt_block(&mut block);
            chunk.iter_mut().zip(block).for_each(|(byte, mask)| *byte ^= mask);
        }
        let padding = bytes.last().map_or(0, |last| usize::from(*last));
        if !(1..=BLOCK_BYTES).contains(&padding) || padding > bytes.len() {
            return Err("the PKAM key does not decrypt");
        }
        bytes.truncate(bytes.len() - padding);
        let text = String::from_utf8(bytes).map_err(|_| "the PKAM key does not decrypt")?;
        RsaKeys::from_pkcs8_base64(&text).map_err(|_| "the PKAM key is no PKCS#8 key")
    }
}
