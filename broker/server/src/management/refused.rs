//! How a refusal looks: a status, and RabbitMQ's `{"error": …, "reason": …}`.

use amphora_protocol::exception::Exception;
use amphora_protocol::wire::reply_code::ReplyCode;
use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::backend::AdministrationRefusal;

/// What the body of a refusal has.
#[derive(Serialize, JsonSchema)]
pub(super) struct Refusal {
    /// The kind of refusal, in a word.
    error: &'static str,
    /// Why.
    reason: String,
}

/// A request that was not done, and why.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: &'static str,
    reason: String,
}

impl Refused {
    /// Why.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// 404: no such path, or no such thing.
    pub(super) fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            error: "Object Not Found",
            reason: "Not Found".to_owned(),
        }
    }

    /// 404: no such virtual host, and so nothing in it.
    pub(super) fn no_vhost() -> Self {
        Self {
            reason: "vhost_not_found".to_owned(),
            ..Self::not_found()
        }
    }

    /// 400: the request makes no sense, or the broker refused it.
    pub(super) fn bad_request(reason: impl Into<String>) -> Self {
        Self::invalid("bad_request", reason)
    }

    /// 400 with an error code of its own.
    pub(super) fn invalid(error: &'static str, reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
            reason: reason.into(),
        }
    }

    /// 409: the request makes sense, but not as things are.
    pub(super) fn conflict(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            error: "conflict",
            reason: reason.into(),
        }
    }

    /// 413: the body is larger than it may be.
    pub(super) fn too_large(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            error: "too_large",
            reason: reason.into(),
        }
    }

    /// 403: the request is not one that the user made.
    pub(super) fn forbidden(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            error: "forbidden",
            reason: reason.into(),
        }
    }

    /// 429: the caller asks too fast.
    pub(super) fn too_fast(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            error: "too_many_requests",
            reason: reason.into(),
        }
    }

    /// 503: the broker could not do it.
    pub(super) fn unavailable(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "service_unavailable",
            reason: reason.into(),
        }
    }

    /// 500: what is there cannot be told.
    pub(super) fn untold(error: &serde_json::Error) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: "internal_server_error",
            reason: error.to_string(),
        }
    }

    /// 401: nobody, or somebody else, must log in.
    pub(super) fn not_authenticated(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: "not_authorized",
            reason: reason.into(),
        }
    }

    /// 401: this user may not do this.
    pub(super) fn not_authorised(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: "not_authorised",
            reason: reason.into(),
        }
    }
}

/// As RabbitMQ maps them: what an AMQP client would be told is the reason.
impl From<Exception> for Refused {
    fn from(exception: Exception) -> Self {
        let reason = exception.text().to_owned();
        match exception.code() {
            ReplyCode::AccessRefused => Self::not_authorised(reason),
            ReplyCode::NotFound => Self {
                status: StatusCode::NOT_FOUND,
                error: "not_found",
                reason,
            },
            ReplyCode::InternalError | ReplyCode::ResourceError => Self::unavailable(reason),
            _ => Self::bad_request(reason),
        }
    }
}

impl From<AdministrationRefusal> for Refused {
    fn from(refusal: AdministrationRefusal) -> Self {
        match refusal {
            AdministrationRefusal::Missing => Self::not_found(),
            AdministrationRefusal::NoVhost => Self::no_vhost(),
            AdministrationRefusal::NoUser(name) => {
                Self::bad_request(format!("user '{name}' does not exist"))
            }
            AdministrationRefusal::Invalid(text) => Self::bad_request(text),
            AdministrationRefusal::Failed(text) => Self::unavailable(text),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self {
            status,
            error,
            reason,
        } = self;
        let mut response = (status, Json(Refusal { error, reason })).into_response();
        if error == "not_authorized" {
            let challenge = HeaderValue::from_static("Basic realm=\"Amphora Management\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
