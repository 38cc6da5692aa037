//! Octets as RabbitMQ prints them in reply texts.

use std::fmt;

/// Prints octets as an Erlang binary: `<<"text">>` if all are printable, `<<1,2,3>>` if not.
pub(super) struct Binary<'a>(pub(super) &'a [u8]);

impl fmt::Display for Binary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("<<>>");
        }
        if let Some(text) = printable(self.0) {
            return write!(f, "<<\"{text}\">>");
        }
        write!(f, "{}", Numbers(self.0))
    }
}

/// Prints octets as an Erlang binary of numbers, whatever they are.
pub(super) struct Numbers<'a>(pub(super) &'a [u8]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<<")?;
        for (index, octet) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{octet}")?;
        }
        f.write_str(">>")
    }
}

/// Prints the beginning of a payload: `all octets = <<…>>` or `first 16 octets = <<…>>`.
pub(super) struct Snippet<'a>(pub(super) &'a [u8]);

impl fmt::Display for Snippet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.first_chunk::<16>() {
            Some(first) if self.0.len() > first.len() => {
                write!(f, "first 16 octets = {}", Binary(first))
            }
            _ => write!(f, "all octets = {}", Binary(self.0)),
        }
    }
}

fn printable(octets: &[u8]) -> Option<&str> {
    let is_printable = |octet: &u8| matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\');
    octets
        .iter()
        .all(is_printable)
        .then(|| std::str::from_utf8(octets).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_read_as_in_erlang() {
        assert_eq!(Binary(b"").to_string(), "<<>>");
        assert_eq!(Binary(b"text").to_string(), "<<\"text\">>");
        assert_eq!(Binary(b"\x00\xCE").to_string(), "<<0,206>>");
        assert_eq!(Snippet(&[7; 3]).to_string(), "all octets = <<7,7,7>>");
        assert_eq!(
            Snippet(&[b'a'; 17]).to_string(),
            "first 16 octets = <<\"aaaaaaaaaaaaaaaa\">>"
        );
    }
}
