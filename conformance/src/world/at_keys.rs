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

    /// The PKAM key, which is encrypted with padding as in PKCS#7.
    ///
    /// # Errors
    /// The reason; it shows nothing of the key.
    pub fn pkam(&self) -> Result<RsaKeys, &'static str> {
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| "not base64");
        let key = decode(&self.self_encryption_key)?;
        let mut bytes = decode(&self.aes_pkam_private_key)?;
        decrypt(&key, &mut bytes)?;
        let padding = bytes.last().map_or(0, |last| usize::from(*last));
        if !(1..=BLOCK_BYTES).contains(&padding) || padding > bytes.len() {
            return Err("the PKAM key does not decrypt");
        }
        bytes.truncate(bytes.len() - padding);
        let text = String::from_utf8(bytes).map_err(|_| "the PKAM key does not decrypt")?;
        RsaKeys::from_pkcs8_base64(&text).map_err(|_| "the PKAM key is no PKCS#8 key")
    }
}

/// AES-256 in counter mode; the counter begins at zero.
fn decrypt(key: &[u8], bytes: &mut [u8]) -> Result<(), &'static str> {
    let key = Aes256::new_from_slice(key).map_err(|_| "not an AES-256 key")?;
    for (counter, chunk) in (0_u128..).zip(bytes.chunks_mut(BLOCK_BYTES)) {
        let mut block = Block::<Aes256>::from(counter.to_be_bytes());
        key.encrypt_block(&mut block);
        chunk.iter_mut().zip(block).for_each(|(byte, mask)| *byte ^= mask);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_begins_at_zero_and_counts_blocks() {
        // The blocks 0, 1 and 2 under the key of zeros, as published with the GCM test cases 13, 14.
        let mut bytes = [0; 48];
        decrypt(&[0; 32], &mut bytes).unwrap();
        let blocks = [
            "dc95c078a2408989ad48a21492842087",
            "530f8afbc74536b9a963b4f1c4cb738b",
            "cea7403d4d606b6e074ec5d3baf39d18",
        ];
        assert_eq!(hex::encode(bytes), blocks.concat());
    }

    #[test]
    fn a_pkam_key_comes_out_of_its_file_and_a_wrong_one_does_not() {
        let mut document = rsa_pkcs8();
        let padding = BLOCK_BYTES - document.len() % BLOCK_BYTES;
        document.extend(std::iter::repeat_n(u8::try_from(padding).unwrap(), padding));
        decrypt(&[7; 32], &mut document).unwrap();
        let file = |key: u8| {
            serde_json::json!({
                "aesPkamPrivateKey": STANDARD.encode(&document),
                "selfEncryptionKey": STANDARD.encode([key; 32]),
                "enrollmentId": "e",
            })
        };
        let keys = AtKeys::parse(&file(7).to_string()).unwrap();
        assert_eq!(keys.enrollment_id.as_deref(), Some("e"));
        assert!(keys.pkam().unwrap().sign("text").is_ok());
        assert!(AtKeys::parse(&file(8).to_string()).unwrap().pkam().is_err());
        assert!(AtKeys::parse("{}").is_err());
    }

    fn rsa_pkcs8() -> Vec<u8> {
        use rsa::pkcs8::EncodePrivateKey;
        let key = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
        STANDARD.encode(key.to_pkcs8_der().unwrap().as_bytes()).into_bytes()
    }
}
