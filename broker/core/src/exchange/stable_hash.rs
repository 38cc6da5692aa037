//! A hash that is the same in every process and version: which queue a key goes to must not change with a restart.

use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::ShortString;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The hash of some bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// The hash of several texts, in their order.
pub(super) fn of_texts(texts: &[&str]) -> u64 {
    let mut hash = Xxh3::new();
    for text in texts {
        hash.update(text.as_bytes());
        // No text holds this byte, so that `a`, `bc` differs from `ab`, `c`.
        hash.update(&[0xff]);
    }
    hash.digest()
}

/// The hash of a header. Integers of all widths are hashed as their digits, like the text that says the same.
pub(super) fn of_value(value: &FieldValue) -> u64 {
    if let Some(number) = value.as_integer() {
        return of_bytes(number.to_string().as_bytes());
    }
    if let FieldValue::LongString(text) = value {
        return of_bytes(text);
    }
    let mut bytes = Vec::new();
    let table: FieldTable = [(ShortString::default(), value.clone())]
        .into_iter()
        .collect();
    table.encode(&mut bytes);
    of_bytes(&bytes)
}

/// Spreads every bit over all others (the finalizer of `SplitMix64`).
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::table::FieldValue;

    use super::{of_texts, of_value};

    /// Users' keys stay where they are only as long as these numbers do.
    #[test]
    fn hashes_never_change() {
        assert_eq!(of_value(&"key".into()), 0xbbea_0d63_a051_65e3);
        assert_eq!(of_texts(&["key"]), 0xd986_00f5_ada5_1cda);
    }

    #[test]
    fn a_number_is_its_digits() {
        assert_eq!(of_value(&FieldValue::I8(-7)), of_value(&"-7".into()));
        assert_eq!(of_value(&FieldValue::U32(7)), of_value(&FieldValue::I64(7)));
        assert_ne!(of_texts(&["a", "bc"]), of_texts(&["ab", "c"]));
    }
}
