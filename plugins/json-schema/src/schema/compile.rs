//! From a document to a [`Schema`].

use std::collections::BTreeMap;

use json_pointer::Pointer;
use serde_json::{Map, Value};

use super::read::{array, count, names, number, object, regex, types};
use super::{Id, Keyword, ROOT, Schema};

/// What says something about a schema, and demands nothing.
const ANNOTATIONS: [&str; 16] = [
    "$schema",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "$id",
];

/// Keywords that are read along with another one.
const COMPANIONS: [&str; 4] = ["then", "else", "minContains", "maxContains"];

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// A keyword has a value that it cannot have, or is not known; the text names its place.
    pub(crate) fn new(document: &Value) -> Result<Self, String> {
        let mut compiler = Compiler {
            document,
            nodes: Vec::new(),
            places: BTreeMap::new(),
        };
        let root = compiler.schema(document, "")?;
        debug_assert_eq!(root, ROOT);
        let schema = Self {
            nodes: compiler.nodes,
        };
        schema.refuse_loops()?;
        Ok(schema)
    }
}

struct Compiler<'a> {
    document: &'a Value,
    nodes: Vec<Vec<Keyword>>,
    /// What was read already, or is being read, by its JSON pointer.
    places: BTreeMap<String, Id>,
}

impl Compiler<'_> {
    fn schema(&mut self, schema: &Value, place: &str) -> Result<Id, String> {
        if let Some(&id) = self.places.get(place) {
            return Ok(id);
        }
        let id = self.nodes.len();
        self.nodes.push(Vec::new());
        self.places.insert(place.to_owned(), id);
        self.nodes[id] = match schema {
            Value::Bool(true) => Vec::new(),
            Value::Bool(false) => vec![Keyword::Never],
            Value::Object(fields) => self.keywords(fields, place)?,
            other => return Err(format!("{}: {other} is no schema", shown(place))),
        };
        Ok(id)
    }

    fn keywords(
        &mut self,
        fields: &Map<String, Value>,
        place: &str,
    ) -> Result<Vec<Keyword>, String> {
        let mut keywords = Vec::new();
        for (name, value) in fields {
            if ANNOTATIONS.contains(&name.as_str()) || COMPANIONS.contains(&name.as_str()) {
                continue;
            }
            let inside = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
            let keyword = match assertion(name, value) {
                Some(keyword) => keyword.map_err(|error| format!("{}: {error}", shown(&inside))),
                None => self.applicator(name, value, fields, &inside),
            };
            keywords.push(keyword?);
        }
        Ok(keywords)
    }

    /// A keyword that has schemas within it.
    fn applicator(
        &mut self,
        name: &str,
        value: &Value,
        fields: &Map<String, Value>,
        place: &str,
    ) -> Result<Keyword, String> {
        let here = |error: String| format!("{}: {error}", shown(place));
        Ok(match name {
            "$ref" => Keyword::Reference(self.reference(value).map_err(here)?),
            "allOf" => Keyword::AllOf(self.list(value, place)?),
            "anyOf" => Keyword::AnyOf(self.list(value, place)?),
            "oneOf" => Keyword::OneOf(self.list(value, place)?),
            "not" => Keyword::Not(self.schema(value, place)?),
            "if" => Keyword::If {
                condition: self.schema(value, place)?,
                then: self.beside(fields, place, "then")?,
                otherwise: self.beside(fields, place, "else")?,
            },
            "prefixItems" => Keyword::PrefixItems(self.list(value, place)?),
            "items" => Keyword::Items {
                from: fields
                    .get("prefixItems")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len),
                schema: self.schema(value, place)?,
            },
            "contains" => {
                let bound = |name, otherwise| match fields.get(name) {
                    None => Ok(otherwise),
                    Some(value) => count(value).map_err(|error| here(format!("{name} {error}"))),
                };
                Keyword::Contains {
                    min: bound("minContains", 1)?,
                    max: bound("maxContains", usize::MAX)?,
                    schema: self.schema(value, place)?,
                }
            }
            "properties" => Keyword::Properties(self.named(value, place)?),
            "dependentSchemas" => Keyword::DependentSchemas(self.named(value, place)?),
            "patternProperties" => {
                let named = self.named(value, place)?.into_iter();
                let named = named.map(|(pattern, id)| Ok((regex(&pattern).map_err(here)?, id)));
                Keyword::PatternProperties(named.collect::<Result<_, String>>()?)
            }
            "additionalProperties" => {
                let keys = |name: &str| {
                    let named = fields.get(name).and_then(Value::as_object);
                    named.into_iter().flat_map(Map::keys)
                };
                let patterns =
                    keys("patternProperties").map(|pattern| regex(pattern).map_err(here));
                Keyword::AdditionalProperties {
                    names: keys("properties").cloned().collect(),
                    patterns: patterns.collect::<Result<_, String>>()?,
                    schema: self.schema(value, place)?,
                }
            }
            "propertyNames" => Keyword::PropertyNames(self.schema(value, place)?),
            _ => return Err(here("this keyword is not supported".to_owned())),
        })
    }

    /// A schema that stands beside a keyword.
    fn beside(
        &mut self,
        fields: &Map<String, Value>,
        place: &str,
        name: &str,
    ) -> Result<Option<Id>, String> {
        let parent = place.rsplit_once('/').map_or("", |(parent, _)| parent);
        let schema = fields.get(name);
        schema
            .map(|schema| self.schema(schema, &format!("{parent}/{name}")))
            .transpose()
    }

    fn list(&mut self, value: &Value, place: &str) -> Result<Vec<Id>, String> {
        let schemas = array(value).map_err(|error| format!("{}: {error}", shown(place)))?;
        let schemas = schemas.iter().enumerate();
        schemas
            .map(|(index, schema)| self.schema(schema, &format!("{place}/{index}")))
            .collect()
    }

    fn named(&mut self, value: &Value, place: &str) -> Result<Vec<(String, Id)>, String> {
        let schemas = object(value).map_err(|error| format!("{}: {error}", shown(place)))?;
        let schemas = schemas.iter().map(|(name, schema)| {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            Ok((
                name.clone(),
                self.schema(schema, &format!("{place}/{escaped}"))?,
            ))
        });
        schemas.collect()
    }

    fn reference(&mut self, value: &Value) -> Result<Id, String> {
        let pointer = value.as_str().and_then(|text| text.strip_prefix('#'));
        let pointer = pointer.filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let pointer = pointer.ok_or_else(|| {
            format!("takes a place within this schema, such as \"#/$defs/item\", not {value}")
        })?;
        let document = self.document;
        let target = Pointer::parse(pointer)?;
        let schema = target
            .find(document)
            .ok_or_else(|| format!("there is no #{pointer}"))?;
        self.schema(schema, pointer)
    }
}

