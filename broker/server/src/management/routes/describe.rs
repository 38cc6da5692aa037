//! What a handler takes from a request, as its arguments say, and what it answers with.

use std::future::Future;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;

use crate::management::answer::Answer;
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

/// A handler with arguments of the types in `T`, as axum knows them.
pub(in crate::management) trait Answers<T> {
    /// What it returns.
    type Answer: Answer;
}

/// A handler without arguments.
impl Described for ((),) {
    fn describe(_: &mut Inputs) {}
}

impl<F, Fut, R> Answers<((),)> for F
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = R>,
    R: Answer,
{
    type Answer = R;
}

/// The arguments of a handler, behind a type of axum's own.
macro_rules! arguments {
    ($($argument:ident)+) => {
        impl<M, $($argument: Described),+> Described for (M, $($argument),+) {
            fn describe(inputs: &mut Inputs) {
                $($argument::describe(inputs);)+
            }
        }

        impl<F, Fut, R, M, $($argument),+> Answers<(M, $($argument),+)> for F
        where
            F: FnOnce($($argument),+) -> Fut,
            Fut: Future<Output = R>,
            R: Answer,
        {
            type Answer = R;
        }
    };
}

arguments!(A);
arguments!(A B);
arguments!(A B C);
arguments!(A B C D);
