//! Builds method frames.

use super::frame::{END, METHOD};
use super::method::MethodId;

/// A field table to send: names and values in their order on the wire.
pub(crate) type Table = Vec<(String, Value)>;

/// The field values that the load generator sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// `t`
    Bool(bool),
    /// `l`
    Integer(i64),
    /// `S`
    Text(String),
    /// `F`
    Table(Table),
}

/// A method frame under construction; arguments are appended in the order of the specification.
#[derive(Debug)]
pub(crate) struct Call {
    frame: Vec<u8>,
}

impl Call {
    /// Begins the frame of `method` on `channel`.
    pub(crate) fn new(channel: u16, method: MethodId) -> Self {
        let mut frame = vec![METHOD];
        frame.extend_from_slice(&channel.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&method.0.to_be_bytes());
        frame.extend_from_slice(&method.1.to_be_bytes());
        Self { frame }
    }

    /// An octet, or up to eight bits packed into one.
    pub(crate) fn octet(mut self, value: u8) -> Self {
        self.frame.push(value);
        self
    }

    pub(crate) fn short(mut self, value: u16) -> Self {
        self.frame.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn long(mut self, value: u32) -> Self {
        self.frame.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn longlong(mut self, value: u64) -> Self {
        self.frame.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A short string.
    ///
    /// # Panics
    /// If `text` is longer than 255 bytes; names from the command line are checked where they are parsed.
    pub(crate) fn name(mut self, text: &str) -> Self {
        put_name(&mut self.frame, text);
        self
    }

    /// A long string.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        put_bytes(&mut self.frame, bytes);
        self
    }

    pub(crate) fn table(mut self, table: &Table) -> Self {
        put_table(&mut self.frame, table);
        self
    }

    /// The whole frame.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let size = length(self.frame.len() - 7);
        self.frame[3..7].copy_from_slice(&size.to_be_bytes());
        self.frame.push(END);
        self.frame
    }
}

/// Appends a field table with its length.
pub(crate) fn put_table(out: &mut Vec<u8>, table: &Table) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    for (name, value) in table {
        put_name(out, name);
        put_value(out, value);
    }
    let size = length(out.len() - at - 4);
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}

/// Appends a short string.
pub(crate) fn put_name(out: &mut Vec<u8>, text: &str) {
    let size = u8::try_from(text.len()).expect("names are at most 255 bytes long");
    out.push(size);
    out.extend_from_slice(text.as_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&length(bytes.len()).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => out.extend_from_slice(&[b't', u8::from(*value)]),
        Value::Integer(value) => {
            out.push(b'l');
            out.extend_from_slice(&value.to_be_bytes());
        }
        Value::Text(value) => {
            out.push(b'S');
            put_bytes(out, value.as_bytes());
        }
        Value::Table(value) => {
            out.push(b'F');
            put_table(out, value);
        }
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("what the load generator sends in one frame is far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::super::method::{channel, queue};
    use super::*;

    #[test]
    fn a_frame_has_its_size_and_end() {
        let frame = Call::new(1, channel::OPEN).name("").finish();
        assert_eq!(frame, [1, 0, 1, 0, 0, 0, 5, 0, 20, 0, 10, 0, 0xCE]);
    }

    #[test]
    fn arguments_follow_in_order() {
        let table = vec![
            ("a".to_owned(), Value::Bool(true)),
            ("b".to_owned(), Value::Integer(-2)),
            ("c".to_owned(), Value::Text("xy".to_owned())),
            ("d".to_owned(), Value::Table(Vec::new())),
        ];
        let frame = Call::new(2, queue::DECLARE)
            .short(0)
            .name("q")
            .octet(2)
            .long(7)
            .longlong(9)
            .bytes(b"z")
            .table(&table)
            .finish();
        let mut expected = vec![
            1, 0, 2, 0, 0, 0, 61, 0, 50, 0, 10, 0, 0, 1, b'q', 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0,
            9,
        ];
        expected.extend([
            0, 0, 0, 1, b'z', 0, 0, 0, 31, 1, b'a', b't', 1, 1, b'b', b'l',
        ]);
        expected.extend((-2_i64).to_be_bytes());
        expected.extend([
            1, b'c', b'S', 0, 0, 0, 2, b'x', b'y', 1, b'd', b'F', 0, 0, 0, 0, 0xCE,
        ]);
        assert_eq!(frame, expected);
    }
}
