//! A caller of the management API.

use amphora_tests::{Broker, PATIENCE};
use anyhow::{Context, ensure};
use serde_json::Value;
use ureq::http::Request;

/// `guest:guest`
const GUEST: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// The management API of one broker, as one user.
pub(crate) struct Api {
    agent: ureq::Agent,
    root: String,
    login: String,
    /// Sent as `X-Reason`.
    pub(crate) reason: Option<&'static str>,
}

impl Api {
    /// As `guest`.
    pub(crate) fn of(broker: &Broker) -> anyhow::Result<Self> {
        Self::with_login(broker, GUEST)
    }

    /// As whom this `Authorization` names.
    pub(crate) fn with_login(broker: &Broker, login: &str) -> anyhow::Result<Self> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE));
        Ok(Self {
            agent: config.build().new_agent(),
            root: format!("http://{}/api", broker.http()?),
            login: login.to_owned(),
            reason: None,
        })
    }

    /// The answer to a question that has one.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, answer) = self.call("GET", path, &Value::Null)?;
        ensure!(status == 200, "{path}: {status} {answer}");
        Ok(answer)
    }

    /// Does something that is expected to work, and returns the answer.
    pub(crate) fn run(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let (status, answer) = self.call(method, path, body)?;
        let done = (200..300).contains(&status);
        ensure!(done, "{method} {path} {body}: {status} {answer}");
        Ok(answer)
    }

    /// Does something, and returns status and answer, whatever they are. No body is `null`, and so is an empty answer.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.root))
            .header("authorization", &self.login)
            .header("content-type", "application/json");
        if let Some(reason) = self.reason {
            request = request.header("x-reason", reason);
        }
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let mut response = self.agent.run(request.body(body)?)?;
        let text = response.body_mut().read_to_string()?;
        let answer = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).with_context(|| text.clone())?
        };
        Ok((response.status().as_u16(), answer))
    }
}

/// The columns of an object, in the order that they are asked for.
pub(crate) fn columns<const N: usize>(object: &Value, names: [&str; N]) -> [Value; N] {
    names.map(|name| object[name].clone())
}

/// The one element of a list.
pub(crate) fn only(list: &Value) -> anyhow::Result<&Value> {
    match list.as_array().map(Vec::as_slice) {
        Some([one]) => Ok(one),
        _ => anyhow::bail!("not one element: {list}"),
    }
}
