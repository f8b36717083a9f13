//! Where segments begin.

/// Names of a segment, on average. (Few in this crate's own tests, which would see no cuts else.)
pub const SEGMENT_NAMES: u64 = if cfg!(test) { 8 } else { 1 << 17 };

/// Whether a segment begins with this name, unless it is the first of all, which always begins one.
pub(crate) fn is_cut(name: &[u8]) -> bool {
    spread(name).is_multiple_of(SEGMENT_NAMES)
}

/// FNV-1a with a last mixing step. It need not resist anybody: who makes many names that begin
/// segments, or none that do, only makes his own neighbourhood's segments small or large.
fn spread(name: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}
