//! What an operator does: requests to the management API, and commands.

use std::process::Command;

use amphora_tests::{Broker, binary};
use anyhow::{Context, ensure};
use serde_json::Value;

/// Asks the management API. Returns the status, and what it says.
pub(crate) fn ask(
    broker: &Broker,
    method: &str,
    path: &str,
    body: &[u8],
) -> anyhow::Result<(u16, String)> {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{}/api{path}", broker.http()?))
        .header("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")
        .body(body.to_vec())?;
    let settings = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = ureq::Agent::new_with_config(settings.build());
    let answer = agent.run(request);
    let answer = answer.with_context(|| format!("{method} {path}"))?;
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().read_to_string()?))
}

/// Uploads a component. Returns the status, and what is said.
pub(crate) fn upload(
    broker: &Broker,
    name: &str,
    component: &[u8],
) -> anyhow::Result<(u16, String)> {
    ask(broker, "PUT", &format!("/plugins/{name}"), component)
}

/// What the management API says of a plugin.
pub(crate) fn shown(broker: &Broker, name: &str) -> anyhow::Result<Value> {
    let (status, text) = ask(broker, "GET", &format!("/plugins/{name}"), b"")?;
    ensure!(status == 200, "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

/// Runs `amphora ctl`. Returns whether it ended well, and all that it said.
pub(crate) fn ctl(broker: &Broker, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let url = format!("http://{}", broker.http()?);
    let output = Command::new(binary()?)
        .args(["ctl", "--url", &url])
        .args(arguments)
        .output()
        .context("amphora does not run")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok((output.status.success(), said))
}
