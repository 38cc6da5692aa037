//! Methods: one module per class, one type per method (spec 1.2 to 1.9, with RabbitMQ's
//! extensions).

mod arguments;
mod class;

pub mod access;
pub mod basic;
pub mod channel;
pub mod confirm;
pub mod connection;
pub mod exchange;
pub mod queue;
pub mod tx;

use super::cursor::Cursor;
use super::error::WireError;

pub use super::frame::write_method_frame;

/// A method that can be written into a frame: [`Method`], or one of the types of a class.
pub trait AnyMethod {
    /// The class's number.
    fn class_id(&self) -> u16;

    /// The method's number in its class.
    fn method_id(&self) -> u16;

    /// Appends the payload of a method frame: class, method and arguments.
    fn encode(&self, out: &mut Vec<u8>);
}

macro_rules! classes {
    ($($class:ident $variant:ident,)*) => {
        /// Any method of any class.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Method {
            $(
                #[doc = concat!("A method of the class `", stringify!($class), "`.")]
                $variant($class::Method),
            )*
        }

        impl Method {
            /// Decodes the payload of a method frame, which must hold the arguments and nothing
            /// more. Unused bits are ignored.
            ///
            /// # Errors
            /// [`WireError::UnknownClass`], [`WireError::UnknownMethod`], or what is wrong with an
            /// argument.
            pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
                let mut cursor = Cursor::new(payload);
                let class_id = cursor.u16()?;
                let method_id = cursor.u16()?;
                match class_id {
                    $($class::CLASS_ID => $class::Method::decode(method_id, cursor.rest()).map(Self::$variant),)*
                    _ => Err(WireError::UnknownClass(class_id)),
                }
            }

            /// Appends the payload of a method frame: class, method and arguments.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(method) => method.encode(out),)*
                }
            }

            /// The class's number.
            pub fn class_id(&self) -> u16 {
                match self {
                    $(Self::$variant(_) => $class::CLASS_ID,)*
                }
            }

            /// The method's number in its class.
            pub fn method_id(&self) -> u16 {
                match self {
                    $(Self::$variant(method) => method.method_id(),)*
                }
            }

            /// The method's name in the standard, such as `queue.declare-ok`.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(method) => method.name(),)*
                }
            }
        }

        $(impl From<$class::Method> for Method {
            fn from(method: $class::Method) -> Self {
                Self::$variant(method)
            }
        })*
    };
}

classes! {
    connection Connection,
    channel Channel,
    access Access,
    exchange Exchange,
    queue Queue,
    basic Basic,
    tx Tx,
    confirm Confirm,
}

impl AnyMethod for Method {
    fn class_id(&self) -> u16 {
        self.class_id()
    }

    fn method_id(&self) -> u16 {
        self.method_id()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }
}

/// What the payload of a method frame begins with.
const fn prefix(class_id: u16, method_id: u16) -> [u8; 4] {
    let [c0, c1] = class_id.to_be_bytes();
    let [m0, m1] = method_id.to_be_bytes();
    [c0, c1, m0, m1]
}
