//! What is read, what is refused, and what is compared.

use amphora_core::hook::{Replacement, Verdict};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{Decimal, FieldValue};
use expect_test::{Expect, expect};

use super::*;

const EXCHANGE: &str = r#"
grants = ["config"]
[config]
pure = false
name = "x"

[[exchange]]
name = "prices"
arguments = { alternate-exchange = "rest" }

[[exchange.binding]]
key = "stock.#"
arguments = { x-priority-min = 5 }
destination = "urgent"

[[exchange.binding]]
arguments = { x-priority-min = "high" }
destination = "never"
refused = "must be an integer"

[[message]]
key = "stock.nyse"
headers = { priority = 7 }
properties = { content-type = "text/plain", delivery-mode = 2, type = "t" }
body-json = { a = 1 }
expect = ["urgent"]

[[message]]
name = "one of another kind"
key = "bond"
body-base64 = "AAE="
time = 5
user = "me"
expect = []
"#;

#[test]
fn a_file_is_read_whole() {
    let cases = Cases::parse(EXCHANGE).unwrap();
    let config: Vec<(&str, &str)> = cases
        .config
        .iter()
        .map(|(key, text)| (key.as_str(), text.as_str()))
        .collect();
    assert_eq!(config, [("name", "x"), ("pure", "false")]);

    let exchange = &cases.exchanges[0];
    assert_eq!(
        (exchange.vhost.as_str(), exchange.name.as_str()),
        ("/", "prices")
    );
    let [urgent, never] = exchange.bindings.as_slice() else {
        panic!("two bindings");
    };
    assert_eq!(urgent.routing_key.as_str(), "stock.#");
    assert_eq!(
        urgent.arguments.get("x-priority-min"),
        Some(&FieldValue::I64(5))
    );
    assert_eq!(never.refused.as_deref(), Some("must be an integer"));

    let [first, second] = cases.messages.as_slice() else {
        panic!("two messages");
    };
    assert_eq!(
        (first.name.as_str(), first.exchange.as_str()),
        ("message 1", "prices")
    );
    assert_eq!(first.body, "{\"a\":1}");
    assert_eq!(first.properties.delivery_mode, Some(2));
    assert_eq!(first.properties.kind.as_ref().unwrap().as_str(), "t");
    let headers = first.properties.headers.as_ref().unwrap();
    assert_eq!(headers.get("priority"), Some(&FieldValue::I64(7)));
    assert_eq!(
        first.expect,
        Expected::Destinations(["urgent".to_owned()].into())
    );
    assert_eq!(second.name, "message 2, 'one of another kind'");
    assert_eq!(second.body, [0_u8, 1].as_slice());
    assert_eq!((second.time_ms, second.user.as_str()), (5, "me"));
}

#[test]
fn what_the_page_for_authors_shows_is_read() {
    let page = include_str!("../../../../../plugins/CASES.md");
    let blocks = page.split("```toml\n").skip(1);
    let shown: Vec<Cases> = blocks
        .map(|block| block.split("```").next().unwrap_or_default())
        .map(|text| Cases::parse(text).unwrap())
        .collect();
    let [exchange, transform] = shown.as_slice() else {
        panic!("one file for each kind of plugin");
    };
    assert_eq!((exchange.exchanges.len(), exchange.messages.len()), (2, 1));
    assert_eq!(transform.messages.len(), 5);
}

