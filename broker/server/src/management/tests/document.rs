//! What the document about the API says of answers.

use serde_json::Value;

use super::*;

async fn document(client: &Client<Arc<FakeBroker>>) -> anyhow::Result<Value> {
    let answer = client.send("GET", "/openapi.json", "").await?;
    Ok(serde_json::from_str(
        answer.strip_prefix("200 ").unwrap_or_default(),
    )?)
}

/// The schemas that are referred to, as far down as it goes.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(name)) = object.get("$ref") {
                found.push(name);
            }
            object.values().for_each(|inner| references(inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_question_has_an_answer_with_a_schema() -> anyhow::Result<()> {
    let document = document(&Client::new()?).await?;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 200, "{} references", found.len());
    for name in found {
        let pointer = name.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{name} leads nowhere");
    }
    let paths = document["paths"].as_object().into_iter().flatten();
    for (path, operations) in paths {
        if operations["get"].is_object() {
            let answer = &operations["get"]["responses"]["200"];
            let schema = &answer["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{path}: {}", operations["get"]);
        }
    }
    Ok(())
}

/// The keys that a schema requires, and whether it knows a key.
fn shape<'a>(document: &'a Value, schema: &'a Value) -> (Vec<&'a str>, Vec<&'a str>) {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.trim_start_matches('#');
        return shape(document, document.pointer(pointer).unwrap_or(&Value::Null));
    }
    let required = schema["required"].as_array().into_iter().flatten();
    let properties = schema["properties"].as_object().into_iter().flatten();
    (
        required.filter_map(Value::as_str).collect(),
        properties.map(|(name, _)| name.as_str()).collect(),
    )
}

#[tokio::test]
async fn answers_have_the_columns_that_their_schemas_say() -> anyhow::Result<()> {
    let client = Client::new()?;
    client.broker.connect("guest", 40_001);
    client.send("PUT", "/queues/%2F/q", "{}").await?;
    let document = document(&client).await?;
    for (path, real) in [
        ("/overview", "/overview"),
        ("/nodes/{name}", "/nodes/amphora@test"),
        ("/queues/{vhost}/{name}", "/queues/%2F/q"),
        ("/exchanges/{vhost}/{name}", "/exchanges/%2F/amq.direct"),
        ("/vhosts/{vhost}", "/vhosts/%2F"),
        ("/users/{name}", "/users/guest"),
        (
            "/connections/{name}",
            "/connections/127.0.0.1:40001%20-%3E%20127.0.0.1:5672",
        ),
        (
            "/channels/{name}",
            "/channels/127.0.0.1:40001%20-%3E%20127.0.0.1:5672%20(1)",
        ),
        ("/permissions/{vhost}/{user}", "/permissions/%2F/guest"),
        ("/definitions", "/definitions"),
        ("/settings", "/settings"),
        ("/whoami", "/whoami"),
    ] {
        let answer = client.send("GET", real, "").await?;
        let answer: Value = serde_json::from_str(answer.strip_prefix("200 ").unwrap_or(&answer))?;
        let answered = &document["paths"][path]["get"]["responses"]["200"];
        let schema = &answered["content"]["application/json"]["schema"];
        let (required, known) = shape(&document, schema);
        assert!(!required.is_empty(), "{path}: {schema}");
        for name in required {
            assert!(answer.get(name).is_some(), "{path} lacks {name}");
        }
        for (name, _) in answer.as_object().into_iter().flatten() {
            let is_known = known.contains(&name.as_str()) || name.ends_with("_details");
            assert!(
                is_known,
                "{path} has {name}, of which the document knows nothing"
            );
        }
    }
    Ok(())
}
