//! Places in a JSON document (RFC 6901), read once and looked up often. What the stock plugins that look into bodies share.

use std::fmt;

use serde_json::Value;

/// A place in a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    tokens: Vec<String>,
}

impl Pointer {
    /// Reads a pointer: nothing for the whole document, or steps that begin with `/` each. `~1` stands for `/` in a step, `~0` for `~`.
    ///
    /// # Errors
    /// It is none; the text says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("'{text}' is no JSON pointer: {why}");
        let mut tokens = Vec::new();
        if !text.is_empty() {
            let steps = text
                .strip_prefix('/')
                .ok_or_else(|| wrong("it must begin with '/'"))?;
            for step in steps.split('/') {
                let token = unescape(step).ok_or_else(|| wrong("'~' stands before 0 or 1 only"))?;
                tokens.push(token);
            }
        }
        Ok(Self {
            text: text.to_owned(),
            tokens,
        })
    }

    /// Its steps.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// What is there.
    pub fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.tokens
            .iter()
            .try_fold(document, |value, token| match value {
                Value::Object(fields) => fields.get(token),
                Value::Array(elements) => elements.get(index(token)?),
                _ => None,
            })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The number of an array's element. It has no superfluous zeros and no sign.
pub fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with(['0', '+']);
    canonical.then(|| token.parse().ok())?
}

fn unescape(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut token = parts.next()?.to_owned();
    for part in parts {
        if let Some(rest) = part.strip_prefix('0') {
            token.push('~');
            token.push_str(rest);
        } else {
            token.push('/');
            token.push_str(part.strip_prefix('1')?);
        }
    }
    Some(token)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Pointer;

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).expect(text)
    }

    #[test]
    fn the_examples_of_the_standard_are_found() {
        let document = json!({
            "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8
        });
        assert_eq!(pointer("").find(&document), Some(&document));
        for (text, expected) in [
            ("/foo", json!(["bar", "baz"])),
            ("/foo/0", json!("bar")),
            ("/", json!(0)),
            ("/a~1b", json!(1)),
            ("/c%d", json!(2)),
            ("/i\\j", json!(5)),
            ("/ ", json!(7)),
            ("/m~0n", json!(8)),
        ] {
            assert_eq!(pointer(text).find(&document), Some(&expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let document = json!({"a": [1], "b": "text"});
        for text in [
            "/c", "/a/1", "/a/-", "/a/00", "/a/+0", "/a/x", "/b/0", "/a/0/x",
        ] {
            assert_eq!(pointer(text).find(&document), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        assert_eq!(
            Pointer::parse("a"),
            Err("'a' is no JSON pointer: it must begin with '/'".to_owned())
        );
        assert_eq!(
            Pointer::parse("/a~2"),
            Err("'/a~2' is no JSON pointer: '~' stands before 0 or 1 only".to_owned())
        );
    }
}
