//! Where another broker's answers may differ: in what `differences.toml` names, with the reason, and in what means the same.

use std::collections::BTreeMap;

use amphora_tests::workspace;
use anyhow::Context;

/// Why a script is known not to be true of RabbitMQ 3.10, if it is.
pub(super) fn known_difference(script: &str) -> anyhow::Result<Option<String>> {
    let path = workspace().join("tests/transcripts/differences.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut known: BTreeMap<String, String> = toml::from_str(&text)?;
    Ok(known.remove(script))
}

/// The transcript without what means the same to a client: RabbitMQ up to 3.13 does not write the last death beside `x-death`,
/// and says `multiple` and `requeue` with a nack to a publisher, where there is no more than one and nothing to requeue. In some reasons of its
/// management API, characters are written as in HTML.
pub(super) fn leveled(transcript: &str) -> String {
    let lines = transcript.lines().map(|line| {
        if line.contains("< basic.nack") {
            return line.replace(" multiple", "").replace(" requeue", "");
        }
        if line.starts_with("the operator <") {
            return line.replace("&lt;", "<").replace("&gt;", ">");
        }
        without_last_death(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn without_last_death(line: &str) -> String {
    let mut left = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(", x-last-death-") {
        left.push_str(before);
        // The value is a name in quotes.
        let end = after
            .match_indices('"')
            .nth(1)
            .map_or(after.len(), |(at, _)| at + 1);
        rest = after.get(end..).unwrap_or_default();
    }
    left + rest
}
