//! Reads from the front of a byte slice, and the same values written to the end of a vector.

use super::error::WireError;
use super::types::ShortString;

/// What has not been read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything must have been read.
    pub(crate) fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(WireError::Trailing(self.rest.len()))
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.chunk().map(u8::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.chunk().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.chunk().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.chunk().map(u64::from_be_bytes)
    }

    /// A length octet and that many bytes, of any encoding.
    #[inline]
    pub(crate) fn short_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    pub(crate) fn short_str(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.short_bytes()?).map_err(|_| WireError::MalformedUtf8)
    }

    pub(crate) fn short_string(&mut self) -> Result<ShortString, WireError> {
        Ok(ShortString::cut(self.short_str()?))
    }

    /// Four octets of length and that many bytes.
    #[inline]
    pub(crate) fn long_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.u32()?).map_err(|_| WireError::Truncated)?;
        self.take(length)
    }
}

/// Writes what [`Cursor::long_bytes`] reads. No frame holds four gigabytes; what is beyond them is
/// left out.
pub(crate) fn put_long_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_length_prefixed(out, |out| {
        out.extend_from_slice(bytes.get(..u32::MAX as usize).unwrap_or(bytes));
    });
}

/// Writes what [`Cursor::short_string`] reads.
pub(crate) fn put_short_string(string: &str, out: &mut Vec<u8>) {
    debug_assert!(string.len() <= crate::limits::SHORT_STRING_MAX);
    out.push(u8::try_from(string.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(
        string
            .as_bytes()
            .get(..usize::from(u8::MAX))
            .unwrap_or(string.as_bytes()),
    );
}

/// Four octets that say how much `write` has written after them.
pub(crate) fn put_length_prefixed(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let start = out.len();
    write(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(prefix) = out.get_mut(at..start) {
        prefix.copy_from_slice(&length.to_be_bytes());
    }
}
