//! Which messages are looked at, and what becomes of them.

use amphora_sdk::testing::grants::{configure, counter};
use amphora_sdk::testing::{TestMessage, Transforming, message};
use amphora_sdk::transform::Verdict;

use super::JsonSchema;

const RULES: &str = r#"[
    {"exchange": "orders", "key": "order.*", "schema": {"type": "object", "required": ["id", "total", "customer", "lines"]}},
    {"exchange": "orders", "schema": "{\"type\": \"array\"}"},
    {"key": "audit.#", "schema": false}
]"#;

fn configured(config: &[(&str, &str)]) -> Transforming<JsonSchema> {
    configure(config.iter().copied());
    Transforming::configure().expect("sound rules")
}

fn order(key: &str, body: &str) -> TestMessage {
    message().exchange("orders").routing_key(key).body(body)
}

fn rejected(reason: &str) -> Verdict {
    Verdict::Reject(reason.to_owned())
}

#[test]
fn the_first_rule_that_concerns_a_message_is_applied() {
    let mut plugin = configured(&[("rule", RULES)]);
    let whole = r#"{"id": 1, "total": 2, "customer": 3, "lines": []}"#;
    assert_eq!(plugin.apply(&order("order.new", whole)), Verdict::Pass);
    assert_eq!(plugin.apply(&order("other", "[]")), Verdict::Pass);
    assert_eq!(
        plugin.apply(&order("other", whole)),
        rejected("the body is not valid: it must be of type array")
    );
    let other = message().exchange("other").body("no JSON");
    assert_eq!(plugin.apply(&other), Verdict::Pass);
    assert_eq!(
        plugin.apply(&message().routing_key("audit.login").body("1")),
        rejected("the body is not valid: it must not be there")
    );
}

#[test]
fn the_reason_tells_the_first_errors() {
    let mut plugin = configured(&[("rule", RULES)]);
    assert_eq!(
        plugin.apply(&order("order.new", "{}")),
        rejected("the body is not valid: /id is missing; /total is missing; /customer is missing")
    );
    assert_eq!(
        plugin.apply(&order("order.new", "{")),
        rejected("the body is no JSON: EOF while parsing an object at line 1 column 1")
    );
    assert_eq!(counter("invalid"), 2);
}

#[test]
fn what_is_not_valid_is_dead_lettered_if_the_operator_says_so() {
    let mut plugin = configured(&[("rule", RULES), ("invalid", "dead-letter")]);
    let reason = "the body is not valid: it must be of type array".to_owned();
    assert_eq!(
        plugin.apply(&order("other", "1")),
        Verdict::DeadLetter(reason)
    );
}

#[test]
fn a_configuration_of_no_use_is_named() {
    let list = "config key 'rule' is a list of tables, [[plugin.config.rule]]";
    for (rules, expected) in [
        ("", list),
        ("{}", list),
        ("[1]", "rule 1: it is 1, and no table"),
        ("[{}]", "rule 1: 'schema' is missing"),
        (
            r#"[{"schema": true}, {"schema": {"type": "text"}}]"#,
            "rule 2: 'schema': #/type: there is no type 'text'",
        ),
        (
            r#"[{"schema": true, "exchange": 1}]"#,
            "rule 1: 'exchange' is a text, not 1",
        ),
        (
            r#"[{"schema": true, "keys": "a"}]"#,
            "rule 1: 'keys' means nothing; the keys are: exchange, key, schema",
        ),
    ] {
        configure([("rule", rules)]);
        let error = Transforming::<JsonSchema>::configure().expect_err("of no use");
        assert_eq!(error, expected);
    }
    configure([("rule", r#"[{"schema": "{"}]"#)]);
    let error = Transforming::<JsonSchema>::configure().expect_err("of no use");
    assert!(
        error.starts_with("rule 1: 'schema' is no JSON: EOF"),
        "{error}"
    );
    configure([("rule", RULES), ("invalid", "drop")]);
    let error = Transforming::<JsonSchema>::configure().expect_err("of no use");
    assert_eq!(
        error,
        "config key 'invalid' is \"reject\" or \"dead-letter\", not \"drop\""
    );
}
