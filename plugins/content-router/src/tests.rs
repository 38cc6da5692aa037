//! Conditions, and the bindings that they make.

use amphora_sdk::testing::{Router, TestMessage, message};
use amphora_sdk::{Table, Value};

use super::ContentRouter;

fn router() -> Router<ContentRouter> {
    Router::declare(Table::new()).expect("no arguments")
}

fn json(body: &str) -> TestMessage {
    message().body(body)
}

/// Whether a message goes to a binding with this one condition.
fn holds(name: &str, condition: impl Into<Value>, message: &TestMessage) -> bool {
    let mut router = router();
    let arguments = Table::from([(name, condition.into())]);
    router.bind("q", "", arguments).expect("a condition");
    !router.route(message).is_empty()
}

fn operator(name: &str, operand: impl Into<Value>) -> Value {
    Table::from([(name, operand)]).into()
}

fn refused(arguments: impl Into<Table>) -> String {
    router().bind("q", "", arguments).expect_err("refused")
}

#[test]
fn a_place_in_the_body_is_compared() {
    let order = json(
        r#"{"customer": {"country": "DE", "vip": true, "none": null}, "total": 120.5, "lines": [{"id": 7}]}"#,
    );
    assert!(holds("json:/customer/country", "DE", &order));
    assert!(!holds("json:/customer/country", "FR", &order));
    assert!(holds("json:/customer/vip", true, &order));
    assert!(holds("json:/customer/none", Value::Void, &order));
    assert!(holds("json:/lines/0/id", 7, &order));
    assert!(holds("json:/total", operator("gt", 100), &order));
    assert!(!holds("json:/total", operator("gt", 120.5), &order));
    assert!(holds("json:", operator("exists", true), &order));
}

#[test]
fn a_body_that_is_no_json_has_no_places() {
    let text = json("DE");
    assert!(!holds("json:", operator("exists", true), &text));
    assert!(holds("json:/a", operator("exists", false), &text));
    assert!(!holds("json:/a", operator("ne", 1), &text));
}

#[test]
fn headers_and_the_routing_key_are_compared() {
    let message = message()
        .routing_key("eu.de")
        .header("tenant", "a")
        .header("size", Value::Unsigned(9))
        .header("at", Value::Timestamp(1000))
        .header("price", Value::Decimal(2, 150));
    assert!(holds("header:tenant", "a", &message));
    assert!(!holds("header:other", "a", &message));
    assert!(holds("header:size", operator("le", 9), &message));
    assert!(holds(
        "header:at",
        operator("ge", Value::Timestamp(1000)),
        &message
    ));
    assert!(holds("header:price", 1.5, &message));
    assert!(holds("routing-key", operator("prefix", "eu."), &message));
}

#[test]
fn every_operator_compares() {
    let message = message().header("n", 5).header("t", "mango");
    for (operator_name, operand, expected) in [
        ("eq", Value::from(5), true),
        ("eq", 5.0.into(), true),
        ("eq", "5".into(), false),
        ("ne", 5.into(), false),
        ("ne", "5".into(), true),
        ("lt", 6.into(), true),
        ("lt", 5.into(), false),
        ("le", 5.into(), true),
        ("gt", 4.5.into(), true),
        ("gt", "4".into(), false),
        ("ge", 6.into(), false),
        ("in", Value::Array(vec![1.into(), 5.into()]), true),
        ("in", Value::Array(vec![1.into(), "5".into()]), false),
        ("prefix", "5".into(), false),
        ("exists", true.into(), true),
        ("exists", false.into(), false),
    ] {
        let condition = operator(operator_name, operand.clone());
        assert_eq!(
            holds("header:n", condition, &message),
            expected,
            "{operator_name} {operand:?}"
        );
    }
    assert!(holds("header:t", operator("regex", "^m.*o$"), &message));
    assert!(!holds("header:t", operator("regex", "^a"), &message));
    assert!(holds("header:t", operator("lt", "melon"), &message));
    let both = Table::from([("ge", 5), ("lt", 6)]);
    assert!(holds("header:n", both, &message));
    let neither = Table::from([("ge", 5), ("lt", 5)]);
    assert!(!holds("header:n", neither, &message));
}

