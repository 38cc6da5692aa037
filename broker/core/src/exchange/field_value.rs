//! When two field values are the same to a headers exchange.

use std::hash::Hasher;

use amphora_protocol::wire::table::FieldValue;

/// A value without what does not matter: the width of a number.
enum Compared<'a> {
    Integer(i64),
    Float(f64),
    Other(&'a FieldValue),
}

fn compared(value: &FieldValue) -> Compared<'_> {
    match (value, value.as_integer()) {
        (_, Some(integer)) => Compared::Integer(integer),
        (FieldValue::F32(float), _) => Compared::Float((*float).into()),
        (FieldValue::F64(float), _) => Compared::Float(*float),
        (other, _) => Compared::Other(other),
    }
}

/// Whether both are of one class (integers of any width, floats of any width, otherwise one type) and equal.
pub(crate) fn same_value(a: &FieldValue, b: &FieldValue) -> bool {
    match (compared(a), compared(b)) {
        (Compared::Integer(a), Compared::Integer(b)) => a == b,
        #[expect(
            clippy::float_cmp,
            reason = "a header equals a binding's argument only exactly"
        )]
        (Compared::Float(a), Compared::Float(b)) => a == b,
        (Compared::Other(a), Compared::Other(b)) => a == b,
        _ => false,
    }
}

/// Equal for values that are the same.
pub(crate) fn hash_value(value: &FieldValue, hasher: &mut impl Hasher) {
    match compared(value) {
        Compared::Integer(value) => {
            hasher.write_u8(1);
            hasher.write_i64(value);
        }
        Compared::Float(value) => {
            hasher.write_u8(2);
            // Zero and minus zero are the same.
            hasher.write_u64(if value == 0.0 { 0 } else { value.to_bits() });
        }
        Compared::Other(FieldValue::LongString(value)) => {
            hasher.write_u8(3);
            hasher.write(value);
        }
        Compared::Other(FieldValue::Bool(value)) => hasher.write_u8(if *value { 4 } else { 5 }),
        // Rare as what a binding asks for: they share a place and are told apart by comparison.
        Compared::Other(_) => hasher.write_u8(6),
    }
}
