//! The frame around every value but a record's data: `version u8`, payload, `checksum u64`.
//!
//! The checksum is XXH3 of version and payload, seeded with XXH3 of the key: a value under another key is as damaged as one
//! with a flipped bit. Versions belong to the family; a number is never given to another layout.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const CHECKSUM_BYTES: usize = 8;

/// Frames the payload for its key.
pub(super) fn seal(version: u8, key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = begin(version, payload.len());
    value.extend_from_slice(payload);
    end(key, value)
}

/// Begins a value whose payload is then written behind, so many bytes of it.
pub(super) fn begin(version: u8, payload_bytes: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + payload_bytes + CHECKSUM_BYTES);
    value.push(version);
    value
}

/// Ends a value that was begun.
pub(super) fn end(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(key, &value);
    value.extend_from_slice(&checksum.to_be_bytes());
    value
}

/// The payload of a value, or what is wrong with it.
pub(super) fn open<'a>(version: u8, key: &[u8], value: &'a [u8]) -> Result<&'a [u8], String> {
    let (body, stored) = value
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or_else(|| format!("its entry has only {} bytes", value.len()))?;
    if u64::from_be_bytes(*stored) != checksum(key, body) {
        return Err("the checksum of its entry does not match".to_owned());
    }
    match body.split_first() {
        Some((found, payload)) if *found == version => Ok(payload),
        Some((found, _)) => Err(format!(
            "its entry has version {found}, only {version} is known"
        )),
        None => Err("its entry has no version".to_owned()),
    }
}

fn checksum(key: &[u8], body: &[u8]) -> u64 {
    xxh3_64_with_seed(body, xxh3_64(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_payload_opens_under_its_key_only() {
        arbtest::arbtest(|u| {
            let (version, key, payload): (u8, Vec<u8>, Vec<u8>) = u.arbitrary()?;
            let value = seal(version, &key, &payload);
            assert_eq!(open(version, &key, &value), Ok(payload.as_slice()));
            let mut other = key.clone();
            other.push(0);
            assert!(open(version, &other, &value).is_err());
            Ok(())
        });
    }

    #[test]
    fn every_damage_is_found() {
        let value = seal(1, b"key", b"payload");
        for length in 0..value.len() {
            assert!(
                open(1, b"key", &value[..length]).is_err(),
                "cut to {length} bytes"
            );
        }
        for bit in 0..value.len() * 8 {
            let mut damaged = value.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(1, b"key", &damaged).is_err(), "bit {bit} flipped");
        }
    }

    #[test]
    fn another_version_is_named() {
        let value = seal(2, b"key", b"payload");
        assert_eq!(
            open(1, b"key", &value),
            Err("its entry has version 2, only 1 is known".to_owned())
        );
    }
}
