//! Whether a value is what a schema demands.

use std::fmt;

use serde_json::{Map, Value};

use super::equal::equal;
use super::{Id, Keyword, ROOT, Schema};

/// What is wrong, as much of it as somebody wants to know.
struct Errors {
    texts: Vec<String>,
    max: usize,
}

impl Errors {
    fn add(&mut self, place: &Place<'_>, text: &str) {
        if !self.full() {
            self.texts.push(format!("{place} {text}"));
        }
    }

    fn full(&self) -> bool {
        self.texts.len() >= self.max
    }
}

/// A place in the body, from its end to its beginning.
#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'a str),
    Element(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn steps(place: &Place<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match place {
                Place::Root => Ok(()),
                Place::Field(outer, name) => {
                    steps(outer, f)?;
                    write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))
                }
                Place::Element(outer, index) => {
                    steps(outer, f)?;
                    write!(f, "/{index}")
                }
            }
        }
        match self {
            Place::Root => f.write_str("it"),
            place => steps(place, f),
        }
    }
}

impl Schema {
    /// The first of the errors in a value; none if it is valid.
    pub(crate) fn errors(&self, value: &Value, max: usize) -> Vec<String> {
        let mut errors = Errors {
            texts: Vec::new(),
            max,
        };
        self.check(ROOT, value, &Place::Root, &mut errors);
        errors.texts
    }

    fn valid(&self, id: Id, value: &Value) -> bool {
        let mut errors = Errors {
            texts: Vec::new(),
            max: 1,
        };
        self.check(id, value, &Place::Root, &mut errors);
        errors.texts.is_empty()
    }

    fn check(&self, id: Id, value: &Value, place: &Place<'_>, errors: &mut Errors) {
        for keyword in &self.nodes[id] {
            if errors.full() {
                return;
            }
            self.keyword(keyword, value, place, errors);
        }
    }

    fn keyword(&self, keyword: &Keyword, value: &Value, place: &Place<'_>, errors: &mut Errors) {
        let count = |ids: &[Id]| ids.iter().filter(|&&id| self.valid(id, value)).count();
        match keyword {
            Keyword::Never => errors.add(place, "must not be there"),
            Keyword::Reference(id) => self.check(*id, value, place, errors),
            Keyword::AllOf(ids) => {
                for &id in ids {
                    self.check(id, value, place, errors);
                }
            }
            Keyword::AnyOf(ids) => {
                if count(ids) == 0 {
                    errors.add(place, "fits none of the schemas of anyOf");
                }
            }
            Keyword::OneOf(ids) => match count(ids) {
                1 => {}
                0 => errors.add(place, "fits none of the schemas of oneOf"),
                fitting => errors.add(
                    place,
                    &format!("fits {fitting} of the schemas of oneOf, and must fit one"),
                ),
            },
            Keyword::Not(id) => {
                if self.valid(*id, value) {
                    errors.add(place, "fits the schema that it must not fit");
                }
            }
            Keyword::If {
                condition,
                then,
                otherwise,
            } => {
                let branch = if self.valid(*condition, value) {
                    then
                } else {
                    otherwise
                };
                if let Some(id) = branch {
                    self.check(*id, value, place, errors);
                }
            }
            keyword => match value {
                Value::Array(elements) => self.array(keyword, elements, place, errors),
                Value::Object(fields) => self.object(keyword, value, fields, place, errors),
                _ => {}
            },
        }
        if let Some(text) = keyword.complaint(value) {
            errors.add(place, &text);
        }
    }

    fn array(&self, keyword: &Keyword, elements: &[Value], place: &Place<'_>, errors: &mut Errors) {
        match keyword {
            Keyword::PrefixItems(ids) => {
                for (index, (element, &id)) in elements.iter().zip(ids).enumerate() {
                    self.check(id, element, &Place::Element(place, index), errors);
                }
            }
            Keyword::Items { from, schema } => {
                for (index, element) in elements.iter().enumerate().skip(*from) {
                    self.check(*schema, element, &Place::Element(place, index), errors);
                }
            }
            Keyword::Contains { schema, min, max } => {
                let fitting = elements
                    .iter()
                    .filter(|element| self.valid(*schema, element));
                let fitting = fitting.count();
                if fitting < *min {
                    errors.add(
                        place,
                        &format!("has {fitting} fitting elements, and must have at least {min}"),
                    );
                } else if fitting > *max {
                    errors.add(
                        place,
                        &format!("has {fitting} fitting elements, and must have at most {max}"),
                    );
                }
            }
            _ => {}
        }
    }

