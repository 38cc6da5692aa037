//! What the management API bounds: pages of others, how fast one address asks, how often its logins fail.

use amphora_tests::{Broker, PATIENCE, Settings};
use anyhow::ensure;
use ureq::http::{Request, Response};

use crate::api::Api;

const PAGE: &str = "https://panel.example.com";

fn ask(
    broker: &Broker,
    method: &str,
    headers: &[(&str, &str)],
) -> anyhow::Result<Response<ureq::Body>> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(Some(PATIENCE));
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{}/api/queues/%2F", broker.http()?));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(config.build().new_agent().run(request.body(())?)?)
}

fn header<'a>(response: &'a Response<ureq::Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

#[test]
fn pages_of_others_are_let_in_where_the_operator_says_so() -> anyhow::Result<()> {
    let broker = Broker::with(Settings {
        config: format!("[management]\ncors_allow_origins = [\"{PAGE}\"]\ncors_max_age = \"5m\"\n"),
        ..Settings::default()
    })?;
    let asked = [
        ("origin", PAGE),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization"),
    ];
    let answer = ask(&broker, "OPTIONS", &asked)?;
    ensure!(answer.status() == 200, "{answer:?}");
    ensure!(
        header(&answer, "access-control-allow-origin") == Some(PAGE),
        "{answer:?}"
    );
    ensure!(
        header(&answer, "access-control-allow-headers") == Some("authorization"),
        "{answer:?}"
    );
    ensure!(
        header(&answer, "access-control-max-age") == Some("300"),
        "{answer:?}"
    );
    let methods = header(&answer, "access-control-allow-methods");
    ensure!(
        methods.is_some_and(|methods| methods.contains("GET")),
        "{methods:?}"
    );
    let answer = ask(&broker, "GET", &[("origin", PAGE)])?;
    ensure!(answer.status() == 401, "{answer:?}");
    ensure!(
        header(&answer, "access-control-allow-credentials") == Some("true"),
        "{answer:?}"
    );
    let answer = ask(&broker, "GET", &[("origin", "https://other.example.com")])?;
    ensure!(
        header(&answer, "access-control-allow-origin").is_none(),
        "{answer:?}"
    );
    Ok(())
}

#[test]
fn without_a_word_of_the_operator_no_page_is_let_in() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let answer = ask(&broker, "OPTIONS", &[("origin", PAGE)])?;
    ensure!(answer.status() == 200, "{answer:?}");
    ensure!(
        header(&answer, "allow").is_some_and(|allow| allow.contains("GET")),
        "{answer:?}"
    );
    ensure!(
        header(&answer, "access-control-allow-origin").is_none(),
        "{answer:?}"
    );
    Ok(())
}

#[test]
fn who_asks_too_fast_or_guesses_passwords_is_told_to_wait() -> anyhow::Result<()> {
    let broker = Broker::with(Settings {
        config: "[management]\nrequests_max = 20\nfailed_logins_max = 3\n".to_owned(),
        ..Settings::default()
    })?;
    let right = Api::of(&broker)?;
    right.get("/whoami")?;
    let wrong = Api::with_login(&broker, "Basic Z3Vlc3Q6d3Jvbmc=")?;
    let statuses: Result<Vec<_>, _> = (0..4)
        .map(|_| wrong.call("GET", "/whoami", &serde_json::Value::Null))
        .collect();
    let statuses: Vec<_> = statuses?.into_iter().map(|(status, _)| status).collect();
    ensure!(statuses == [401, 401, 401, 429], "{statuses:?}");
    let (status, answer) = right.call("GET", "/whoami", &serde_json::Value::Null)?;
    ensure!(
        status == 429 && answer["error"] == "too_many_requests",
        "{answer}"
    );
    Ok(())
}
