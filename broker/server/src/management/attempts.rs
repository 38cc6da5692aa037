//! How often somebody tried to log in: `/api/auth/attempts`.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::caller::Caller;
use super::listing::Listing;
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

async fn list(
    caller: Caller,
    Path(node): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    must_be_here(&caller, &node)?;
    let users = caller.users();
    let protocols = [
        ("amqp091", &users.amqp_attempts),
        ("http", &users.http_attempts),
    ];
    let tried = protocols
        .into_iter()
        .filter(|(_, attempts)| attempts.counts() != (0, 0));
    let view = |(protocol, attempts): (&str, &crate::auth::Attempts)| {
        let (succeeded, failed) = attempts.counts();
        json!({
            "protocol": protocol,
            "auth_attempts": succeeded + failed,
            "auth_attempts_failed": failed,
            "auth_attempts_succeeded": succeeded,
        })
    };
    listing.list(tried.map(view).collect(), &["protocol"])
}

async fn list_by_source(
    caller: Caller,
    Path(node): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    must_be_here(&caller, &node)?;
    listing.list(Vec::new(), &["remote_address"])
}

async fn reset(caller: Caller, Path(node): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    must_be_here(&caller, &node)?;
    caller.users().amqp_attempts.reset();
    caller.users().http_attempts.reset();
    Ok(StatusCode::NO_CONTENT)
}

fn must_be_here(caller: &Caller, node: &str) -> Result<(), Refused> {
    caller.must_monitor()?;
    if node == caller.about().node {
        Ok(())
    } else {
        Err(Refused::not_found())
    }
}
