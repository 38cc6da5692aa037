//! What handlers answer with. Their types say which shape that has, and so the document about the API knows it.

use std::marker::PhantomData;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::refused::Refused;

/// An answer that is a `T`, or some columns of one.
pub(super) struct One<T>(Response, PhantomData<fn() -> T>);

/// An answer that is a list of `T`s, or a page of one.
pub(super) struct Many<T>(Response, PhantomData<fn() -> T>);

/// The shape of an answer.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// It has no body.
    Empty,
    /// It is no JSON, or nobody says what.
    Other,
    /// It has this schema.
    One(Describe),
    /// It is a list of things with this schema, or a page of one.
    Many(Describe),
}

/// Makes a schema.
pub(super) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// What a handler may return.
pub(super) trait Answer {
    /// Its shape, if the request is not refused.
    const SHAPE: Shape;
}

/// One page of a list.
#[derive(Serialize, JsonSchema)]
pub(super) struct Page<T> {
    /// Items of the list.
    pub(super) total_count: usize,
    /// Items that the filter leaves.
    pub(super) filtered_count: usize,
    /// Items on this page.
    pub(super) item_count: usize,
    /// The number of this page, from 1 on.
    pub(super) page: usize,
    /// How many items a page has at most.
    pub(super) page_size: usize,
    /// The number of the last page.
    pub(super) page_count: usize,
    /// What is on this page.
    pub(super) items: Vec<T>,
}

impl<T> One<T> {
    /// An answer that its handler has written, in the shape of a `T`.
    pub(super) fn written(response: impl IntoResponse) -> Self {
        Self(response.into_response(), PhantomData)
    }
}

impl<T: Serialize> One<T> {
    /// Keys are in the order of the alphabet, as in lists.
    pub(super) fn new(item: T) -> Self {
        match serde_json::to_value(item) {
            Ok(value) => Self::written(Json(value)),
            Err(error) => Self::written(Refused::untold(&error)),
        }
    }

    /// With another status than 200.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        *self.0.status_mut() = status;
        self
    }
}

impl<T> Many<T> {
    /// An answer that is such a list, or a page of one.
    pub(super) fn written(response: impl IntoResponse) -> Self {
        Self(response.into_response(), PhantomData)
    }

    /// The same answer, described as a list of others.
    pub(super) fn described_as<U>(self) -> Many<U> {
        Many(self.0, PhantomData)
    }
}

impl<T> IntoResponse for One<T> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<T> IntoResponse for Many<T> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<T: JsonSchema> Answer for One<T> {
    const SHAPE: Shape = Shape::One(SchemaGenerator::subschema_for::<T>);
}

impl<T: JsonSchema> Answer for Many<T> {
    const SHAPE: Shape = Shape::Many(SchemaGenerator::subschema_for::<T>);
}

impl Answer for StatusCode {
    const SHAPE: Shape = Shape::Empty;
}

impl Answer for Response {
    const SHAPE: Shape = Shape::Other;
}

impl<A: Answer> Answer for Result<A, Refused> {
    const SHAPE: Shape = A::SHAPE;
}
