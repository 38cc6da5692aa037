//! Schemas, and what they say of values.

use serde_json::{Value, json};

use super::Schema;

fn schema(document: &Value) -> Schema {
    Schema::new(document).expect("a sound schema")
}

fn errors(document: &Value, value: &Value) -> Vec<String> {
    schema(document).errors(value, 10)
}

/// Each keyword by itself, with values that are valid, and one that is not with what is said of it.
const KEYWORDS: &str = include_str!("keywords.json");

#[test]
fn every_keyword_demands_what_the_standard_says() {
    let cases: Value = serde_json::from_str(KEYWORDS).expect("JSON");
    for case in cases.as_array().expect("a list") {
        let schema = schema(&case["schema"]);
        for value in case["valid"].as_array().expect("a list") {
            assert_eq!(
                schema.errors(value, 10),
                Vec::<String>::new(),
                "{case} {value}"
            );
        }
        if let Some(value) = case.get("invalid") {
            let error = case["error"].as_str().expect("a text");
            assert_eq!(schema.errors(value, 10), [error], "{case}");
        }
    }
}

#[test]
fn schemas_refer_to_each_other_and_to_themselves() {
    let tree = json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {
            "type": "object",
            "required": ["value"],
            "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}
        }}
    });
    let value = json!({"value": 1, "children": [{"value": 2}, {"children": [{"value": "x"}]}]});
    assert_eq!(
        errors(&tree, &value),
        [
            "/children/1/value is missing",
            "/children/1/children/0/value must be of type integer"
        ]
    );
    let whole = json!({"type": "object", "additionalProperties": {"$ref": "#"}});
    assert_eq!(
        errors(&whole, &json!({"a": {"b": 1}})),
        ["/a/b must be of type object"]
    );
}

#[test]
fn no_more_errors_are_told_than_asked_for() {
    let document = json!({"items": {"type": "null"}});
    assert_eq!(schema(&document).errors(&json!([1, 2, 3, 4]), 3).len(), 3);
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    for (document, text) in [
        (json!(1), "#: 1 is no schema"),
        (
            json!({"properties": {"a": {"typ": "null"}}}),
            "#/properties/a/typ: this keyword is not supported",
        ),
        (
            json!({"unevaluatedProperties": false}),
            "#/unevaluatedProperties: this keyword is not supported",
        ),
        (json!({"type": "text"}), "#/type: there is no type 'text'"),
        (
            json!({"minLength": -1}),
            "#/minLength: takes a count, not -1",
        ),
        (
            json!({"multipleOf": 0}),
            "#/multipleOf: takes a number above 0",
        ),
        (
            json!({"required": "a"}),
            "#/required: takes an array, not \"a\"",
        ),
        (json!({"items": [{}]}), "#/items: [{}] is no schema"),
        (
            json!({"contains": {}, "minContains": "x"}),
            "#/contains: minContains takes a count, not \"x\"",
        ),
        (
            json!({"$ref": "#/$defs/a"}),
            "#/$ref: there is no #/$defs/a",
        ),
        (
            json!({"$ref": "https://example.com/schema"}),
            "#/$ref: takes a place within this schema, such as \"#/$defs/item\", not \"https://example.com/schema\"",
        ),
        (
            json!({"$ref": "#"}),
            "a $ref leads back to itself without looking into the value",
        ),
        (
            json!({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}),
            "a $ref leads back to itself without looking into the value",
        ),
    ] {
        assert_eq!(Schema::new(&document).map(|_| ()), Err(text.to_owned()));
    }
    let error = Schema::new(&json!({"pattern": "("}))
        .map(|_| ())
        .expect_err("unclosed");
    assert!(
        error.starts_with("#/pattern: takes a regular expression: "),
        "{error}"
    );
}
