//! What an operator asks of the management API while clients talk.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;
use ureq::http;

use super::place::Place;

/// `guest:guest`
const AUTHORIZATION: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// What stands for the virtual host of the script in a path.
const VHOST: &str = "VHOST";

/// RabbitMQ looks at its objects every five seconds.
const LAG_MAX: Duration = Duration::from_secs(7);

/// RabbitMQ tells its queues what has changed for them after it has answered.
const SPREAD: Duration = Duration::from_millis(300);

/// A request to the management API.
#[derive(Debug)]
pub(super) struct Question {
    method: &'static str,
    path: String,
    body: String,
    /// What of the answer matters, unless it is an error.
    columns: Vec<String>,
}

impl Question {
    /// Reads `puts PATH JSON`, `deletes PATH`, or `gets PATH COLUMN…`.
    pub(super) fn parse(line: &str) -> anyhow::Result<Self> {
        let (verb, rest) = line.split_once(' ').context("does what?")?;
        let (path, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let (method, body, columns) = match verb {
            "puts" => ("PUT", rest, ""),
            "deletes" => ("DELETE", "", ""),
            "gets" => ("GET", "", rest),
            _ => bail!("{verb}?"),
        };
        Ok(Self {
            method,
            path: path.to_owned(),
            body: body.to_owned(),
            columns: columns.split_whitespace().map(str::to_owned).collect(),
        })
    }

    /// The status, and what matters of the answer.
    pub(super) fn ask(&self, place: &Place) -> anyhow::Result<String> {
        let answer = self.ask_once(place)?;
        if !place.is_own() && !self.is_look() {
            std::thread::sleep(SPREAD);
        }
        Ok(answer)
    }

    /// Asks again until the answer is as expected, if it is another broker that may take its time.
    pub(super) fn ask_until(&self, place: &Place, expected: &str) -> anyhow::Result<String> {
        let begun = Instant::now();
        loop {
            let answer = self.ask_once(place)?;
            if answer == expected || begun.elapsed() > LAG_MAX {
                return Ok(answer);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether nothing comes of it.
    pub(super) fn is_look(&self) -> bool {
        self.method == "GET"
    }

    fn ask_once(&self, place: &Place) -> anyhow::Result<String> {
        let path = self.path.replace(VHOST, &place.vhost_in_paths());
        let (status, body) = request(&place.http()?, self.method, &path, &self.body)?;
        let answer: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
        let of_columns = || -> Vec<String> {
            let shown = |name: &String| format!("{name}={}", answer[name]);
            self.columns.iter().map(shown).collect()
        };
        let answer = match status {
            200..300 if self.columns.is_empty() => status.to_string(),
            200..300 => format!("{status} {}", of_columns().join(" ")),
            _ => format!("{status} {}", answer["reason"]),
        };
        Ok(place.at_home(&answer))
    }
}

/// Status and body of the answer to a request as `guest`.
pub(super) fn request(
    http: &str,
    method: &str,
    path: &str,
    body: &str,
) -> anyhow::Result<(u16, String)> {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.build().new_agent();
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://{http}/api/{path}"))
        .header("authorization", AUTHORIZATION)
        .header("content-type", "application/json");
    let mut answer = agent.run(request.body(body.to_owned())?)?;
    Ok((
        answer.status().as_u16(),
        answer.body_mut().read_to_string()?,
    ))
}