#[test]
fn a_table_has_every_type_of_amqp() {
    let text = r#"
[[message]]
expect = "pass"
[message.headers]
array = [1, "a"]
boolean = true
bytes = { "@bytes" = "AP8=" }
decimal = { "@decimal" = "-3.14" }
float = 0.5
table = { "@x" = 1, b = { } }
time = 1970-01-01T00:01:00Z
timestamp = { "@timestamp" = 60 }
void = { "@void" = true }
"#;
    let cases = Cases::parse(text).unwrap();
    let headers = cases.messages[0].properties.headers.clone().unwrap();
    let values: Vec<&FieldValue> = headers.iter().map(|(_, value)| value).collect();
    let number = -314_i32;
    assert_eq!(
        values[..5],
        [
            &FieldValue::Array(vec![FieldValue::I64(1), FieldValue::LongString("a".into())]),
            &FieldValue::Bool(true),
            &FieldValue::ByteArray([0_u8, 255].to_vec().into()),
            &FieldValue::Decimal(Decimal {
                scale: 2,
                value: number.cast_unsigned()
            }),
            &FieldValue::F64(0.5),
        ]
    );
    assert!(matches!(values[5], FieldValue::Table(table) if table.len() == 2));
    assert_eq!(values[6], &FieldValue::Timestamp(60));
    assert_eq!(values[7], &FieldValue::Timestamp(60));
    assert_eq!(values[8], &FieldValue::Void);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let refused = |text: &str, expected: Expect| {
        expected.assert_eq(&format!("{:#}", Cases::parse(text).unwrap_err()));
    };
    refused(
        "",
        expect!["there is no [[message]] and no [[exchange]], so nothing would be tried"],
    );
    refused(
        "grants = [\"lod\"]\n[[message]]\nexpect = \"pass\"",
        expect!["there is no grant 'lod'; is it 'log'?"],
    );
    refused(
        "[config]\na = 1\n[[message]]\nexpect = \"pass\"",
        expect![[
            r#"there is a [config], but the grant that lets the plugin read it is missing: grants = ["config"]"#
        ]],
    );
    refused(
        "[[message]]\nexpect = [\"q\"]",
        expect![
            "message 1 is published to exchange '', which no [[exchange]] declares; there is none"
        ],
    );
    refused(
        "[[exchange]]\nname = \"e\"\n[[message]]\nexpect = [\"q\"]",
        expect!["message 1 expects destination 'q', but no binding of exchange 'e' leads there"],
    );
    refused(
        "[[exchange]]\nname = \"e\"\n[[message]]\nexpect = \"pass\"",
        expect![
            "message 1 expects a transform's verdict, but there is an [[exchange]], whose type would be another plugin"
        ],
    );
    refused(
        "[[exchange]]\nname = \"e\"\n[[exchange]]\nname = \"f\"\n[[message]]\nexpect = []",
        expect!["message 1: `exchange` must say to which of the exchanges it is published"],
    );
    refused(
        "[[message]]\nname = \"it\"\nbody = \"a\"\nbody-json = 1\nexpect = \"pass\"",
        expect!["message 1, 'it': only one of body, body-base64 and body-json can be the body"],
    );
    refused(
        "[[message]]\nheaders = { a = { \"@byte\" = \"\" } }\nexpect = \"pass\"",
        expect![
            "message 1: headers: 'a': there is no @byte, only @bytes, @timestamp, @decimal and @void"
        ],
    );
    refused(
        "[[message]]\nexpect = \"past\"",
        expect![[r#"
            TOML parse error at line 2, column 10
              |
            2 | expect = "past"
              |          ^^^^^^
            invalid value: string "past", expected a list of destinations, "pass", "drop", or a table with one of reject, dead-letter, delay and replace"#]],
    );
    refused(
        "[[message]]\nexpect = { replace = [{ headders = {} }] }",
        expect![[r"
            TOML parse error at line 2, column 25
              |
            2 | expect = { replace = [{ headders = {} }] }
              |                         ^^^^^^^^
            unknown field `headders`, expected one of `key`, `headers`, `absent`, `properties`, `body`, `body-base64`, `body-json`, `delay`"]],
    );
}

#[test]
fn destinations_are_compared_as_sets() {
    let cases = Cases::parse(EXCHANGE).unwrap();
    let expected = &cases.messages[0].expect;
    let found = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(expected.compare_destinations(&found(&["urgent"])), Ok(()));
    let differs = |names: &[&str]| expected.compare_destinations(&found(names)).unwrap_err();
    assert_eq!(differs(&[]), "it does not go to urgent");
    assert_eq!(differs(&["a", "urgent"]), "it goes to a, too");
    assert_eq!(differs(&["a", "b"]), "it goes to a, b, and not to urgent");
}

/// What a message of which `expect` is this says of a verdict.
fn compare(expect: &str, found: &Verdict) -> Result<(), String> {
    let text = format!(
        "[[message]]\nkey = \"k\"\nheaders = {{ kept = 1, gone = 2 }}\nbody = \"old\"\nexpect = {expect}"
    );
    Cases::parse(&text).unwrap().messages[0].compare_verdict(found)
}

#[test]
fn verdicts_are_compared_by_what_is_named() {
    assert_eq!(compare("\"pass\"", &Verdict::Pass), Ok(()));
    assert_eq!(
        compare("\"pass\"", &Verdict::Reject("why".to_owned())),
        Err("the verdict is \"reject: why\", and should be \"pass\"".to_owned())
    );
    let reject = Verdict::Reject("no customer 5".to_owned());
    assert_eq!(compare("{ reject = \"customer\" }", &reject), Ok(()));
    assert_eq!(
        compare("{ reject = \"order\" }", &reject),
        Err("the reason does not contain 'order': no customer 5".to_owned())
    );
    assert_eq!(
        compare("{ delay = 5 }", &Verdict::Delay(6)),
        Err("the delay is 6, and should be 5".to_owned())
    );
}

#[test]
fn replacements_are_compared_with_what_they_leave_as_it_was() {
    let headers = [("kept", FieldValue::I32(1)), ("new", "x".into())];
    let properties = BasicProperties {
        headers: Some(
            headers
                .into_iter()
                .map(|(name, value)| (name.try_into().unwrap(), value))
                .collect(),
        ),
        priority: Some(3),
        ..BasicProperties::default()
    };
    let found = Verdict::Replace(vec![Replacement {
        properties: Some(properties.to_bytes()),
        body: Some("{ \"a\" : 1 }".into()),
        ..Replacement::default()
    }]);
    let replace = |fields: &str| compare(&format!("{{ replace = [{{ {fields} }}] }}"), &found);

    let all = "key = \"k\", headers = { kept = 1, new = \"x\" }, absent = [\"gone\"], properties = { priority = 3 }, body-json = { a = 1 }, delay = 0";
    assert_eq!(replace(all), Ok(()));
    let differs = |fields: &str| {
        let text = replace(fields).unwrap_err();
        let text = text.strip_prefix("message 1 of `replace`: ");
        text.unwrap().to_owned()
    };
    assert_eq!(
        differs("key = \"j\""),
        "the routing key is \"k\", and should be \"j\""
    );
    assert_eq!(
        differs("headers = { gone = 2 }"),
        "header 'gone' is missing"
    );
    assert_eq!(
        differs("absent = [\"kept\"]"),
        "header 'kept' is there and should be absent"
    );
    assert_eq!(
        differs("properties = { message-id = \"m\" }"),
        "message-id is \"nothing\", and should be \"m\""
    );
    assert_eq!(
        differs("body = \"old\""),
        "the body is \"{ \\\"a\\\" : 1 }\", and should be \"old\""
    );
    assert_eq!(differs("delay = 1"), "the delay is 0, and should be 1");
    assert_eq!(
        compare("{ replace = [] }", &found),
        Err("the number of messages is 1, and should be 0".to_owned())
    );
}
