//! The table that each class is written down as.

/// Makes a class out of a table: a type per method, and the enum `Method` of them all.
///
/// One entry per method, `Name = id "spec-name" { arguments }`, in the order of the wire. An
/// argument that the standard has reserved is only a type in brackets, before the others, or behind
/// them and a semicolon: it is read over, and written with its default.
macro_rules! class {
    (
        $class:ident = $class_id:literal;
        $(
            $(#[$about:meta])*
            $name:ident = $method_id:literal $spec_name:literal {
                $([$before:ty])*
                $($(#[$about_field:meta])* $field:ident: $type:ty,)*
                $(; $([$after:ty])+)?
            }
        )*
    ) => {
        use super::arguments::{Reader, Writer};
        use super::AnyMethod;
        use crate::wire::error::WireError;

        /// The class's number.
        pub const CLASS_ID: u16 = $class_id;

        $(
            $(#[$about])*
            #[derive(Clone, Debug, Default, PartialEq, Eq)]
            pub struct $name {
                $($(#[$about_field])* pub $field: $type,)*
            }

            impl $name {
                /// The method's number in its class.
                pub const METHOD_ID: u16 = $method_id;

                /// What the payload of its frame begins with: class and method.
                pub const PREFIX: [u8; 4] = super::prefix(CLASS_ID, $method_id);

                #[allow(unused_variables, reason = "a method without arguments reads none")]
                fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
                    $(from.argument::<$before>()?;)*
                    $(let $field = from.argument()?;)*
                    $($(from.argument::<$after>()?;)+)?
                    Ok(Self { $($field,)* })
                }

                #[allow(unused_variables, reason = "a method without arguments writes none")]
                fn write(&self, to: &mut Writer<'_>) {
                    $(to.argument(&<$before>::default());)*
                    $(to.argument(&self.$field);)*
                    $($(to.argument(&<$after>::default());)+)?
                }
            }

            impl AnyMethod for $name {
                fn class_id(&self) -> u16 {
                    CLASS_ID
                }

                fn method_id(&self) -> u16 {
                    Self::METHOD_ID
                }

                fn encode(&self, out: &mut Vec<u8>) {
                    out.extend_from_slice(&Self::PREFIX);
                    self.write(&mut Writer::new(out));
                }
            }

            impl From<$name> for Method {
                fn from(method: $name) -> Self {
                    Self::$name(method)
                }
            }

            impl From<$name> for super::Method {
                fn from(method: $name) -> Self {
                    Method::$name(method).into()
                }
            }
        )*

        /// Any method of this class.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Method {
            $($(#[$about])* $name($name),)*
        }

        impl Method {
            /// The method's number in this class.
            pub fn method_id(&self) -> u16 {
                match self {
                    $(Self::$name(_) => $name::METHOD_ID,)*
                }
            }

            /// The method's name in the standard, with its class.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => concat!(stringify!($class), ".", $spec_name),)*
                }
            }

            pub(super) fn decode(method_id: u16, arguments: &[u8]) -> Result<Self, WireError> {
                let mut from = Reader::new(arguments);
                let method = match method_id {
                    $($name::METHOD_ID => Self::$name($name::read(&mut from)?),)*
                    _ => return Err(WireError::UnknownMethod { class_id: CLASS_ID, method_id }),
                };
                from.finish()?;
                Ok(method)
            }

            pub(super) fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name(method) => method.encode(out),)*
                }
            }
        }
    };
}

pub(super) use class;
