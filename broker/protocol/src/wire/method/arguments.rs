//! A method's arguments, one after the other, with neighbouring bits packed into octets (spec
//! 4.2.5.2).

use std::sync::Arc;

use bytes::Bytes;

use crate::limits::TABLE_DEPTH_MAX;
use crate::wire::cursor::{Cursor, put_long_bytes, put_short_string};
use crate::wire::error::WireError;
use crate::wire::table::FieldTable;
use crate::wire::types::{
    ConsumerTag, DeliveryTag, ExchangeName, QueueName, RoutingKey, ShortString, VhostName,
};

/// A type that a method's argument can have.
pub(super) trait Argument: Sized {
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError>;
    fn write(&self, to: &mut Writer<'_>);
}

/// Reads arguments, and bits out of the octet that holds them.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    cursor: Cursor<'a>,
    octet: u8,
    bits_left: u8,
}

impl<'a> Reader<'a> {
    pub(super) fn new(arguments: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(arguments),
            octet: 0,
            bits_left: 0,
        }
    }

    pub(super) fn argument<T: Argument>(&mut self) -> Result<T, WireError> {
        T::read(self)
    }

    pub(super) fn finish(self) -> Result<(), WireError> {
        self.cursor.finish()
    }

    /// Whatever is not a bit begins at the next octet.
    fn octets(&mut self) -> &mut Cursor<'a> {
        self.bits_left = 0;
        &mut self.cursor
    }

    fn bit(&mut self) -> Result<bool, WireError> {
        if self.bits_left == 0 {
            self.octet = self.cursor.u8()?;
            self.bits_left = 8;
        }
        let bit = self.octet & 1 != 0;
        self.octet >>= 1;
        self.bits_left -= 1;
        Ok(bit)
    }
}

/// Writes arguments, and bits into the octet that holds them.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    bits_used: u8,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, bits_used: 0 }
    }

    pub(super) fn argument(&mut self, argument: &impl Argument) {
        argument.write(self);
    }

    fn octets(&mut self) -> &mut Vec<u8> {
        self.bits_used = 0;
        self.out
    }

    fn bit(&mut self, bit: bool) {
        if self.bits_used.is_multiple_of(8) {
            self.octets().push(0);
        }
        if let Some(octet) = self.out.last_mut() {
            *octet |= u8::from(bit) << self.bits_used;
        }
        self.bits_used += 1;
    }
}

impl Argument for bool {
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.bit()
    }

    fn write(&self, to: &mut Writer<'_>) {
        to.bit(*self);
    }
}

impl Argument for DeliveryTag {
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.octets().u64().map(Self)
    }

    fn write(&self, to: &mut Writer<'_>) {
        self.0.write(to);
    }
}

impl Argument for Bytes {
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.octets().long_bytes().map(Self::copy_from_slice)
    }

    fn write(&self, to: &mut Writer<'_>) {
        put_long_bytes(self, to.octets());
    }
}

impl Argument for FieldTable {
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::read(from.octets(), TABLE_DEPTH_MAX)
    }

    fn write(&self, to: &mut Writer<'_>) {
        self.encode(to.octets());
    }
}

/// What is sent to many need not be copied for each.
impl Argument for Arc<FieldTable> {
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.argument().map(Self::new)
    }

    fn write(&self, to: &mut Writer<'_>) {
        to.argument(&**self);
    }
}

macro_rules! numbers {
    ($($number:ident)*) => {
        $(impl Argument for $number {
            fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
                from.octets().$number()
            }

            fn write(&self, to: &mut Writer<'_>) {
                to.octets().extend_from_slice(&self.to_be_bytes());
            }
        })*
    };
}

macro_rules! strings {
    ($($string:ident)*) => {
        $(impl Argument for $string {
            fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
                from.octets().short_string().map(Self::from)
            }

            fn write(&self, to: &mut Writer<'_>) {
                put_short_string(self, to.octets());
            }
        })*
    };
}

numbers! { u8 u16 u32 u64 }
strings! { ShortString ExchangeName QueueName RoutingKey ConsumerTag VhostName }
