//! What is accepted, what applies, and what wins.

use std::sync::Arc;
use std::time::Duration;

use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{QueueName, ShortString};
use expect_test::{Expect, expect};

use super::{Applied, NamePattern, Policies, Policy, PolicyKind};
use crate::definition::QueueDefinition;
use crate::queue_arguments::{Overflow, QueueArguments, QueueType};
use crate::store::QueueId;

fn table(fields: &[(&str, FieldValue)]) -> FieldTable {
    let fields = fields.iter();
    fields
        .map(|(name, value)| (ShortString::cut(name), value.clone()))
        .collect()
}

fn policy(
    kind: PolicyKind,
    name: &str,
    pattern: &str,
    apply_to: &str,
    priority: i64,
    definition: &[(&str, FieldValue)],
) -> Policy {
    Policy::new(kind, name, pattern, apply_to, priority, table(definition)).expect("legal")
}

fn refusal(kind: PolicyKind, apply_to: &str, definition: &[(&str, FieldValue)]) -> String {
    let made = Policy::new(kind, "p", "^a", apply_to, 0, table(definition));
    made.err().unwrap_or_else(|| "accepted".to_owned())
}

fn queue(queue_type: &str, arguments: &[(&str, FieldValue)]) -> QueueDefinition {
    let mut arguments = table(arguments);
    if queue_type != "classic" {
        arguments.insert(ShortString::cut("x-queue-type"), queue_type);
    }
    let parsed = QueueArguments::parse(&arguments, "queue 'q'").expect("legal");
    QueueDefinition {
        id: QueueId(1),
        name: QueueName::new("q").expect("short"),
        durable: true,
        auto_delete: false,
        owner: None,
        arguments,
        parsed,
        declared_by: Box::default(),
    }
}

fn names(applied: Option<Arc<Applied>>) -> String {
    let Some(applied) = applied else {
        return "none".to_owned();
    };
    let name = |name: Option<&Arc<str>>| name.map_or("-", |name| &**name).to_owned();
    format!(
        "{} {}",
        name(applied.policy()),
        name(applied.operator_policy())
    )
}

