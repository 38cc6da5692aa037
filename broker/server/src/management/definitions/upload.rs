//! Definitions as they are sent: as a body of JSON, or as the file of a form, which is how web pages send them.

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;

use crate::management::refused::Refused;
use crate::management::routes::{Described, Inputs};

/// The field of a form that has the file.
const FIELD: &str = "file";

/// What was sent.
pub(super) struct Upload(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("multipart/form-data") {
            return from_form(request, state).await;
        }
        let bytes = Bytes::from_request(request, state).await;
        let refused = |error: axum::extract::rejection::BytesRejection| {
            Refused::bad_request(error.body_text())
        };
        bytes.map(Self).map_err(refused)
    }
}

async fn from_form<S: Send + Sync>(request: Request, state: &S) -> Result<Upload, Refused> {
    let form = Multipart::from_request(request, state).await;
    let mut form = form.map_err(|error| Refused::bad_request(error.body_text()))?;
    let broken =
        |error: axum::extract::multipart::MultipartError| Refused::bad_request(error.body_text());
    while let Some(field) = form.next_field().await.map_err(broken)? {
        if field.name() == Some(FIELD) {
            return field.bytes().await.map(Upload).map_err(broken);
        }
    }
    Err(Refused::bad_request(format!(
        "the form has no field `{FIELD}`"
    )))
}

impl Described for Upload {
    fn describe(inputs: &mut Inputs) {
        inputs.bytes = true;
    }
}
