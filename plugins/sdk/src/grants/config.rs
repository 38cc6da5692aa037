//! The table `[plugin.config]` of the broker's configuration. Grant: `config`. It does not change during the life of an instance.

#[cfg(target_arch = "wasm32")]
use crate::bindings::grants::amphora::plugin::config as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::grants::config as host;

/// The value of a key: a text as it is, anything else as JSON.
pub fn get(key: &str) -> Option<String> {
    host::get(key)
}

/// All keys and values.
pub fn all() -> Vec<(String, String)> {
    host::all()
}

/// The value of a key, parsed.
///
/// # Errors
/// It is there and is no such value; the text names the key.
pub fn parse<T: std::str::FromStr>(key: &str) -> Result<Option<T>, String>
where
    T::Err: std::fmt::Display,
{
    let Some(text) = get(key) else {
        return Ok(None);
    };
    let value = text.parse();
    value
        .map(Some)
        .map_err(|error| format!("config key '{key}': '{text}': {error}"))
}

/// Refuses keys that the plugin does not know, which are most often misspelt ones.
///
/// # Errors
/// The text names the first such key, and those that are known.
pub fn only(known: &[&str]) -> Result<(), String> {
    match all().iter().find(|(key, _)| !known.contains(&&**key)) {
        None => Ok(()),
        Some((key, _)) => Err(format!(
            "config key '{key}' means nothing; the keys are: {}",
            known.join(", ")
        )),
    }
}
