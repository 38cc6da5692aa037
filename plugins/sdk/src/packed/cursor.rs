//! Reading from the front of a list of bytes.

use std::fmt;

/// What may be wrong with a part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    CutShort,
    UnknownType(u8),
    TooDeep,
    Surplus,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort => f.write_str("cut short"),
            Self::UnknownType(octet) => write!(f, "a value of unknown type {octet:#04x}"),
            Self::TooDeep => f.write_str("nested too deeply"),
            Self::Surplus => f.write_str("longer than what is in it"),
        }
    }
}

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

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Damage::CutShort)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Damage> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Damage::CutShort)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn octet(&mut self) -> Result<u8, Damage> {
        self.array().map(|[octet]| octet)
    }

    /// A length of 32 bits in the order of this layout, and so many bytes.
    #[inline]
    pub(crate) fn long_little(&mut self) -> Result<&'a [u8], Damage> {
        let length = u32::from_le_bytes(self.array()?);
        self.take(length as usize)
    }

    /// A length of 32 bits in the order of AMQP, and so many bytes.
    #[inline]
    pub(crate) fn long_big(&mut self) -> Result<&'a [u8], Damage> {
        let length = u32::from_be_bytes(self.array()?);
        self.take(length as usize)
    }

    /// A length of 8 bits, and so many bytes.
    #[inline]
    pub(crate) fn short(&mut self) -> Result<&'a [u8], Damage> {
        let length = self.octet()?;
        self.take(length.into())
    }
}