#[test]
fn what_is_no_policy_is_refused_in_the_words_of_rabbitmq() {
    use PolicyKind::{Operator, User};
    let nested = vec![
        "x".into(),
        true.into(),
        FieldValue::Table(table(&[("a", 1.5.into())])),
    ];
    let refusals = [
        refusal(User, "all", &[]),
        refusal(User, "all", &[("message-ttl", (-1).into())]),
        refusal(User, "all", &[("message-ttl", "5".into())]),
        refusal(User, "all", &[("expires", 0.into())]),
        refusal(User, "all", &[("overflow", "x".into())]),
        refusal(User, "all", &[("overflow", FieldValue::Array(nested))]),
        refusal(User, "all", &[("dead-letter-exchange", 5.into())]),
        refusal(User, "all", &[("max-age", "5 days".into())]),
        refusal(User, "all", &[("transform", FieldValue::Array(vec![]))]),
        refusal(User, "all", &[("bar", "x".into()), ("foo", 1.into())]),
        refusal(Operator, "all", &[("dead-letter-exchange", "x".into())]),
        refusal(User, "nothing", &[("max-length", 1.into())]),
        refusal(User, "streams", &[("max-age", "7D".into())]),
    ];
    expect![[r#"
        no policy provided
        -1 is not a valid message TTL
        <<"5">> is not a valid message TTL
        0 is not a valid queue expiry
        <<"x">> is not a valid overflow value
        [<<"x">>,true,#{<<"a">> => 1.5}] is not a valid overflow value
        5 is not a valid dead letter exchange name
        <<"5 days">> is not a valid max age
        [] is not a valid list of plugins
        [{<<"bar">>,<<"x">>},{<<"foo">>,1}] are not recognised policy settings
        [{<<"dead-letter-exchange">>,<<"x">>}] are not recognised policy settings
        apply-to 'nothing' unrecognised; should be one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', 'exchanges', or 'all'
        accepted"#]]
    .assert_eq(&refusals.join("\n"));
    assert!(Policy::new(User, "p", "(", "all", 0, table(&[])).is_err());
}

#[test]
fn one_of_each_kind_applies_by_priority_type_and_pattern() {
    use PolicyKind::{Operator, User};
    let mut policies = Policies::default();
    let ttl = [("message-ttl", FieldValue::from(1))];
    for policy in [
        policy(User, "low", ".*", "all", 0, &ttl),
        policy(User, "high", "^q", "queues", 5, &ttl),
        policy(User, "quorum", "^q", "quorum_queues", 9, &ttl),
        policy(User, "same", "^q", "queues", 5, &ttl),
        policy(
            User,
            "exchanges",
            "^q",
            "exchanges",
            7,
            &[("alternate-exchange", "y".into())],
        ),
        policy(
            User,
            "not own",
            "^(?!q)x",
            "all",
            9,
            &[("ha-mode", "all".into())],
        ),
        policy(
            User,
            "streams",
            "^q",
            "queues",
            20,
            &[("max-age", "1D".into())],
        ),
    ] {
        policies.set(User, policy);
    }
    policies.set(Operator, policy(Operator, "op", "q$", "queues", 0, &ttl));
    let queue = |name: &str, queue_type| names(policies.for_queue(name, queue_type));
    let listed = [
        queue("q", QueueType::Classic),
        queue("qx", QueueType::Quorum),
        queue("q", QueueType::Stream),
        queue("x", QueueType::Classic),
        queue("amq.amphora.delayed", QueueType::Classic),
        names(policies.for_exchange("q")),
        names(policies.for_exchange("other")),
    ];
    // A name is matched by those that sort first where priorities are the same; one with a key of streams is for streams only.
    expect![[r"
        high op
        quorum -
        streams -
        not own -
        none
        exchanges -
        low -"]]
    .assert_eq(&listed.join("\n"));
    assert!(policies.clear(User, "high").is_some());
    assert!(policies.clear(User, "high").is_none());
    assert_eq!(
        names(policies.for_queue("q", QueueType::Classic)),
        "same op"
    );
}

/// What a policy and an operator policy make of a queue's arguments.
fn merged(
    queue: &QueueDefinition,
    user: &[(&str, FieldValue)],
    operator: &[(&str, FieldValue)],
) -> (QueueArguments, String) {
    let mut policies = Policies::default();
    for (kind, definition) in [(PolicyKind::User, user), (PolicyKind::Operator, operator)] {
        if !definition.is_empty() {
            policies.set(kind, policy(kind, "p", "", "all", 0, definition));
        }
    }
    let applied = policies.for_queue("q", queue.parsed.queue_type);
    let applied = applied.expect("it matches");
    let definition = applied.definition().iter();
    let shown: Vec<String> = definition
        .map(|(name, value)| format!("{name}={}", super::Term(value)))
        .collect();
    (applied.queue_arguments(queue), shown.join(" "))
}

#[test]
fn of_limits_the_smaller_one_wins_and_of_all_else_the_argument() {
    let declared = queue(
        "classic",
        &[
            ("x-message-ttl", 100.into()),
            ("x-max-length", 5.into()),
            ("x-overflow", "drop-head".into()),
            ("x-dead-letter-exchange", "mine".into()),
        ],
    );
    let (arguments, definition) = merged(
        &declared,
        &[
            ("message-ttl", 50.into()),
            ("max-length", 10.into()),
            ("expires", 7_000.into()),
            ("overflow", "reject-publish".into()),
            ("dead-letter-exchange", "theirs".into()),
            ("dead-letter-routing-key", "key".into()),
            ("queue-mode", "lazy".into()),
        ],
        &[("max-length", 3.into()), ("max-length-bytes", 1_000.into())],
    );
    let check = |expected: Expect| expected.assert_eq(&definition);
    check(expect![[
        r#"message-ttl=50 max-length=3 expires=7000 overflow=<<"reject-publish">> dead-letter-exchange=<<"theirs">> dead-letter-routing-key=<<"key">> queue-mode=<<"lazy">> max-length-bytes=1000"#
    ]]);
    let expected = QueueArguments {
        message_ttl: Some(Duration::from_millis(50)),
        max_length: Some(3),
        max_length_bytes: Some(1_000),
        expires: Some(Duration::from_secs(7)),
        overflow: Overflow::DropHead,
        dead_letter_routing_key: Some("key".try_into().expect("short")),
        ..declared.parsed.clone()
    };
    assert_eq!(arguments, expected);
}

#[test]
fn an_operator_may_only_narrow_and_a_negative_limit_is_none() {
    let declared = queue("quorum", &[]);
    let limit = |user: i32, operator: i32| {
        let (arguments, _) = merged(
            &declared,
            &[("delivery-limit", user.into())],
            &[("delivery-limit", operator.into())],
        );
        arguments.delivery_limit
    };
    assert_eq!(
        [limit(5, 9), limit(9, 5), limit(-1, 5), limit(-1, -1)],
        [Some(5), Some(5), Some(5), None]
    );
    let (arguments, _) = merged(
        &declared,
        &[("overflow", "drop-head".into())],
        &[("overflow", "reject-publish".into())],
    );
    assert_eq!(arguments.overflow, Overflow::RejectPublish);
}

#[test]
fn no_timeout_is_longer_than_any() {
    let timeout = |argument: i32, policy: i32| {
        let declared = queue("classic", &[("x-consumer-timeout", argument.into())]);
        let (arguments, _) = merged(&declared, &[("consumer-timeout", policy.into())], &[]);
        arguments.consumer_timeout
    };
    assert_eq!(
        [timeout(0, 5), timeout(5, 0), timeout(7, 5), timeout(0, 0)],
        [5, 5, 5, 0].map(|ms| Some(Duration::from_millis(ms)))
    );
}

#[test]
fn a_routing_key_without_an_exchange_changes_nothing() {
    let declared = queue("classic", &[]);
    let (arguments, _) = merged(
        &declared,
        &[
            ("dead-letter-routing-key", "k".into()),
            ("max-length", 1.into()),
        ],
        &[],
    );
    assert_eq!(
        (arguments.dead_letter_routing_key, arguments.max_length),
        (None, Some(1))
    );
}

/// Whatever a policy may set is legal as an argument, too: nothing is lost when the two are merged.
#[test]
fn every_key_that_means_something_reaches_the_queue() {
    let stream: &[(&str, FieldValue)] = &[
        ("max-age", "1D".into()),
        ("stream-max-segment-size-bytes", 3_000_000_000_i64.into()),
        ("stream-filter-size-bytes", 255.into()),
        ("max-length-bytes", i64::MAX.into()),
    ];
    let quorum: &[(&str, FieldValue)] = &[
        ("expires", 315_360_000_000_i64.into()),
        ("message-ttl", 0.into()),
        ("delivery-limit", (-5).into()),
        ("dead-letter-exchange", "".into()),
        ("dead-letter-strategy", "at-least-once".into()),
        ("overflow", "reject-publish-dlx".into()),
        ("consumer-timeout", 1.into()),
        ("delayed-retry-type", "disabled".into()),
        ("delayed-retry-min", 1.into()),
        ("retry-max-attempts", u32::MAX.into()),
        ("retry-delay", 0.into()),
        ("retry-factor", 65_535.into()),
        ("retry-jitter", 1.0.into()),
        ("retry-max-delay", 315_360_000_000_i64.into()),
        ("retry-on", "all".into()),
    ];
    for (queue_type, definition) in [("stream", stream), ("quorum", quorum)] {
        let declared = queue(queue_type, &[]);
        for (key, value) in definition {
            let (together, _) = merged(&declared, definition, &[]);
            let mut arguments = declared.arguments.clone();
            arguments.insert(ShortString::cut(&format!("x-{key}")), value.clone());
            let alone = QueueArguments::parse(&arguments, "queue 'q'");
            assert!(alone.is_ok(), "{key}: {alone:?}");
            assert_ne!(together, declared.parsed, "{key}");
        }
    }
}

#[test]
fn a_pattern_may_look_around_but_not_for_ever() {
    let pattern = NamePattern::new("^(?!amq\\.)").expect("legal");
    assert!(pattern.matches("orders") && !pattern.matches("amq.topic"));
    let slow = NamePattern::new("^(a|aa|aaa)*(?!x)b$").expect("legal");
    assert!(!slow.matches(&"a".repeat(255)));
    assert_eq!(NamePattern::escape("a.b"), "a\\.b");
}
