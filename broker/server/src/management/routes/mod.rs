//! The routes of the API in one table, of which both the router and the document that describes it are made.

mod describe;
mod document;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};

pub(super) use self::describe::{Answers, Described, Inputs};
use super::Api;
use super::answer::{Answer, Shape};

/// Routes, and what each is for.
pub(super) struct Routes {
    group: &'static str,
    router: Router<Api>,
    operations: Vec<Operation>,
}

/// What one method of one path does.
struct Operation {
    group: &'static str,
    method: &'static str,
    path: String,
    /// In one line.
    about: &'static str,
    inputs: Inputs,
    fields: Vec<Field>,
    answer: Shape,
}

/// A field of a request's JSON body.
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    Count,
    Object,
    Any,
}

/// A field that a request must have.
pub(super) const fn required(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: true,
    }
}

/// A field that a request may have.
pub(super) const fn optional(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: false,
    }
}

impl Routes {
    /// None yet. What follows is listed under this name.
    pub(super) fn of(group: &'static str) -> Self {
        Self {
            group,
            router: Router::new(),
            operations: Vec::new(),
        }
    }

    pub(super) fn get<H, T>(self, path: impl Into<String>, handler: H, about: &'static str) -> Self
    where
        H: Handler<T, Api> + Answers<T>,
        T: Described + 'static,
    {
        self.route(("get", MethodFilter::GET), path.into(), handler, about)
    }

    pub(super) fn put<H, T>(self, path: impl Into<String>, handler: H, about: &'static str) -> Self
    where
        H: Handler<T, Api> + Answers<T>,
        T: Described + 'static,
    {
        self.route(("put", MethodFilter::PUT), path.into(), handler, about)
    }

    pub(super) fn post<H, T>(self, path: impl Into<String>, handler: H, about: &'static str) -> Self
    where
        H: Handler<T, Api> + Answers<T>,
        T: Described + 'static,
    {
        self.route(("post", MethodFilter::POST), path.into(), handler, about)
    }

    pub(super) fn delete<H, T>(
        self,
        path: impl Into<String>,
        handler: H,
        about: &'static str,
    ) -> Self
    where
        H: Handler<T, Api> + Answers<T>,
        T: Described + 'static,
    {
        self.route(
            ("delete", MethodFilter::DELETE),
            path.into(),
            handler,
            about,
        )
    }

    /// The fields that the body of the last operation has.
    pub(super) fn with<const N: usize>(mut self, fields: [Field; N]) -> Self {
        if let Some(operation) = self.operations.last_mut() {
            operation.fields = fields.into();
        }
        self
    }

    /// Takes bodies of so many bytes, also if others take less.
    pub(super) fn body_max(mut self, bytes: usize) -> Self {
        self.router = self.router.layer(DefaultBodyLimit::max(bytes));
        self
    }

    /// These, and then others.
    pub(super) fn merge(mut self, others: Self) -> Self {
        self.router = self.router.merge(others.router);
        self.operations.extend(others.operations);
        self
    }

    /// The router of all of them, and the document about it, as JSON.
    pub(super) fn into_parts(self) -> (Router<Api>, String) {
        let document = document::of(&self.operations);
        (self.router, document.to_string())
    }

    fn route<H, T>(
        mut self,
        (method, filter): (&'static str, MethodFilter),
        path: String,
        handler: H,
        about: &'static str,
    ) -> Self
    where
        H: Handler<T, Api> + Answers<T>,
        T: Described + 'static,
    {
        self.router = self.router.route(&path, on(filter, handler));
        let mut inputs = Inputs::default();
        T::describe(&mut inputs);
        self.operations.push(Operation {
            group: self.group,
            method,
            path,
            about,
            inputs,
            fields: Vec::new(),
            answer: H::Answer::SHAPE,
        });
        self
    }
}
