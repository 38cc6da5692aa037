//! The document about the API: `OpenAPI` 3.1.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{Field, Kind, Operation};
use crate::management::answer::{Page, Shape};
use crate::management::refused::Refusal;

/// The paths and methods of all operations.
pub(super) fn of(operations: &[Operation]) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for operation in operations {
        let path = paths
            .entry(operation.path.clone())
            .or_insert_with(|| json!({}));
        path[operation.method] = describe(operation, &mut schemas);
    }
    let mut groups: Vec<&str> = operations.iter().map(|operation| operation.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let tags: Vec<Value> = groups
        .iter()
        .map(|group| json!({ "name": group }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Amphora",
            "description": "The management API. Paths and shapes are those of RabbitMQ's, and a few of the broker's own.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/api" }],
        "tags": tags,
        "paths": paths,
        "components": components(schemas),
    })
}

fn describe(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let Operation {
        group,
        method,
        path,
        about,
        inputs,
        fields,
        answer: _,
    } = operation;
    let mut parameters: Vec<Value> = names(path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    if inputs.listing {
        let listing = LISTING.iter().map(|(name, ..)| name);
        parameters.extend(
            listing.map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })),
        );
    }
    let mut described = json!({
        "tags": [group],
        "summary": about,
        "operationId": id(method, path),
        "parameters": parameters,
        "responses": responses(operation, schemas),
    });
    if inputs.login {
        described["security"] = json!([{ "basic": [] }]);
    }
    if inputs.json {
        described["requestBody"] = json!({
            "required": fields.iter().any(|field| field.required),
            "content": { "application/json": { "schema": object(fields) } },
        });
    } else if inputs.bytes {
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/octet-stream": {} },
        });
    }
    described
}

fn responses(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let done = |content: Value| json!({ "description": "Done.", "content": content });
    let of =
        |schema: Value| json!({ "200": done(json!({ "application/json": { "schema": schema } })) });
    let mut responses = match (operation.answer, operation.method) {
        (Shape::One(describe), _) => of(describe(schemas).to_value()),
        (Shape::Many(describe), _) => of(list(&describe(schemas), schemas)),
        (Shape::Other, _) => json!({ "2XX": done(json!({ "application/json": {} })) }),
        (Shape::Empty, "put") => json!({
            "201": { "description": "It was made." },
            "204": { "description": "It was there, and is now as asked." },
        }),
        (Shape::Empty, "delete") => json!({ "204": { "description": "It is gone." } }),
        (Shape::Empty, _) => json!({ "2XX": { "description": "Done." } }),
    };
    let refused = json!({ "$ref": "#/components/responses/refused" });
    if operation.inputs.login {
        responses["401"] = refused.clone();
    }
    responses["default"] = refused;
    responses
}

/// All items, or a page of them.
fn list(item: &Schema, schemas: &mut SchemaGenerator) -> Value {
    let page = schemas.subschema_for::<Page<Value>>().to_value();
    let items = json!({ "type": "array", "items": item });
    json!({ "oneOf": [
        items,
        { "allOf": [page, { "type": "object", "properties": { "items": items } }] },
    ] })
}

/// An object with these fields, and perhaps with others.
fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.to_owned(), schema(field.kind)))
        .collect();
    let required = fields.iter().filter(|field| field.required);
    let required: Vec<&str> = required.map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count => json!({ "type": "integer", "minimum": 0 }),
        Kind::Object => json!({ "type": "object" }),
        Kind::Any => json!({}),
    }
}

/// `getQueuesVhostName` for a GET of `/queues/{vhost}/{name}`.
fn id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .fold(method.to_owned(), |mut id, word| {
            let (first, rest) = word.split_at(1);
            id.push_str(&first.to_ascii_uppercase());
            id.push_str(rest);
            id
        })
}

/// The parts of a path that stand for something.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// What lists understand: name, type, meaning.
const LISTING: [(&str, &str, &str); 7] = [
    (
        "page",
        "integer",
        "The page, from 1 on. Without it all items come at once, as an array.",
    ),
    ("page_size", "integer", "Items of a page, at most 500."),
    (
        "name",
        "string",
        "Only items with this in their name. Needs a page.",
    ),
    ("use_regex", "boolean", "The name is a regular expression."),
    (
        "sort",
        "string",
        "The column to sort by, such as `message_stats.publish`.",
    ),
    ("sort_reverse", "boolean", "The largest first."),
    (
        "columns",
        "string",
        "Only these columns, with commas in between. What a schema requires is then there only if it is one of them.",
    ),
];

fn components(mut schemas: SchemaGenerator) -> Value {
    let refusal = schemas.subschema_for::<Refusal>();
    let parameters: Map<String, Value> = LISTING
        .iter()
        .map(|(name, kind, about)| {
            let parameter = json!({ "name": name, "in": "query", "description": about, "schema": { "type": kind } });
            ((*name).to_owned(), parameter)
        })
        .collect();
    json!({
        "securitySchemes": { "basic": { "type": "http", "scheme": "basic" } },
        "parameters": parameters,
        "responses": {
            "refused": {
                "description": "It was not done, for this reason.",
                "content": { "application/json": { "schema": refusal } },
            },
        },
        "schemas": schemas.take_definitions(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_ids_and_parameters() {
        let path = "/bindings/{vhost}/e/{source}/{kind}/{destination}";
        assert_eq!(id("get", path), "getBindingsVhostESourceKindDestination");
        assert_eq!(id("get", "/whoami"), "getWhoami");
        let parameters: Vec<_> = names(path).collect();
        assert_eq!(parameters, ["vhost", "source", "kind", "destination"]);
    }
}
