//! The management API, and where spans go.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::value::{self, Maximum};

/// What the management API lets callers do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Management {
    /// Pages of these origins may use the API in a browser; `*` stands for all.
    #[serde(deserialize_with = "origins")]
    pub cors_allow_origins: Vec<String>,
    /// How long a browser may remember what it was allowed.
    #[serde(deserialize_with = "value::duration")]
    #[serde(serialize_with = "value::duration_out")]
    pub cors_max_age: Duration,
    /// Requests of one address in a second; twice as many may come at once.
    pub requests_max: Maximum,
    /// Logins of one address in a minute that may fail.
    pub failed_logins_max: Maximum,
}

/// Where spans are exported to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tracing {
    /// Where a collector takes OTLP over HTTP; nothing is exported without it.
    #[serde(deserialize_with = "endpoint")]
    pub endpoint: Option<String>,
    /// The name under which the collector knows the broker.
    pub service_name: String,
    /// One commit in so many has a span.
    #[serde(deserialize_with = "value::from_range::<_, _, 1, 1_000_000>")]
    pub commits_every: u32,
}

impl Default for Management {
    fn default() -> Self {
        Self {
            cors_allow_origins: Vec::new(),
            cors_max_age: Duration::from_mins(30),
            requests_max: Maximum::UNLIMITED,
            failed_logins_max: Maximum::at_most(60),
        }
    }
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            endpoint: None,
            service_name: "amphora".to_owned(),
            commits_every: 100,
        }
    }
}

fn origins<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let origins = Vec::<String>::deserialize(from)?;
    let is_origin = |text: &String| {
        let rest = text
            .strip_prefix("https://")
            .or(text.strip_prefix("http://"));
        text == "*" || rest.is_some_and(|host| !host.is_empty() && !host.contains('/'))
    };
    match origins.iter().find(|text| !is_origin(text)) {
        Some(text) => Err(de::Error::custom(format!(
            "{text:?} is no origin; give \"https://HOST\" or \"http://HOST:PORT\" without a path, or \"*\""
        ))),
        None => Ok(origins),
    }
}

fn endpoint<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let is_http = text
        .parse::<axum::http::Uri>()
        .is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    if is_http {
        return Ok(Some(text));
    }
    Err(de::Error::custom(format!(
        "{text:?} is no address of a collector; give one such as \"http://127.0.0.1:4318/v1/traces\""
    )))
}
