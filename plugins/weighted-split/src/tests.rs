//! Shares, by chance and by what belongs together.

use std::collections::BTreeMap;

use amphora_sdk::testing::grants::{configure, seed};
use amphora_sdk::testing::{Router, TestMessage, message};
use amphora_sdk::{Table, Value};

use super::WeightedSplit;

fn router(config: &[(&str, &str)], weights: &[(&str, u32)]) -> Router<WeightedSplit> {
    configure(config.iter().copied());
    let mut router = Router::declare(Table::new()).expect("no arguments");
    for &(queue, weight) in weights {
        let arguments = [("weight", weight)];
        router.bind(queue, "", arguments).expect("a weight");
    }
    router
}

/// How many of so many messages go to each queue.
fn counts(
    router: &mut Router<WeightedSplit>,
    messages: impl Iterator<Item = TestMessage>,
) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for message in messages {
        for queue in router.route(&message) {
            *counts.entry(queue).or_default() += 1;
        }
    }
    counts
}

fn near(count: u32, expected: u32) -> bool {
    count.abs_diff(expected) < 200
}

#[test]
fn chance_gives_each_its_share() {
    seed(7);
    let mut router = router(&[], &[("stable", 95), ("canary", 5), ("off", 0)]);
    let counts = counts(&mut router, (0..10_000).map(|_| message()));
    assert!(near(counts["stable"], 9_500), "{counts:?}");
    assert!(near(counts["canary"], 500), "{counts:?}");
    assert_eq!(counts.len(), 2);
}

#[test]
fn a_binding_without_a_weight_has_one() {
    seed(7);
    let mut router = router(&[], &[("a", 1)]);
    router.bind("b", "", Table::new()).expect("no weight");
    let counts = counts(&mut router, (0..10_000).map(|_| message()));
    assert!(near(counts["a"], 5_000), "{counts:?}");
    assert!(near(counts["b"], 5_000), "{counts:?}");
}

#[test]
fn without_a_share_a_message_goes_nowhere() {
    assert!(router(&[], &[]).route(&message()).is_empty());
    assert!(router(&[], &[("a", 0)]).route(&message()).is_empty());
    let mut sticky = router(&[("by", "routing-key")], &[("a", 0)]);
    assert!(sticky.route(&message()).is_empty());
}

#[test]
fn equal_keys_stay_together_and_move_only_to_who_gets_more() {
    let by_key = [("by", "routing-key")];
    let keys = || (0..10_000).map(|number| message().routing_key(&number.to_string()));
    let mut before = router(&by_key, &[("stable", 95), ("canary", 5)]);
    let mut after = router(&by_key, &[("stable", 95), ("canary", 20)]);
    let mut moved = 0;
    for message in keys() {
        let (old, new) = (before.route(&message), after.route(&message));
        assert_eq!(old, before.route(&message));
        if old != new {
            assert_eq!(new, ["canary"]);
            moved += 1;
        }
    }
    assert!(near(counts(&mut before, keys())["canary"], 500));
    assert!(near(moved, 1_239));
}

#[test]
fn a_header_decides_if_the_operator_says_so() {
    let mut router = router(
        &[("by", "header"), ("header", "user")],
        &[("a", 1), ("b", 1)],
    );
    let users = || (0..100).map(|user| message().header("user", format!("user-{user}")));
    let counts = counts(&mut router, users());
    assert!(counts["a"] > 30 && counts["b"] > 30, "{counts:?}");
    for user in users() {
        let queues = router.route(&user);
        assert_eq!(queues, router.route(&user.routing_key("other")));
    }
    let mut route = |value: Value| router.route(&message().header("user", value));
    assert_eq!(route(7.into()), route(7.into()));
    assert_eq!(router.route(&message()), router.route(&message()));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut router = router(&[], &[]);
    for weight in [Value::from(-1), 1_000_001.into(), "many".into(), 0.5.into()] {
        assert_eq!(
            router.bind("q", "", [("weight", weight)]),
            Err("the argument 'weight' is an integer from 0 to 1000000".to_owned())
        );
    }
    assert_eq!(router.bind("q", "", [("weight", "7")]), Ok(()));
}

/// What the plugin says to a configuration when it is loaded.
fn loaded(config: &[(&str, &str)]) {
    configure(config.iter().copied());
    let router = Router::<WeightedSplit>::declare(Table::new());
    assert_eq!(router.map(|_| ()), Ok(()));
}

#[test]
#[should_panic(
    expected = "config key 'by' is \"chance\", \"routing-key\" or \"header\", not \"key\""
)]
fn an_unknown_way_to_decide_is_named() {
    loaded(&[("by", "key")]);
}

#[test]
#[should_panic(expected = "config key 'header' says which header, and is missing")]
fn a_header_must_be_named() {
    loaded(&[("by", "header")]);
}

#[test]
#[should_panic(expected = "config key 'header' means something only with by = \"header\"")]
fn a_header_that_means_nothing_is_named() {
    loaded(&[("header", "user")]);
}
