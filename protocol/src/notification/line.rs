//! The line that carries a notification from one server to another (protocol notes 5.12). Other
//! servers read its parts in exactly this order.

use std::fmt::Write;

use super::Notification;

impl Notification {
    /// The line, with its LF. What stands in it was parsed from lines, so it contains no other.
    #[must_use]
    pub fn delivery_line(&self) -> Vec<u8> {
        let mut line = String::with_capacity(256 + self.value.as_deref().map_or(0, str::len));
        // Writing to a String cannot fail.
        let _ = self.write_delivery(&mut line);
        line.push('\n');
        line.into_bytes()
    }

    fn write_delivery(&self, line: &mut String) -> std::fmt::Result {
        let (operation, message_type) = (self.operation.as_str(), self.message_type.as_str());
        write!(line, "notify:id:{}:{operation}:messageType:{message_type}", self.id)?;
        write!(line, ":notifier:{}:ttln:{}", self.notifier, self.ttln)?;
        let metadata = &self.metadata;
        if let Some(ttl) = metadata.ttl {
            write!(line, ":ttl:{ttl}")?;
        }
        if let Some(ttb) = metadata.ttb {
            write!(line, ":ttb:{ttb}")?;
        }
        if let Some(ttr) = metadata.ttr {
            let ccd = metadata.ccd.map_or("null", |ccd| if ccd { "true" } else { "false" });
            write!(line, ":ttr:{ttr}:ccd:{ccd}")?;
        }
        write!(line, ":isEncrypted:{}", self.is_encrypted)?;
        for (name, text) in [
            ("sharedKeyEnc", &metadata.shared_key_enc),
            ("pubKeyCS", &metadata.pub_key_cs),
            ("encKeyName", &metadata.enc_key_name),
            ("encAlgo", &metadata.enc_algo),
            ("ivNonce", &metadata.iv_nonce),
            ("skeEncKeyName", &metadata.ske_enc_key_name),
            ("skeEncAlgo", &metadata.ske_enc_algo),
        ] {
            if let Some(text) = text {
                write!(line, ":{name}:{text}")?;
            }
        }
        write!(line, ":{}", self.subject)?;
        match &self.value {
            Some(value) => write!(line, ":{value}"),
            None => Ok(()),
        }
    }
}
