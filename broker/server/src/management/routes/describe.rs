//! What a handler takes from a request, as its arguments say.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;

use crate::management::body::Fields;
use crate::management::caller::Caller;
use crate::management::listing::Listing;

/// What an operation takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::management) struct Inputs {
    /// A login.
    pub(in crate::management) login: bool,
    /// Which columns and, of a list, which page in which order.
    pub(in crate::management) listing: bool,
    /// A JSON object.
    pub(in crate::management) json: bool,
    /// A body of another kind.
    pub(in crate::management) bytes: bool,
}

/// An argument of a handler, or all of them.
pub(in crate::management) trait Described {
    /// Notes what it stands for.
    fn describe(inputs: &mut Inputs);
}

impl Described for Caller {
    fn describe(inputs: &mut Inputs) {
        inputs.login = true;
    }
}

impl Described for Listing {
    fn describe(inputs: &mut Inputs) {
        inputs.listing = true;
    }
}

impl Described for Fields {
    fn describe(inputs: &mut Inputs) {
        inputs.json = true;
    }
}

impl Described for Bytes {
    fn describe(inputs: &mut Inputs) {
        inputs.bytes = true;
    }
}

impl Described for Result<Bytes, BytesRejection> {
    fn describe(inputs: &mut Inputs) {
        inputs.bytes = true;
    }
}

/// The names are in the path itself.
impl<T> Described for Path<T> {
    fn describe(_: &mut Inputs) {}
}

/// What a query may have beside that of a [`Listing`] is said by the operation's text.
impl<T> Described for Query<T> {
    fn describe(_: &mut Inputs) {}
}

/// A handler that reads the whole request itself.
impl Described for Request {
    fn describe(inputs: &mut Inputs) {
        inputs.bytes = true;
    }
}

impl Described for HeaderMap {
    fn describe(_: &mut Inputs) {}
}

impl<T> Described for State<T> {
    fn describe(_: &mut Inputs) {}
}

/// A handler without arguments.
impl Described for ((),) {
    fn describe(_: &mut Inputs) {}
}

/// The arguments of a handler, behind a type of axum's own.
macro_rules! arguments {
    ($($argument:ident)+) => {
        impl<M, $($argument: Described),+> Described for (M, $($argument),+) {
            fn describe(inputs: &mut Inputs) {
                $($argument::describe(inputs);)+
            }
        }
    };
}

arguments!(A);
arguments!(A B);
arguments!(A B C);
arguments!(A B C D);
