//! What only shows when all of the configuration is known.

use super::{Config, ConfigError, Tls};
use crate::nearest::nearest;

/// The tags that say what a user may do in the management API.
const TAGS: [&str; 5] = [
    "administrator",
    "impersonator",
    "management",
    "monitoring",
    "policymaker",
];

impl Config {
    /// Refuses settings that contradict each other.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.tls.check()?;
        if !self.listeners.amqps.is_empty() && self.tls.certificate.is_none() {
            return Err(ConfigError::new(
                "listeners.amqps",
                "TLS needs a certificate; set `certificate` and `key` in [tls]",
            ));
        }
        if self.listeners.amqp.is_empty() && self.listeners.amqps.is_empty() {
            return Err(ConfigError::new(
                "listeners.amqp",
                "no client could connect; give an address here or in amqps",
            ));
        }
        if self.limits.handshake_timeout.is_zero() {
            return Err(ConfigError::new(
                "limits.handshake_timeout",
                "no client could log in; give a duration such as \"10s\"",
            ));
        }
        self.check_users()?;
        self.check_plugins()?;
        self.check_attachments()?;
        self.check_files()
    }

    fn check_users(&self) -> Result<(), ConfigError> {
        for (index, user) in self.users.iter().enumerate() {
            let refuse = |key: &str, text: String| {
                Err(ConfigError::new(format!("users.{index}.{key}"), text))
            };
            if user.name.is_empty() {
                return refuse("name", "a user's name is not empty".to_owned());
            }
            let before = self.users.get(..index).unwrap_or_default();
            if before.iter().any(|other| other.name == user.name) {
                return refuse("name", format!("there are two users {:?}", user.name));
            }
            // Other tags than the broker's own are allowed: applications have theirs.
            for tag in &user.tags {
                if !TAGS.contains(&tag.as_str())
                    && let Some(meant) = nearest(tag, &TAGS)
                {
                    return refuse("tags", format!("{tag:?}; did you mean {meant:?}?"));
                }
            }
        }
        Ok(())
    }

    /// What is read later must be there now, while it can be said which line names it.
    fn check_files(&self) -> Result<(), ConfigError> {
        let files = [
            ("tls.certificate", &self.tls.certificate),
            ("tls.key", &self.tls.key),
            ("tls.client_ca", &self.tls.client_ca),
            ("load_definitions", &self.load_definitions),
        ];
        for (key, file) in files {
            if let Some(file) = file
                && let Err(error) = std::fs::File::open(file)
            {
                let text = format!("{} cannot be read: {error}", file.display());
                return Err(ConfigError::new(key, text));
            }
        }
        Ok(())
    }

    fn check_plugins(&self) -> Result<(), ConfigError> {
        for (index, plugin) in self.plugins.iter().enumerate() {
            let refuse = |key: &str, text: String| {
                Err(ConfigError::new(format!("plugin.{index}.{key}"), text))
            };
            let before = &self.plugins[..index];
            if before.iter().any(|other| other.name == plugin.name) {
                return refuse("name", format!("there are two plugins {:?}", plugin.name));
            }
            if plugin.path.is_none() {
                return refuse("path", "missing".to_owned());
            }
            let supplier = before.iter().find(|other| {
                plugin.exchange_type.is_some() && other.exchange_type == plugin.exchange_type
            });
            if let Some(supplier) = supplier {
                let text = format!("plugin {:?} supplies it already", supplier.name);
                return refuse("exchange-type", text);
            }
            if let Err(problem) = plugin.check() {
                return refuse(problem.key, problem.text.to_owned());
            }
        }
        Ok(())
    }

    fn check_attachments(&self) -> Result<(), ConfigError> {
        for (index, attachment) in self.attachments.iter().enumerate() {
            let refuse = |key: &str, text: String| {
                Err(ConfigError::new(format!("attach.{index}.{key}"), text))
            };
            let mut plugins = self.plugins.iter();
            let Some(plugin) = plugins.find(|plugin| plugin.name == attachment.plugin) else {
                let names: Vec<&str> = self.plugins.iter().map(|plugin| &*plugin.name).collect();
                let hint = match nearest(&attachment.plugin, &names) {
                    Some(name) => format!("did you mean {name:?}?"),
                    None => "name one that has a [[plugin]] in this file".to_owned(),
                };
                let text = format!("there is no plugin {:?}; {hint}", attachment.plugin);
                return refuse("plugin", text);
            };
            if let Err(problem) = attachment.check(plugin) {
                return refuse(problem.key, problem.text.to_owned());
            }
        }
        Ok(())
    }
}

impl Tls {
    fn check(&self) -> Result<(), ConfigError> {
        if self.certificate.is_some() != self.key.is_some() {
            let (given, absent) = if self.key.is_some() {
                ("key", "certificate")
            } else {
                ("certificate", "key")
            };
            return Err(ConfigError::new(
                format!("tls.{given}"),
                format!("of no use without `{absent}`; set both"),
            ));
        }
        if self.require_client_certificate && self.client_ca.is_none() {
            let text =
                "no certificate could be checked; name the accepted authorities in `client_ca`";
            return Err(ConfigError::new("tls.require_client_certificate", text));
        }
        Ok(())
    }
}
