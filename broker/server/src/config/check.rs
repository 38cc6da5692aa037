//! What only shows when all of the configuration is known.

use super::{Config, ConfigError, Tls};

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
