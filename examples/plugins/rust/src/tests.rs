//! What a client sees of the exchange.

use amphora_sdk::Value;
use amphora_sdk::testing::{Router, grants, message};

use crate::PriorityTopic;

const NONE: [(&str, i32); 0] = [];

fn router(bindings: &[(&str, &str, Option<i32>)]) -> Router<PriorityTopic> {
    let mut router = Router::declare(NONE).unwrap();
    for (destination, key, least) in bindings {
        let arguments: Vec<_> = least
            .iter()
            .map(|least| ("x-priority-min", *least))
            .collect();
        router
            .bind(
                destination,
                key,
                arguments.into_iter().collect::<amphora_sdk::Table>(),
            )
            .unwrap();
    }
    router
}

#[test]
fn keys_are_matched_as_topics() {
    let mut router = router(&[
        ("all", "#", None),
        ("empty", "", None),
        ("exact", "a.b", None),
        ("first", "a.#", None),
        ("last", "#.b", None),
        ("middle", "#.b.#", None),
        ("one", "a.*", None),
        ("two", "*.*", None),
    ]);
    let mut goes = |key: &str| router.route(&message().routing_key(key)).join(" ");
    assert_eq!(goes("a.b"), "all exact first last middle one two");
    assert_eq!(goes("a"), "all first");
    assert_eq!(goes("a.b.c"), "all first middle");
    assert_eq!(goes("c.b.b"), "all last middle");
    assert_eq!(goes("a."), "all first one two");
    assert_eq!(goes(""), "all empty");
}

#[test]
fn a_binding_takes_what_is_urgent_enough() {
    let mut router = router(&[("any", "#", None), ("urgent", "#", Some(5))]);
    let with = |priority: Value| message().routing_key("a").header("priority", priority);
    assert_eq!(router.route(&with(5.into())), ["any", "urgent"]);
    assert_eq!(router.route(&with(4.into())), ["any"]);
    assert_eq!(
        router.route(&with("9".into())),
        ["any"],
        "a text has no size"
    );
    assert_eq!(router.route(&message().routing_key("a")), ["any"]);
}

#[test]
fn what_is_remembered_is_forgotten_when_bindings_change() {
    let mut router = router(&[("one", "a", None)]);
    let key = message().routing_key("a");
    assert_eq!(router.route(&key), ["one"]);
    router.bind("two", "*", NONE).unwrap();
    assert_eq!(router.route(&key), ["one", "two"]);
    router.unbind("one").unwrap();
    assert_eq!(router.route(&key), ["two"]);
    for number in 0..10_000 {
        let key = message().routing_key(&number.to_string());
        assert_eq!(router.route(&key), ["two"]);
    }
}

#[test]
fn a_wrong_argument_is_refused() {
    let mut router = router(&[]);
    assert_eq!(
        router.bind("q", "#", [("x-priority-min", "high")]),
        Err("x-priority-min must be an integer, and is a text".to_owned())
    );
    grants::configure([("priority-header", "")]);
    let mut router = Router::<PriorityTopic>::declare(NONE).unwrap();
    let refused = router.bind("q", "#", [("x-priority-min", 1)]).unwrap_err();
    assert!(refused.contains("priority-header is empty"), "{refused}");
    router.bind("q", "a", NONE).unwrap();
    assert_eq!(router.route(&message().routing_key("a")), ["q"]);
}
