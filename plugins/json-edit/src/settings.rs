//! `[plugin.config]`

use amphora_sdk::config;
use serde_json::{Map, Value};

use crate::edit::Edit;

/// What the operator configured.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Messages that are no JSON are rejected.
    pub(crate) reject_others: bool,
    pub(crate) edits: Vec<Edit>,
}

impl Settings {
    /// # Errors
    /// Something is wrong; the text names the key and the edit.
    pub(crate) fn read() -> Result<Self, String> {
        config::only(&["edit", "not-json"])?;
        let reject_others = match config::get("not-json").as_deref() {
            None | Some("pass") => false,
            Some("reject") => true,
            Some(other) => {
                return Err(format!(
                    "config key 'not-json' is \"pass\" or \"reject\", not \"{other}\""
                ));
            }
        };
        let list = config::get("edit").unwrap_or_default();
        let Ok(Value::Array(list)) = serde_json::from_str(&list) else {
            return Err("config key 'edit' is a list of tables, [[plugin.config.edit]]".to_owned());
        };
        let edits = list.into_iter().enumerate().map(|(index, table)| {
            let edit = Fields::of(table).and_then(|mut fields| {
                let edit = Edit::read(&mut fields)?;
                fields.finish()?;
                Ok(edit)
            });
            edit.map_err(|error| format!("edit {}: {error}", index + 1))
        });
        Ok(Self {
            reject_others,
            edits: edits.collect::<Result<_, _>>()?,
        })
    }
}

/// The fields of an edit that nobody has read yet.
#[derive(Debug)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    fn of(table: Value) -> Result<Self, String> {
        match table {
            Value::Object(fields) => Ok(Self(fields)),
            other => Err(format!("it is {other}, and no table")),
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name)
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("'{name}' is a text, not {other}")),
        }
    }

    fn finish(self) -> Result<(), String> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("'{name}' means nothing here")),
        }
    }
}
