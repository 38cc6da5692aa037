//! How often somebody tried to log in: `/api/auth/attempts`.

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Many;
use super::caller::Caller;
use super::listing::Listing;
use super::nodes::must_be_here;
use super::refused::Refused;
use super::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::of("Users")
        .get(
            "/auth/attempts/{node}",
            list,
            "How often somebody tried to log in, by protocol.",
        )
        .delete(
            "/auth/attempts/{node}",
            reset,
            "Begins anew to count attempts to log in.",
        )
        .get(
            "/auth/attempts/{node}/source",
            list_by_source,
            "Attempts to log in by address and user: nobody keeps them.",
        )
}

/// Attempts to log in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LoginAttempts")]
struct Attempts {
    /// `amqp091` or `http`.
    protocol: &'static str,
    auth_attempts: u64,
    auth_attempts_failed: u64,
    auth_attempts_succeeded: u64,
}

/// Attempts to log in from one address by one user.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LoginAttemptsBySource")]
struct AttemptsBySource {
    remote_address: String,
    username: String,
    protocol: &'static str,
    auth_attempts: u64,
    auth_attempts_failed: u64,
    auth_attempts_succeeded: u64,
}

async fn list(
    caller: Caller,
    Path(node): Path<String>,
    listing: Listing,
) -> Result<Many<Attempts>, Refused> {
    must_be_here(&caller, &node)?;
    let users = caller.users();
    let protocols = [
        ("amqp091", &users.amqp_attempts),
        ("http", &users.http_attempts),
    ];
    let tried = protocols
        .into_iter()
        .filter(|(_, attempts)| attempts.counts() != (0, 0));
    let view = |(protocol, attempts): (&'static str, &crate::auth::Attempts)| {
        let (auth_attempts_succeeded, auth_attempts_failed) = attempts.counts();
        Attempts {
            protocol,
            auth_attempts: auth_attempts_succeeded + auth_attempts_failed,
            auth_attempts_failed,
            auth_attempts_succeeded,
        }
    };
    listing.list(tried.map(view), &["protocol"])
}

async fn list_by_source(
    caller: Caller,
    Path(node): Path<String>,
    listing: Listing,
) -> Result<Many<AttemptsBySource>, Refused> {
    must_be_here(&caller, &node)?;
    listing.list([], &["remote_address"])
}

async fn reset(caller: Caller, Path(node): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    must_be_here(&caller, &node)?;
    caller.users().amqp_attempts.reset();
    caller.users().http_attempts.reset();
    Ok(StatusCode::NO_CONTENT)
}
