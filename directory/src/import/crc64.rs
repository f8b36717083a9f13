//! The checksum of a Redis dump: CRC-64 with the polynomial 0xad93d23594c935a9, bits reflected.

const POLYNOMIAL: u64 = 0xad93_d235_94c9_35a9_u64.reverse_bits();

const TABLE: [u64; 256] = table();

const fn table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        let mut crc = at as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
}

/// The checksum of what gave `crc` with `bytes` behind it; of nothing it is 0.
pub(super) fn add(crc: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(crc, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        let entry = TABLE.get(usize::from(low ^ byte)).copied().unwrap_or_default();
        crc >> 8 ^ entry
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_checksum_that_redis_uses() {
        assert_eq!(add(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(add(add(0, b"1234"), b"56789"), 0xe9c6_d914_c4b8_d9ca);
    }
}
