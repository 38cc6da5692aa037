//! A definition of the core's: an exchange, a queue, a binding, a user …
//!
//! ```text
//! key      01, the core's key
//! payload  the core's value
//! version  1
//! ```

use bytes::Bytes;

use super::envelope;

const VERSION: u8 = 1;
/// What all definitions' keys begin with.
pub(in crate::disk) const PREFIX: [u8; 1] = [0x01];
/// The longest key that the database takes, less the prefix.
pub(in crate::disk) const KEY_BYTES_MAX: usize = u16::MAX as usize - PREFIX.len();

/// The definition's key.
pub(in crate::disk) fn key(core_key: &[u8]) -> Vec<u8> {
    [&PREFIX, core_key].concat()
}

/// The definition's value.
pub(in crate::disk) fn encode(key: &[u8], core_value: &[u8]) -> Vec<u8> {
    envelope::seal(VERSION, key, core_value)
}

/// The core's key and value, or what is wrong with them. They are copied, for they are small and live long.
pub(in crate::disk) fn decode(key: &[u8], value: &[u8]) -> Result<(Bytes, Bytes), String> {
    let core_key = key.strip_prefix(&PREFIX).ok_or("its key is malformed")?;
    let core_value = envelope::open(VERSION, key, value)?;
    Ok((
        Bytes::copy_from_slice(core_key),
        Bytes::copy_from_slice(core_value),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_round_trip() {
        arbtest::arbtest(|u| {
            let (core_key, core_value): (Vec<u8>, Vec<u8>) = u.arbitrary()?;
            let key = key(&core_key);
            assert_eq!(
                decode(&key, &encode(&key, &core_value)),
                Ok((Bytes::from(core_key), Bytes::from(core_value)))
            );
            Ok(())
        });
    }
}
