//! Where an entry stands in a store: tenant, bucket, position, key.
//!
//! The encodings are injective: from the bytes of a place one can read back whose it is, so nothing that a guest or a
//! tenant chooses can make two places one. A tenant's name has no colon, which is why one can end it.

use sha2::{Digest as _, Sha256};

/// Bytes of a position.
pub(super) const POSITION: usize = 8;

/// Where a bucket's entries begin, for stores that keep everything in one ordered table. No prefix begins another.
pub(super) fn prefix(tenant: &str, bucket: &str) -> Vec<u8> {
    let mut prefix = format!("{tenant}:").into_bytes();
    prefix.extend_from_slice(&(bucket.len() as u64).to_be_bytes());
    prefix.extend_from_slice(bucket.as_bytes());
    prefix
}

/// A bucket's entry for this key.
pub(super) fn entry(prefix: &[u8], key: &str) -> Vec<u8> {
    let mut entry = Vec::with_capacity(prefix.len().saturating_add(POSITION).saturating_add(key.len()));
    entry.extend_from_slice(prefix);
    entry.extend_from_slice(&position(key).to_be_bytes());
    entry.extend_from_slice(key.as_bytes());
    entry
}

/// Where a listing that goes on from a position begins.
pub(super) fn from(prefix: &[u8], position: u64) -> Vec<u8> {
    let mut from = prefix.to_vec();
    from.extend_from_slice(&position.to_be_bytes());
    from
}

/// A key's position in listings: 53 bits of its digest, which is what a score in Redis can hold exactly.
///
/// A cursor of the interface is a number and can't be a key. A count of keys to skip would miss some as soon as others
/// are deleted; a position misses none, needs no memory between two calls, and holds from one invocation to the next.
/// Two keys at one position, which nobody finds by chance, stand together and cost a page nothing.
pub(super) fn position(key: &str) -> u64 {
    let digest = Sha256::digest(key.as_bytes());
    let first = digest.iter().take(8).fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
    first >> 11
}

/// The names of a bucket's values, index and total in Redis. The braces make one server of a cluster keep all three.
pub(super) fn redis_keys(tenant: &str, bucket: &str) -> [String; 3] {
    ["values", "index", "bytes"].map(|part| format!("host:kv:{part}:{{{tenant}:{bucket}}}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_buckets_share_a_place_and_none_begins_another() {
        let names = ["", "a", "b", "a:b", "a}", "{a}", "values", "\0", "\0\0\0\0\0\0\0\0", "a\u{10ffff}"];
        let tenants = ["a", "b", "a.b", "a-", "values"];
        let mut prefixes = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for tenant in tenants {
            for name in names {
                assert!(prefixes.insert(prefix(tenant, name)));
                assert!(redis_keys(tenant, name).into_iter().all(|key| keys.insert(key)));
            }
        }
        for one in &prefixes {
            assert_eq!(prefixes.iter().filter(|other| other.starts_with(one)).count(), 1);
        }
    }

    #[test]
    fn a_position_fits_a_score_and_is_the_same_for_ever() {
        // Files and servers keep it, so it can't change from one version to the next.
        assert_eq!(position(""), 0xe3b0_c442_98fc_1c14 >> 11);
        assert!((0..1000).all(|n| position(&n.to_string()) < 1 << 53));
    }
}
