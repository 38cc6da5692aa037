//! For which other messages a route holds.

/// What decides where a message goes, beside the exchange and its routing keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Varies {
    /// Nothing: all messages with the same routing keys have the same answer.
    #[default]
    Never,
    /// Its properties, headers included: messages with the same bytes of them have the same answer.
    WithProperties,
    /// More than that: the answer may be another for each message.
    Always,
}
