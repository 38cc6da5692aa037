//! The HTTP side: requests to the management API, and what becomes of those that fail.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::{Method, Request, StatusCode};
use ureq::{Agent, Body};

use crate::cli::environment;
use crate::cli::exit::Exit;

/// How long a broker may take to accept the connection, and to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// The longest answer that is read.
const ANSWER_MAX: u64 = 512 << 20;

/// A client of one broker, as one user, in one virtual host.
#[derive(Clone)]
pub(super) struct Client {
    agent: Agent,
    url: String,
    user: String,
    authorization: String,
    vhost: String,
    answer_timeout: Duration,
}

/// What a request carries.
enum Content<'a> {
    Nothing,
    Json(&'a Value),
    Component(Vec<u8>),
}

/// What a request is about, in the words that a refusal should use: `queue 'q' in vhost '/'`.
pub(super) struct About(pub(super) String);

impl Client {
    pub(super) fn new(url: &str, user: &str, password: &str, vhost: &str) -> Result<Self, Exit> {
        let url = url.trim_end_matches('/');
        if !url.starts_with("http://") {
            let source = environment::source("--url", "AMPHORA_URL");
            let source = source.unwrap_or("--url");
            return Err(Exit::Usage(format!(
                "{source} {url}: give an address such as http://127.0.0.1:15672"
            )));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .build();
        Ok(Self {
            agent: agent.into(),
            url: url.to_owned(),
            user: user.to_owned(),
            authorization: format!("Basic {}", BASE64.encode(format!("{user}:{password}"))),
            vhost: vhost.to_owned(),
            answer_timeout: ANSWER_TIMEOUT,
        })
    }

    /// The same client, which waits so long for answers.
    pub(super) fn waiting(&self, answer_timeout: Duration) -> Self {
        Self {
            answer_timeout,
            ..self.clone()
        }
    }

    /// Checks a user's password.
    pub(super) fn authenticate(&self, user: &str, password: &str) -> Result<(), Exit> {
        let other = Self {
            user: user.to_owned(),
            authorization: format!("Basic {}", BASE64.encode(format!("{user}:{password}"))),
            ..self.clone()
        };
        match other.get("/whoami", &About(format!("user '{user}'"))) {
            // Whoever may not use the API was let in as far as its door.
            Err(Exit::Failed(reason)) if reason == "Not management user" => Ok(()),
            other => other.map(drop),
        }
    }

    pub(super) fn vhost(&self) -> &str {
        &self.vhost
    }

    /// A thing of this kind and name in the virtual host.
    pub(super) fn about(&self, kind: &str, name: &str) -> About {
        About(format!("{kind} '{name}' in vhost '{}'", self.vhost))
    }

    pub(super) fn get(&self, path: &str, about: &About) -> Result<Value, Exit> {
        self.send(Method::GET, path, Content::Nothing, &[], about)
    }

    pub(super) fn put(&self, path: &str, body: &Value, about: &About) -> Result<Value, Exit> {
        self.send(Method::PUT, path, Content::Json(body), &[], about)
    }

    pub(super) fn put_component(
        &self,
        path: &str,
        component: Vec<u8>,
        about: &About,
    ) -> Result<Value, Exit> {
        let content = Content::Component(component);
        self.send(Method::PUT, path, content, &[], about)
    }

    pub(super) fn post(&self, path: &str, body: &Value, about: &About) -> Result<Value, Exit> {
        self.send(Method::POST, path, Content::Json(body), &[], about)
    }

    pub(super) fn delete(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        about: &About,
    ) -> Result<Value, Exit> {
        self.send(Method::DELETE, path, Content::Nothing, headers, about)
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        content: Content<'_>,
        headers: &[(&str, &str)],
        about: &About,
    ) -> Result<Value, Exit> {
        let uri = format!("{}/api{path}", self.url);
        let mut request = Request::builder().method(method).uri(&uri);
        request = request.header("authorization", &self.authorization);
        let (kind, body) = match content {
            Content::Nothing => ("application/json", Vec::new()),
            Content::Json(value) => ("application/json", value.to_string().into_bytes()),
            Content::Component(component) => ("application/wasm", component),
        };
        request = request.header("content-type", kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(body)
            .map_err(|error| Exit::Usage(format!("{uri}: {error}")))?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_global(Some(self.answer_timeout)).build();
        let response = self
            .agent
            .run(request)
            .map_err(|error| self.unreachable(&error))?;
        let (head, body) = response.into_parts();
        let answer = self.read(body)?;
        if head.status.is_success() {
            Ok(answer)
        } else {
            Err(self.refusal(head.status, &answer, about))
        }
    }

    fn read(&self, mut body: Body) -> Result<Value, Exit> {
        let text = body.with_config().limit(ANSWER_MAX).read_to_string();
        let text = text.map_err(|error| self.unreachable(&error))?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        let foreign = |_| {
            Exit::Unavailable(format!(
                "what answers at {} is not a broker's management API",
                self.url
            ))
        };
        serde_json::from_str(&text).map_err(foreign)
    }

    fn unreachable(&self, error: &ureq::Error) -> Exit {
        Exit::Unavailable(format!(
            "the broker at {} cannot be reached: {error}; is it running, and is this its management address (--url)?",
            self.url
        ))
    }

    fn refusal(&self, status: StatusCode, answer: &Value, about: &About) -> Exit {
        let reason = answer
            .get("reason")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match (status, answer.get("error").and_then(Value::as_str)) {
            (StatusCode::UNAUTHORIZED, Some("not_authorized") | None) => Exit::Denied(format!(
                "the broker refused the login of user '{}': {reason}",
                self.user
            )),
            (StatusCode::NOT_FOUND, _) if reason == "vhost_not_found" => {
                Exit::Failed(format!("there is no vhost '{}'", self.vhost))
            }
            (StatusCode::NOT_FOUND, Some("Object Not Found")) => {
                Exit::Failed(format!("there is no {}", about.0))
            }
            _ if reason.is_empty() => {
                Exit::Failed(format!("{}: the broker answered {status}", about.0))
            }
            _ => Exit::Failed(reason.to_owned()),
        }
    }
}

/// One part of a path.
pub(super) fn segment(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// An exchange as a part of a path, which cannot be empty.
pub(super) fn exchange_segment(name: &str) -> String {
    segment(if name.is_empty() { "amq.default" } else { name })
}
