//! What can be wrong with bytes that ought to be a value.

/// Bytes that are not what they ought to be.
///
/// Inside a connection each of these becomes a connection exception; see `connection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a value, or a length reaches beyond them.
    #[error("the value is cut short")]
    Truncated,
    /// More bytes than the value has.
    #[error("{0} octets too many")]
    Trailing(usize),
    /// No class has this number.
    #[error("unknown class {0}")]
    UnknownClass(u16),
    /// The class has no method with this number.
    #[error("unknown method {method_id} of class {class_id}")]
    UnknownMethod {
        /// The class.
        class_id: u16,
        /// The number that it has no method for.
        method_id: u16,
    },
    /// No field type has this tag.
    #[error("unknown field type {0}")]
    UnknownFieldType(u8),
    /// A short string is not UTF-8.
    #[error("Malformed UTF-8 in shortstr")]
    MalformedUtf8,
    /// Tables and arrays nest deeper than [`crate::limits::TABLE_DEPTH_MAX`].
    #[error("the field table nests too deep")]
    TooDeep,
}