/// A keyword that looks at the value itself. None if it is not one of them.
fn assertion(name: &str, value: &Value) -> Option<Result<Keyword, String>> {
    Some(match name {
        "type" => types(value).map(Keyword::Type),
        "enum" => array(value).map(|values| Keyword::Enum(values.to_owned())),
        "const" => Ok(Keyword::Const(value.clone())),
        "multipleOf" => number(value).and_then(|number| match number {
            number if number > 0.0 => Ok(Keyword::MultipleOf(number)),
            _ => Err("takes a number above 0".to_owned()),
        }),
        "maximum" => number(value).map(Keyword::Maximum),
        "exclusiveMaximum" => number(value).map(Keyword::ExclusiveMaximum),
        "minimum" => number(value).map(Keyword::Minimum),
        "exclusiveMinimum" => number(value).map(Keyword::ExclusiveMinimum),
        "maxLength" => count(value).map(Keyword::MaxLength),
        "minLength" => count(value).map(Keyword::MinLength),
        "pattern" => match value {
            Value::String(pattern) => regex(pattern).map(Keyword::Pattern),
            other => Err(format!("takes a text, not {other}")),
        },
        "maxItems" => count(value).map(Keyword::MaxItems),
        "minItems" => count(value).map(Keyword::MinItems),
        "uniqueItems" => match value {
            Value::Bool(true) => Ok(Keyword::UniqueItems),
            // It demands nothing, as does the list of no schemas.
            Value::Bool(false) => Ok(Keyword::AllOf(Vec::new())),
            other => Err(format!("takes true or false, not {other}")),
        },
        "maxProperties" => count(value).map(Keyword::MaxProperties),
        "minProperties" => count(value).map(Keyword::MinProperties),
        "required" => names(value).map(Keyword::Required),
        "dependentRequired" => object(value).and_then(|fields| {
            let fields = fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), names(value)?)));
            fields
                .collect::<Result<_, String>>()
                .map(Keyword::DependentRequired)
        }),
        _ => return None,
    })
}

fn shown(place: &str) -> String {
    format!("#{place}")
}
