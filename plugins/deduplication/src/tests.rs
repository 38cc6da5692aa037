//! What counts as a duplicate, and for how long.

use amphora_sdk::testing::grants::{self, configure};
use amphora_sdk::testing::{TestMessage, Transforming, message};
use amphora_sdk::transform::Verdict;
use amphora_sdk::{Properties, Value};

use super::Deduplication;

fn configured(config: &[(&str, &str)]) -> Transforming<Deduplication> {
    configure(config.iter().copied());
    Transforming::configure().expect("a sound configuration")
}

fn with(id: &str) -> TestMessage {
    message()
        .exchange("ex")
        .header("x-deduplication-header", id)
}

#[test]
fn the_second_one_is_dropped_and_counted() {
    let mut plugin = configured(&[]);
    assert_eq!(plugin.apply(&with("a")), Verdict::Pass);
    assert_eq!(plugin.apply(&with("b")), Verdict::Pass);
    assert_eq!(plugin.apply(&with("a")), Verdict::Drop);
    assert_eq!(grants::counter("duplicates"), 1);
}

#[test]
fn what_has_no_identity_passes_always() {
    let mut plugin = configured(&[]);
    for message in [
        message(),
        message().header("x-deduplication-header", Value::Void),
    ] {
        assert_eq!(plugin.apply(&message), Verdict::Pass);
        assert_eq!(plugin.apply(&message), Verdict::Pass);
    }
    assert_eq!(grants::kv_len(), 0);
}

#[test]
fn places_are_kept_apart() {
    let mut plugin = configured(&[]);
    assert_eq!(plugin.apply(&with("a")), Verdict::Pass);
    assert_eq!(plugin.apply(&with("a").exchange("other")), Verdict::Pass);
    assert_eq!(plugin.apply(&with("a").vhost("other")), Verdict::Pass);
    assert_eq!(plugin.apply_to_queue(&with("a"), "ex"), Verdict::Pass);
    assert_eq!(
        plugin.apply_to_queue(&with("a").exchange("other"), "ex"),
        Verdict::Drop
    );
}

#[test]
fn all_instances_know_what_one_has_seen() {
    let mut first = configured(&[]);
    let mut second = configured(&[]);
    assert_eq!(first.apply(&with("a")), Verdict::Pass);
    assert_eq!(second.apply(&with("a")), Verdict::Drop);
}

#[test]
fn the_window_ends_with_its_time() {
    let mut plugin = configured(&[("window", "30s")]);
    assert_eq!(plugin.apply(&with("a")), Verdict::Pass);
    grants::set_now_ms(29_999);
    assert_eq!(plugin.apply(&with("a")), Verdict::Drop);
    grants::set_now_ms(30_000);
    assert_eq!(plugin.apply(&with("a")), Verdict::Pass);
    assert_eq!(plugin.apply(&with("a")), Verdict::Drop);
}

#[test]
fn the_window_ends_after_so_many_messages() {
    let mut plugin = configured(&[("count", "2"), ("window", "30s")]);
    let mut apply = |id: &str| plugin.apply(&with(id)) == Verdict::Pass;
    assert!(apply("a"));
    assert!(apply("b"));
    assert!(!apply("a"));
    assert!(apply("c"), "which pushes a out");
    assert!(!apply("b"));
    assert!(apply("a"), "which pushes b out");
    assert!(!apply("c"));
    assert!(apply("b"));
    // Two identities, two places in the ring, one number.
    assert_eq!(grants::kv_len(), 5);
}

#[test]
fn what_came_again_after_its_time_is_not_pushed_out_for_its_old_place() {
    let mut plugin = configured(&[("count", "3"), ("window", "10s")]);
    let mut apply = |id: &str| plugin.apply(&with(id)) == Verdict::Pass;
    assert!(apply("a"));
    grants::set_now_ms(10_000);
    assert!(apply("a"));
    assert!(apply("b"));
    assert!(apply("c"));
    assert!(!apply("a"));
}

#[test]
fn the_header_has_another_name_if_the_operator_says_so() {
    let mut plugin = configured(&[("header", "id")]);
    assert_eq!(plugin.apply(&message().header("id", 7)), Verdict::Pass);
    assert_eq!(plugin.apply(&message().header("id", "7")), Verdict::Pass);
    assert_eq!(
        plugin.apply(&message().header("id", Value::Unsigned(7))),
        Verdict::Drop
    );
}

#[test]
fn a_message_is_known_by_its_message_id() {
    let mut plugin = configured(&[("by", "message-id"), ("duplicates", "reject")]);
    let with = |id: &str| {
        message().properties(Properties {
            message_id: Some(id.to_owned()),
            ..Properties::default()
        })
    };
    assert_eq!(plugin.apply(&with("a")), Verdict::Pass);
    assert_eq!(plugin.apply(&with("b")), Verdict::Pass);
    let reason = "a message with this message-id was here already".to_owned();
    assert_eq!(plugin.apply(&with("a")), Verdict::Reject(reason));
    assert_eq!(plugin.apply(&message()), Verdict::Pass);
    assert_eq!(plugin.apply(&message()), Verdict::Pass);
}

#[test]
fn a_message_is_known_by_its_body_and_routing_key() {
    let mut plugin = configured(&[("by", "body")]);
    let with = |key: &str, body: &str| message().routing_key(key).body(body);
    assert_eq!(plugin.apply(&with("k", "a")), Verdict::Pass);
    assert_eq!(plugin.apply(&with("k", "b")), Verdict::Pass);
    assert_eq!(plugin.apply(&with("l", "a")), Verdict::Pass);
    assert_eq!(plugin.apply(&with("", "ka")), Verdict::Pass);
    assert_eq!(plugin.apply(&with("k", "a")), Verdict::Drop);
}

#[test]
fn a_configuration_of_no_use_is_named() {
    for (config, expected) in [
        (
            ("by", "key"),
            "config key 'by' is \"header\", \"message-id\" or \"body\", not \"key\"",
        ),
        (
            ("count", "0"),
            "config key 'count' is 0, and nothing would be a duplicate",
        ),
        (
            ("count", "x"),
            "config key 'count': 'x': invalid digit found in string",
        ),
        (
            ("window", "5"),
            "config key 'window' is a time such as \"500ms\", \"30s\", \"5m\", \"2h\" or \"1d\", not \"5\"",
        ),
        (
            ("window", "0s"),
            "config key 'window' is a time such as \"500ms\", \"30s\", \"5m\", \"2h\" or \"1d\", not \"0s\"",
        ),
        (
            ("duplicates", "keep"),
            "config key 'duplicates' is \"drop\" or \"reject\", not \"keep\"",
        ),
        (
            ("windows", "5m"),
            "config key 'windows' means nothing; the keys are: by, header, window, count, duplicates",
        ),
    ] {
        configure([config]);
        let error = Transforming::<Deduplication>::configure().expect_err("of no use");
        assert_eq!(error, expected);
    }
    configure([("by", "body"), ("header", "id")]);
    let error = Transforming::<Deduplication>::configure().expect_err("of no use");
    assert_eq!(
        error,
        "config key 'header' means something only with by = \"header\""
    );
}