    fn object(
        &self,
        keyword: &Keyword,
        value: &Value,
        fields: &Map<String, Value>,
        place: &Place<'_>,
        errors: &mut Errors,
    ) {
        match keyword {
            Keyword::Properties(named) => {
                for (name, id) in named {
                    if let Some(value) = fields.get(name) {
                        self.check(*id, value, &Place::Field(place, name), errors);
                    }
                }
            }
            Keyword::PatternProperties(patterns) => {
                for (pattern, id) in patterns {
                    for (name, value) in fields.iter().filter(|(name, _)| pattern.is_match(name)) {
                        self.check(*id, value, &Place::Field(place, name), errors);
                    }
                }
            }
            Keyword::AdditionalProperties {
                names,
                patterns,
                schema,
            } => {
                let named = |name: &String| {
                    names.contains(name) || patterns.iter().any(|pattern| pattern.is_match(name))
                };
                for (name, value) in fields.iter().filter(|(name, _)| !named(name)) {
                    self.check(*schema, value, &Place::Field(place, name), errors);
                }
            }
            Keyword::PropertyNames(id) => {
                for name in fields.keys() {
                    if !self.valid(*id, &Value::String(name.clone())) {
                        errors.add(
                            &Place::Field(place, name),
                            "has a name that it must not have",
                        );
                    }
                }
            }
            Keyword::DependentSchemas(named) => {
                for (_, id) in named.iter().filter(|(name, _)| fields.contains_key(name)) {
                    self.check(*id, value, place, errors);
                }
            }
            Keyword::Required(names) => missing(names, fields, place, errors),
            Keyword::DependentRequired(named) => {
                for (_, names) in named.iter().filter(|(name, _)| fields.contains_key(name)) {
                    missing(names, fields, place, errors);
                }
            }
            _ => {}
        }
    }
}

fn missing(names: &[String], fields: &Map<String, Value>, place: &Place<'_>, errors: &mut Errors) {
    for name in names.iter().filter(|name| !fields.contains_key(*name)) {
        errors.add(&Place::Field(place, name), "is missing");
    }
}

impl Keyword {
    /// What is wrong with the value, whatever is in it. Keywords for values of another type have nothing to complain of.
    fn complaint(&self, value: &Value) -> Option<String> {
        let complain = |wrong: bool, text: String| wrong.then_some(text);
        match self {
            Self::Type(types) => {
                let names: Vec<&str> = types.iter().map(|known| known.name()).collect();
                let fits = types.iter().any(|known| known.is(value));
                complain(!fits, format!("must be of type {}", names.join(" or ")))
            }
            Self::Enum(values) => {
                let fits = values.iter().any(|known| equal(known, value));
                complain(
                    !fits,
                    format!("must be one of {}", Value::Array(values.clone())),
                )
            }
            Self::Const(known) => complain(!equal(known, value), format!("must be {known}")),
            _ => match value {
                Value::Number(number) => self.number_complaint(number.as_f64()?),
                Value::String(text) => self.text_complaint(text),
                Value::Array(elements) => self.array_complaint(elements),
                Value::Object(fields) => self.object_complaint(fields.len()),
                Value::Null | Value::Bool(_) => None,
            },
        }
    }

    fn number_complaint(&self, number: f64) -> Option<String> {
        let (fits, text) = match self {
            Self::MultipleOf(of) => (multiple(number, *of), format!("must be a multiple of {of}")),
            Self::Maximum(max) => (number <= *max, format!("must be at most {max}")),
            Self::ExclusiveMaximum(max) => (number < *max, format!("must be less than {max}")),
            Self::Minimum(min) => (number >= *min, format!("must be at least {min}")),
            Self::ExclusiveMinimum(min) => (number > *min, format!("must be more than {min}")),
            _ => return None,
        };
        (!fits).then_some(text)
    }

    fn text_complaint(&self, text: &str) -> Option<String> {
        let (fits, text) = match self {
            Self::MaxLength(max) => (
                text.chars().count() <= *max,
                format!("must have at most {max} characters"),
            ),
            Self::MinLength(min) => (
                text.chars().count() >= *min,
                format!("must have at least {min} characters"),
            ),
            Self::Pattern(regex) => (
                regex.is_match(text),
                format!("must match {}", regex.as_str()),
            ),
            _ => return None,
        };
        (!fits).then_some(text)
    }

    fn array_complaint(&self, elements: &[Value]) -> Option<String> {
        let (fits, text) = match self {
            Self::MaxItems(max) => (
                elements.len() <= *max,
                format!("must have at most {max} elements"),
            ),
            Self::MinItems(min) => (
                elements.len() >= *min,
                format!("must have at least {min} elements"),
            ),
            Self::UniqueItems => (unique(elements), "has two equal elements".to_owned()),
            _ => return None,
        };
        (!fits).then_some(text)
    }

    fn object_complaint(&self, fields: usize) -> Option<String> {
        let (fits, text) = match self {
            Self::MaxProperties(max) => (
                fields <= *max,
                format!("must have at most {max} properties"),
            ),
            Self::MinProperties(min) => (
                fields >= *min,
                format!("must have at least {min} properties"),
            ),
            _ => return None,
        };
        (!fits).then_some(text)
    }
}

fn unique(elements: &[Value]) -> bool {
    let mut rest = elements;
    while let Some((first, others)) = rest.split_first() {
        if others.iter().any(|other| equal(first, other)) {
            return false;
        }
        rest = others;
    }
    true
}

/// A quotient of decimal fractions is seldom a whole number among floats, though it is one; so it may be off by the last digits.
fn multiple(number: f64, of: f64) -> bool {
    let quotient = number / of;
    if quotient.is_infinite() {
        return number % of == 0.0;
    }
    (quotient - quotient.round()).abs() <= quotient.abs() * 4.0 * f64::EPSILON
}
