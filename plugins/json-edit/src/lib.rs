//! Changes the JSON in messages: removes, redacts and masks what not everybody may read, and sets what is known from elsewhere.

mod edit;
mod place;
mod settings;
mod source;
mod twice;

use amphora_sdk::transform::{Message, Replacement, Transform, Verdict};
use amphora_sdk::{Description, Needs, log};
use serde_json::Value;

use self::settings::Settings;

/// The transform.
#[derive(Debug)]
pub struct JsonEdit {
    settings: Settings,
}

impl Transform for JsonEdit {
    fn configure() -> Result<Self, String> {
        log::panics();
        let settings = Settings::read()?;
        Ok(Self { settings })
    }

    fn describe(&self) -> Description {
        let needs = Needs::new().body();
        let edits = self.settings.edits.iter();
        let needs = edits.fold(needs, |needs, edit| edit.add_needs(needs));
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), needs)
    }

    fn apply(&mut self, message: &Message, _queue: Option<&str>) -> Verdict {
        let mut body: Value = match serde_json::from_slice(&message.body) {
            Ok(body) => body,
            Err(error) if self.settings.reject_others => {
                return Verdict::Reject(format!("the body is no JSON: {error}"));
            }
            Err(_) => return Verdict::Pass,
        };
        let mut changed = false;
        for edit in &self.settings.edits {
            changed |= edit.apply(&mut body, message);
        }
        // Not every reader takes the field that the edits saw, so only that one goes on.
        if changed || twice::has_names_twice(&message.body, &body) {
            Replacement::new().body(body.to_string()).into()
        } else {
            Verdict::Pass
        }
    }
}

amphora_sdk::export_transform!(JsonEdit);

#[cfg(test)]
mod tests;
