//! `[plugin.config]`

use amphora_sdk::config;

/// What decides where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Chance,
    RoutingKey,
    Header(String),
}

impl By {
    /// # Errors
    /// Something is wrong; the text names the key.
    pub(crate) fn read() -> Result<Self, String> {
        config::only(&["by", "header"])?;
        let by = config::get("by");
        match (by.as_deref().unwrap_or("chance"), config::get("header")) {
            ("chance", None) => Ok(Self::Chance),
            ("routing-key", None) => Ok(Self::RoutingKey),
            ("header", Some(name)) => Ok(Self::Header(name)),
            ("header", None) => {
                Err("config key 'header' says which header, and is missing".to_owned())
            }
            ("chance" | "routing-key", Some(_)) => {
                Err("config key 'header' means something only with by = \"header\"".to_owned())
            }
            (other, _) => Err(format!(
                "config key 'by' is \"chance\", \"routing-key\" or \"header\", not \"{other}\""
            )),
        }
    }
}
