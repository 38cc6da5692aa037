//! Logins of the web UI: `/api/login` gives a cookie for a password, and the cookie stands for the user until it is old.
//!
//! Scripts cannot read the cookie, and browsers send it only from pages of the broker itself. A request that would change something has to show
//! besides that such a page made it: see [`is_own`].

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::extract::{FromRequest, Request, State};
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Api;
use super::answer::One;
use super::caller::{Caller, peer_of};
use super::refused::Refused;
use super::routes::Routes;
use crate::auth::{Identity, Login, PeerInfo, Users};
use crate::random;

/// A session that is not used for so long is over.
const IDLE_MAX: Duration = Duration::from_hours(8);

/// A session that began so long ago is over.
const AGE_MAX: Duration = Duration::from_hours(7 * 24);

/// More sessions than people have: the one that was used the longest ago gives way.
const SESSIONS_MAX: usize = 10_000;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What scripts of a page can set, and forms and links of other pages cannot.
pub(super) const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// The sessions that there are, by the hash of their token. They are gone when the broker stops.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

#[derive(Debug)]
struct Session {
    login: Login,
    begun: Instant,
    used: Instant,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

pub(super) fn routes() -> Routes {
    Routes::of("Access")
        .post(
            "/login",
            login,
            "Begins a session for a browser; its cookie stands for the password from then on.",
        )
        .post("/logout", logout, "Ends the session.")
}

impl Sessions {
    /// Begins a session, and returns its token.
    fn begin(&self, login: Login) -> String {
        let token = random::token();
        let now = Instant::now();
        let mut sessions = self.0.lock();
        if sessions.len() >= SESSIONS_MAX {
            sessions.retain(|_, session| !session.is_over(now));
        }
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                sessions.remove(&key);
            }
        }
        let session = Session {
            login,
            begun: now,
            used: now,
        };
        sessions.insert(key(&token), session);
        token
    }

    /// The user of a session. One that is over, or whose user is gone or has another password, is forgotten.
    fn find(&self, token: &str, users: &Users, peer: &PeerInfo) -> Option<Identity> {
        let now = Instant::now();
        let mut sessions = self.0.lock();
        let session = sessions.get_mut(&key(token))?;
        let user = users.recall(&session.login, peer).ok();
        if session.is_over(now) || user.is_none() {
            sessions.remove(&key(token));
            return None;
        }
        session.used = now;
        user
    }

    fn end(&self, token: &str) {
        self.0.lock().remove(&key(token));
    }
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.used) > IDLE_MAX || now.duration_since(self.begun) > AGE_MAX
    }
}

/// Looking a hash up tells nothing about tokens by the time that it takes.
fn key(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The user that a request's cookie stands for, if it has one that is good.
pub(super) fn identify(api: &Api, parts: &Parts) -> Result<Option<Identity>, Refused> {
    let Some(token) = token(&parts.headers) else {
        return Ok(None);
    };
    let user = api
        .sessions()
        .find(token, api.users(), &peer_of(&parts.extensions));
    let changes = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
    if user.is_some() && changes && !is_own(&parts.headers) {
        let reason = "a change by a session has to come from a page of this broker, with the header X-Requested-With";
        return Err(Refused::forbidden(reason));
    }
    Ok(user)
}

/// Whether a page of the broker's own made the request: it has a header that no form or link of another page can set, and the browser,
/// if it says where the page is from, says that it is from here.
fn is_own(headers: &HeaderMap) -> bool {
    headers.contains_key(REQUESTED_WITH) && !is_foreign(headers)
}

/// Whether the browser says that a page of another site made the request.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let elsewhere = text(&ORIGIN).is_some_and(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_none() || host != text(&HOST)
    });
    elsewhere || text(&FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none")
}

/// Who has logged in.
#[derive(Serialize, JsonSchema)]
struct LoggedIn {
    name: String,
    tags: Vec<String>,
}

async fn login(State(api): State<Api>, request: Request) -> Result<One<LoggedIn>, Refused> {
    let (parts, body) = request.into_parts();
    if is_foreign(&parts.headers) {
        return Err(Refused::forbidden("log in from a page of this broker"));
    }
    let request = Request::from_parts(parts.clone(), body);
    let Form(given) = Form::<Credentials>::from_request(request, &api)
        .await
        .map_err(|error| Refused::bad_request(error.body_text()))?;
    let (user, password) = (given.username, given.password.into_bytes());
    let caller = Caller::of_password(&api, &parts.extensions, &user, &password).await?;
    let identity = caller.identity();
    let token = api.sessions().begin(Login::of(identity));
    let user = identity.user();
    tracing::info!(target: "amphora::audit", %user, "logged in to the web UI");
    let cookie = cookie(&parts.headers, &token);
    let answer = LoggedIn {
        name: user.to_string(),
        tags: identity.tags().to_vec(),
    };
    let answer = ([(SET_COOKIE, cookie)], Json(answer));
    Ok(One::written(answer))
}

/// Needs no session: one that is over can be logged out of.
async fn logout(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Refused> {
    if !is_own(&headers) {
        return Err(Refused::forbidden("log out from a page of this broker"));
    }
    if let Some(token) = token(&headers) {
        api.sessions().end(token);
    }
    let cookie = format!("{}; Max-Age=0", cookie(&headers, ""));
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

fn cookie(headers: &HeaderMap, token: &str) -> String {
    format!(
        "{}={token}; Path=/; HttpOnly; SameSite=Strict",
        cookie_name(headers)
    )
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let name = cookie_name(headers);
    let cookies = headers.get_all(COOKIE).into_iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(&name)?.strip_prefix('='))
}

/// Cookies know no ports, so that brokers on one machine must tell theirs apart by name.
fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let port = host.and_then(|host| host.rsplit_once(':'));
    match port {
        Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("amphora-session-{port}")
        }
        _ => "amphora-session".to_owned(),
    }
}