#[test]
fn all_or_any_conditions_must_hold() {
    let conditions =
        |how: &str| Table::from([("x-match", how), ("header:a", "1"), ("header:b", "2")]);
    let mut router = router();
    router.bind("all", "", conditions("all")).expect("all");
    router.bind("any", "", conditions("any")).expect("any");
    let one = message().header("a", "1");
    assert_eq!(router.route(&one), ["any"]);
    assert_eq!(router.route(&one.header("b", "2")), ["all", "any"]);
}

#[test]
fn the_default_takes_what_no_other_binding_takes() {
    let mut router = router();
    router
        .bind("rest", "", [("x-default", true)])
        .expect("default");
    router
        .bind("a", "", [("header:a", 1)])
        .expect("a condition");
    assert_eq!(router.route(&message()), ["rest"]);
    assert_eq!(router.route(&message().header("a", 1)), ["a"]);
    assert_eq!(router.unbind("rest"), Ok(()));
    assert_eq!(router.route(&message()), Vec::<String>::new());
}

#[test]
fn a_binding_without_conditions_takes_everything() {
    let mut router = router();
    router.bind("all", "", Table::new()).expect("nothing");
    assert_eq!(router.route(&json("no JSON")), ["all"]);
}

#[test]
fn a_body_is_read_once_a_binding_asks_for_it() {
    let mut router = router();
    router
        .bind("a", "", [("header:a", 1)])
        .expect("a condition");
    let message = json("[1]");
    assert!(router.route(&message).is_empty());
    router.bind("b", "", [("json:/0", 1)]).expect("a condition");
    assert_eq!(router.route(&message), ["b"]);
    assert_eq!(router.unbind("b"), Ok(()));
    assert!(router.route(&message).is_empty());
}

#[test]
fn invalid_conditions_are_refused_with_a_clear_text() {
    assert_eq!(
        refused([("jsn:/a", 1)]),
        "argument 'jsn:/a' is no condition: those are json:/pointer, header:name and routing-key; beside them there are x-match and x-default"
    );
    assert_eq!(
        refused([("json:a", 1)]),
        "'a' is no JSON pointer: it must begin with '/'"
    );
    assert_eq!(
        refused([("json:/a", operator("equals", 1))]),
        "json:/a: 'equals' is no operator: those are eq, ne, lt, le, gt, ge, in, prefix, regex and exists"
    );
    assert_eq!(
        refused([("header:a", operator("in", 1))]),
        "header:a: 'in' takes an array, and got an integer"
    );
    assert_eq!(
        refused([("header:a", operator("lt", true))]),
        "header:a: 'lt' takes a text or a number, and got a boolean"
    );
    assert_eq!(
        refused(
            [("header:a", vec![1.into()])]
                .map(|(name, value): (&str, Vec<Value>)| (name, Value::Array(value)))
        ),
        "header:a: 'eq' takes a text, a number, a boolean or void, and got an array"
    );
    assert_eq!(
        refused([("header:a", Table::new())]),
        "header:a: no operator is there"
    );
    let error = refused([("routing-key", operator("regex", "(a"))]);
    assert!(
        error.starts_with("routing-key: 'regex' takes a regular expression: "),
        "{error}"
    );
    assert!(error.contains("unclosed group"), "{error}");
    let error = refused([("routing-key", operator("regex", r"\w{500}{500}"))]);
    assert!(error.contains("exceeds size limit"), "{error}");
    assert_eq!(
        refused([("x-match", "some")]),
        "x-match is 'all' or 'any', not 'some'"
    );
    assert_eq!(
        refused([("x-match", "any")]),
        "x-match 'any' without a condition would never match"
    );
    assert_eq!(
        refused([("x-default", "yes")]),
        "x-default is true or false, not a text"
    );
    let both = Table::from([("x-default", Value::from(true)), ("header:a", 1.into())]);
    assert_eq!(refused(both), "a binding with x-default has no conditions");
}
