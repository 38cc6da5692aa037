//! One change.

use amphora_sdk::Needs;
use amphora_sdk::transform::Message;
use json_pointer::Pointer;
use serde_json::Value;

use crate::place::{Change, change, set};
use crate::settings::Fields;
use crate::source::Source;

/// A place, and what happens there.
#[derive(Debug)]
pub(crate) struct Edit {
    at: Pointer,
    action: Action,
}

#[derive(Debug)]
enum Action {
    /// It goes.
    Remove,
    /// It is replaced if it is there.
    Redact(Value),
    /// All but so many characters at its end become asterisks.
    Mask(usize),
    /// It is set, and made if it is not there.
    Set { source: Source, overwrite: bool },
}

impl Edit {
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, String> {
        let at = fields.text("at")?.ok_or("'at' is missing")?;
        let at = Pointer::parse(&at)?;
        if at.tokens().is_empty() {
            return Err(
                "'at' names a place within the document, such as \"/card/number\"".to_owned(),
            );
        }
        let action = match fields.text("action")?.as_deref() {
            Some("remove") => Action::Remove,
            Some("redact") => {
                Action::Redact(fields.take("with").unwrap_or_else(|| "[redacted]".into()))
            }
            Some("mask") => Action::Mask(keep(fields)?),
            Some("set") => Action::Set {
                source: Source::read(fields)?,
                overwrite: overwrite(fields)?,
            },
            Some(other) => {
                return Err(format!(
                    "'action' is \"remove\", \"redact\", \"mask\" or \"set\", not \"{other}\""
                ));
            }
            None => return Err("'action' is missing".to_owned()),
        };
        Ok(Self { at, action })
    }

    pub(crate) fn add_needs(&self, needs: Needs) -> Needs {
        match &self.action {
            Action::Set { source, .. } => source.add_needs(needs),
            _ => needs,
        }
    }

    /// Makes the change, and says whether anything is other than before.
    pub(crate) fn apply(&self, body: &mut Value, message: &Message) -> bool {
        let steps = self.at.tokens();
        match &self.action {
            Action::Remove => change(body, steps, &|_| Change::Remove) != Change::Nothing,
            Action::Redact(with) => {
                let redact = |value: &mut Value| replace(value, with.clone());
                change(body, steps, &redact) != Change::Nothing
            }
            Action::Mask(keep) => {
                let mask = |value: &mut Value| replace(value, masked(value, *keep));
                change(body, steps, &mask) != Change::Nothing
            }
            Action::Set { source, overwrite } => match source.value(message) {
                Some(value) => set(body, steps, &value, *overwrite),
                None => false,
            },
        }
    }
}

fn keep(fields: &mut Fields) -> Result<usize, String> {
    let Some(value) = fields.take("keep") else {
        return Ok(0);
    };
    let keep = value.as_u64().and_then(|keep| usize::try_from(keep).ok());
    keep.ok_or_else(|| format!("'keep' is a number of characters, not {value}"))
}

fn overwrite(fields: &mut Fields) -> Result<bool, String> {
    match fields.take("overwrite") {
        None => Ok(true),
        Some(Value::Bool(overwrite)) => Ok(overwrite),
        Some(other) => Err(format!("'overwrite' is true or false, not {other}")),
    }
}

fn replace(value: &mut Value, with: Value) -> Change {
    if *value == with {
        return Change::Nothing;
    }
    *value = with;
    Change::Changed
}

/// A text that is not longer than what is to be kept becomes asterisks as a whole, as do the values that have no characters.
fn masked(value: &Value, keep: usize) -> Value {
    let text = match value {
        Value::Null => return Value::Null,
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return "****".into(),
    };
    let length = text.chars().count();
    let hidden = if length > keep { length - keep } else { length };
    let shown = text.chars().skip(hidden);
    "*".repeat(hidden)
        .chars()
        .chain(shown)
        .collect::<String>()
        .into()
}
