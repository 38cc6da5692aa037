//! What only streams have.

/// A stream's own figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamFigures {
    /// Segments that it consists of.
    pub segment_count: u64,
    /// How many messages the consumer that is furthest behind has yet to look at; nothing without consumers.
    pub lag: Option<u64>,
}
