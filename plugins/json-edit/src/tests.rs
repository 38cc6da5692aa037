//! Edits, and what they leave alone.

use amphora_sdk::testing::grants::configure;
use amphora_sdk::testing::{TestMessage, Transforming, message};
use amphora_sdk::transform::{Replacement, Verdict};
use amphora_sdk::{Table, Value};

use super::JsonEdit;

fn refused(edits: &str) -> String {
    configure([("edit", edits)]);
    Transforming::<JsonEdit>::configure().expect_err("refused")
}

/// The body that a message goes on with. None if it passes as it is.
fn edited(edits: &str, message: &TestMessage) -> Option<String> {
    configure([("edit", edits)]);
    let mut plugin = Transforming::<JsonEdit>::configure().expect("sound edits");
    let mut replacements = match plugin.apply(message) {
        Verdict::Pass => return None,
        Verdict::Replace(replacements) => replacements,
        other => panic!("{other:?}"),
    };
    let Replacement { body, .. } = replacements.pop().expect("one message");
    Some(String::from_utf8(body.expect("a body")).expect("UTF-8"))
}

fn body(edits: &str, body: &str) -> Option<String> {
    edited(edits, &message().body(body))
}

#[test]
fn what_is_removed_is_gone_and_the_rest_stays_as_it_was() {
    let edits = r#"[{"at": "/b", "action": "remove"}, {"at": "/c/1", "action": "remove"}]"#;
    let found = body(
        edits,
        r#"{"z": 1.50, "b": {"x": 1}, "c": [1, 2, 12345678901234567890123]}"#,
    );
    assert_eq!(
        found.as_deref(),
        Some(r#"{"z":1.50,"c":[1,12345678901234567890123]}"#)
    );
}

#[test]
fn a_message_without_the_place_passes_byte_for_byte() {
    let edits = r#"[{"at": "/b", "action": "remove"}, {"at": "/a/b", "action": "redact"}, {"at": "/c/*/d", "action": "mask"}]"#;
    for text in [
        "{ \"a\" : 1 }",
        "[1]",
        "7",
        r#"{"c": {}}"#,
        r#"{"c": [{}]}"#,
    ] {
        assert_eq!(body(edits, text), None, "{text}");
    }
}

#[test]
fn what_a_name_hides_that_is_there_twice_does_not_go_on() {
    let edits = r#"[{"at": "/items/*/internal", "action": "remove"}]"#;
    let hidden = r#"{"items": [{"internal": "SECRET"}], "items": []}"#;
    assert_eq!(body(edits, hidden).as_deref(), Some(r#"{"items":[]}"#));
    let elsewhere = r#"{"a": [{"b": 1, "b": 2}]}"#;
    assert_eq!(
        body(edits, elsewhere).as_deref(),
        Some(r#"{"a":[{"b":2}]}"#)
    );
}

#[test]
fn what_is_redacted_is_replaced_only_where_it_is() {
    let edits =
        r#"[{"at": "/a", "action": "redact"}, {"at": "/b", "action": "redact", "with": null}]"#;
    let found = body(edits, r#"{"a": {"secret": 1}, "b": "x"}"#);
    assert_eq!(found.as_deref(), Some(r#"{"a":"[redacted]","b":null}"#));
    assert_eq!(body(edits, r#"{"a": "[redacted]"}"#), None);
}

#[test]
fn a_mask_keeps_the_end() {
    let edits = r#"[{"at": "/n", "action": "mask", "keep": 4}]"#;
    for (value, expected) in [
        (r#""4111111111111234""#, r#""************1234""#),
        ("4111111234", r#""******1234""#),
        (r#""1234""#, r#""****""#),
        (r#""äöüßé""#, r#""*öüßé""#),
        (r#""""#, r#""""#),
        ("true", r#""****""#),
        ("[1]", r#""****""#),
    ] {
        let found = body(edits, &format!(r#"{{"n":{value}}}"#));
        let found = found.unwrap_or_else(|| format!(r#"{{"n":{value}}}"#));
        assert_eq!(found, format!(r#"{{"n":{expected}}}"#));
    }
    assert_eq!(body(edits, r#"{"n": null}"#), None);
}

#[test]
fn a_star_is_all_of_them() {
    let edits = r#"[{"at": "/*/items/*/card", "action": "mask"}, {"at": "/*/items/*/ok", "action": "set", "value": true}]"#;
    let found = body(
        edits,
        r#"{"a": {"items": [{"card": "12"}, {}, 7]}, "b": {"items": {"x": {"card": "3"}}}}"#,
    );
    assert_eq!(
        found.as_deref(),
        Some(
            r#"{"a":{"items":[{"card":"**","ok":true},{"ok":true},7]},"b":{"items":{"x":{"card":"*","ok":true}}}}"#
        )
    );
    let remove = r#"[{"at": "/*", "action": "remove"}]"#;
    assert_eq!(body(remove, "[1, 2]").as_deref(), Some("[]"));
    assert_eq!(body(remove, r#"{"a": 1}"#).as_deref(), Some("{}"));
}

#[test]
fn values_are_set_from_wherever_they_are_known() {
    let edits = r#"[
        {"at": "/meta/tenant", "action": "set", "header": "tenant"},
        {"at": "/meta/key", "action": "set", "from": "routing-key"},
        {"at": "/meta/exchange", "action": "set", "from": "exchange"},
        {"at": "/meta/user", "action": "set", "from": "user"},
        {"at": "/meta/time", "action": "set", "from": "time"},
        {"at": "/meta/none", "action": "set", "header": "none"},
        {"at": "/again", "action": "set", "header": "tenant"}
    ]"#;
    let message = message()
        .exchange("ex")
        .routing_key("key")
        .user("me")
        .time_ms(7)
        .header(
            "tenant",
            Table::from([("id", Value::Array(vec![1.into(), vec![0xab].into()]))]),
        )
        .body("{}");
    assert_eq!(
        edited(edits, &message).as_deref(),
        Some(
            r#"{"meta":{"tenant":{"id":[1,"ab"]},"key":"key","exchange":"ex","user":"me","time":7},"again":{"id":[1,"ab"]}}"#
        )
    );
}

#[test]
fn what_is_there_is_overwritten_unless_the_operator_says_no() {
    let set = |overwrite: bool, text: &str| {
        let edits =
            format!(r#"[{{"at": "/a", "action": "set", "value": 1, "overwrite": {overwrite}}}]"#);
        body(&edits, text)
    };
    assert_eq!(set(true, r#"{"a":2}"#).as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(set(true, r#"{"a":1}"#), None);
    assert_eq!(set(false, r#"{"a":2}"#), None);
    assert_eq!(set(false, "{}").as_deref(), Some(r#"{"a":1}"#));
}

#[test]
fn arrays_get_further_elements_at_their_end() {
    let append = r#"[{"at": "/a/-", "action": "set", "value": 3}]"#;
    assert_eq!(
        body(append, r#"{"a":[1]}"#).as_deref(),
        Some(r#"{"a":[1,3]}"#)
    );
    let second = r#"[{"at": "/a/1/x", "action": "set", "value": 3}]"#;
    assert_eq!(body(second, r#"{"a":[1]}"#), None);
    assert_eq!(
        body(second, r#"{"a":[1,{}]}"#).as_deref(),
        Some(r#"{"a":[1,{"x":3}]}"#)
    );
}

#[test]
fn what_is_no_json_passes_or_is_rejected() {
    let edit = ("edit", r#"[{"at": "/a", "action": "remove"}]"#);
    configure([edit]);
    let mut lenient = Transforming::<JsonEdit>::configure().expect("sound");
    assert_eq!(lenient.apply(&message().body("a=1")), Verdict::Pass);
    configure([edit, ("not-json", "reject")]);
    let mut strict = Transforming::<JsonEdit>::configure().expect("sound");
    assert_eq!(
        strict.apply(&message().body("a=1")),
        Verdict::Reject("the body is no JSON: expected value at line 1 column 1".to_owned())
    );
}

#[test]
fn a_configuration_of_no_use_is_named() {
    let list = "config key 'edit' is a list of tables, [[plugin.config.edit]]";
    for (edits, expected) in [
        ("", list),
        ("{}", list),
        ("[1]", "edit 1: it is 1, and no table"),
        (r#"[{"action": "remove"}]"#, "edit 1: 'at' is missing"),
        (r#"[{"at": "/a"}]"#, "edit 1: 'action' is missing"),
        (
            r#"[{"at": "a", "action": "remove"}]"#,
            "edit 1: 'a' is no JSON pointer: it must begin with '/'",
        ),
        (
            r#"[{"at": "", "action": "remove"}]"#,
            "edit 1: 'at' names a place within the document, such as \"/card/number\"",
        ),
        (
            r#"[{"at": "/a", "action": "remove"}, {"at": "/a", "action": "hide"}]"#,
            "edit 2: 'action' is \"remove\", \"redact\", \"mask\" or \"set\", not \"hide\"",
        ),
        (
            r#"[{"at": "/a", "action": "remove", "keep": 1}]"#,
            "edit 1: 'keep' means nothing here",
        ),
        (
            r#"[{"at": "/a", "action": "mask", "keep": -1}]"#,
            "edit 1: 'keep' is a number of characters, not -1",
        ),
        (
            r#"[{"at": "/a", "action": "set"}]"#,
            "edit 1: one of 'value', 'header' and 'from' says what is set",
        ),
        (
            r#"[{"at": "/a", "action": "set", "value": 1, "header": "h"}]"#,
            "edit 1: one of 'value', 'header' and 'from' says what is set",
        ),
        (
            r#"[{"at": "/a", "action": "set", "from": "key"}]"#,
            "edit 1: 'from' is \"routing-key\", \"exchange\", \"user\" or \"time\", not \"key\"",
        ),
    ] {
        assert_eq!(refused(edits), expected);
    }
    configure([("not-json", "drop")]);
    let error = Transforming::<JsonEdit>::configure().expect_err("refused");
    assert_eq!(
        error,
        "config key 'not-json' is \"pass\" or \"reject\", not \"drop\""
    );
}
