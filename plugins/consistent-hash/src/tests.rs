//! Who gets what, and what moves.

use std::collections::{BTreeMap, BTreeSet};

use amphora_sdk::testing::{Router, TestMessage, message};
use amphora_sdk::{Properties, Table, Value};

use super::ConsistentHash;

fn router(arguments: impl Into<Table>, weights: &[(&str, &str)]) -> Router<ConsistentHash> {
    let mut router = Router::declare(arguments).expect("sound arguments");
    for (queue, weight) in weights {
        router.bind(queue, weight, Table::new()).expect("a weight");
    }
    router
}

/// Where each of 30,000 keys goes.
fn placed(router: &mut Router<ConsistentHash>) -> Vec<String> {
    let keys = (0..30_000).map(|number| {
        let message = message().routing_key(&format!("key-{number}"));
        let mut queues = router.route(&message);
        assert_eq!(queues.len(), 1);
        queues.remove(0)
    });
    keys.collect()
}

fn counts(placed: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for queue in placed {
        *counts.entry(queue.as_str()).or_default() += 1;
    }
    counts
}

#[test]
fn shares_are_those_of_the_weights() {
    for (weights, expected) in [
        (["1", "1", "1"], [10_000, 10_000, 10_000]),
        (["10", "20", "30"], [5_000, 10_000, 15_000]),
    ] {
        let queues = ["a", "b", "c"];
        let bound: Vec<_> = queues.into_iter().zip(weights).collect();
        let placed = placed(&mut router(Table::new(), &bound));
        let counts = counts(&placed);
        for (queue, expected) in queues.into_iter().zip(expected) {
            let share = counts[queue];
            assert!(
                share.abs_diff(expected) < 300,
                "{queue}: {share}, and not {expected}"
            );
        }
    }
}

#[test]
fn a_queue_that_comes_takes_its_share_and_nothing_else_moves() {
    for weight in ["1", "2"] {
        let mut router = router(Table::new(), &[("a", "1"), ("b", weight), ("c", "1")]);
        let before = placed(&mut router);
        router.bind("d", "1", Table::new()).expect("a weight");
        let after = placed(&mut router);
        let moved = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after);
        assert!(moved.clone().all(|(_, after)| after == "d"));
        assert_eq!(moved.count(), counts(&after)["d"]);
        router.unbind("d").expect("it is bound");
        assert_eq!(placed(&mut router), before);
        router.unbind("b").expect("it is bound");
        let without = placed(&mut router);
        for (before, after) in before.iter().zip(&without) {
            assert!(before == after || before == "b");
        }
    }
}

#[test]
fn the_answer_is_the_same_for_ever_and_in_any_order() {
    let weights = [("q1", "1"), ("q2", "2"), ("q3", "3"), ("q4", "1")];
    let mut forward = router(Table::new(), &weights);
    let mut backward = weights;
    backward.reverse();
    let mut backward = router(Table::new(), &backward);
    assert_eq!(placed(&mut forward), placed(&mut backward));
    let keys = ["", "a", "b", "order.1", "order.2", "order.3", "ключ"];
    let queues: Vec<_> = keys
        .iter()
        .map(|key| forward.route(&message().routing_key(key)).concat())
        .collect();
    assert_eq!(queues, ["q1", "q4", "q1", "q3", "q2", "q2", "q1"]);
}

#[test]
fn a_queue_that_is_bound_twice_has_both_weights() {
    let mut twice = router(Table::new(), &[("a", "1"), ("a", "2"), ("b", "1")]);
    let mut once = router(Table::new(), &[("a", "3"), ("b", "1")]);
    assert_eq!(placed(&mut twice), placed(&mut once));
}

#[test]
fn without_a_queue_a_message_goes_nowhere() {
    let mut router = router(Table::new(), &[]);
    assert!(router.route(&message().routing_key("a")).is_empty());
}

/// Whether where a message goes depends on what is given, and on nothing else.
fn depends_on(arguments: &[(&str, &str)], with: impl Fn(&str) -> TestMessage) {
    let weights: Vec<_> = ["a", "b", "c", "d"].map(|queue| (queue, "1")).into();
    let arguments: Table = arguments.iter().copied().collect();
    let mut router = router(arguments, &weights);
    let mut seen = BTreeSet::new();
    for number in 0..40 {
        let value = number.to_string();
        let first = router.route(&with(&value).routing_key("x").body("x"));
        let again = router.route(&with(&value).routing_key("y").body("y"));
        assert_eq!(first, again);
        seen.insert(first.concat());
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn headers_and_properties_are_hashed_instead_if_asked_for() {
    depends_on(&[("hash-header", "h")], |value| {
        message().header("h", value)
    });
    let properties = |properties: Properties| message().properties(properties);
    depends_on(&[("hash-property", "message_id")], |value| {
        properties(Properties {
            message_id: Some(value.to_owned()),
            ..Properties::default()
        })
    });
    depends_on(&[("hash-property", "correlation-id")], |value| {
        properties(Properties {
            correlation_id: Some(value.to_owned()),
            ..Properties::default()
        })
    });
    depends_on(&[("hash-property", "timestamp")], |value| {
        properties(Properties {
            timestamp: value.parse().ok(),
            ..Properties::default()
        })
    });
    depends_on(&[("hash-property", "app_id")], |value| {
        properties(Properties {
            app_id: Some(value.to_owned()),
            ..Properties::default()
        })
    });
}

#[test]
fn the_width_of_a_number_makes_no_difference() {
    let weights: Vec<_> = ["a", "b", "c", "d"].map(|queue| (queue, "1")).into();
    let mut router = router([("hash-header", "h")], &weights);
    let mut route = |value: Value| router.route(&message().header("h", value));
    assert_eq!(route(7.into()), route(Value::Unsigned(7)));
    assert_eq!(route(7.into()), route("7".into()));
    assert_eq!(route(Value::Void), route("".into()));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let declare = |arguments: &[(&str, Value)]| {
        let arguments: Table = arguments.iter().cloned().collect();
        Router::<ConsistentHash>::declare(arguments).expect_err("refused")
    };
    assert_eq!(
        declare(&[("hash-header", 1.into())]),
        "hash-header is a header's name, not an integer"
    );
    assert_eq!(
        declare(&[("hash-property", "priority".into())]),
        "hash-property is message_id, correlation_id, timestamp or app_id, not priority"
    );
    assert_eq!(
        declare(&[
            ("hash-header", "h".into()),
            ("hash-property", "app_id".into())
        ]),
        "only one of hash-header and hash-property can be hashed"
    );
    let mut router = router([("alternate-exchange", "other")], &[]);
    for key in ["", "0", "-1", "1.5", "1000001", "#"] {
        let error = router.bind("q", key, Table::new()).expect_err("no weight");
        assert_eq!(
            error,
            format!(
                "the binding key is the destination's weight, an integer from 1 to 1000000, not '{key}'"
            )
        );
    }
}
