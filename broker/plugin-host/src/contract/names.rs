//! Names of interfaces, and what a component may import.

use crate::error::LoadError;
use crate::spec::Grant;

/// The interfaces that a plugin may export.
pub(crate) const PLUGIN: &str = "amphora:plugin/plugin@0.1.0";
pub(crate) const EXCHANGE: &str = "amphora:plugin/exchange@0.1.0";
pub(crate) const EXCHANGE_PACKED: &str = "amphora:plugin/exchange-packed@0.1.0";
pub(crate) const EXCHANGE_TYPED: &str = "amphora:plugin/exchange-typed@0.1.0";
pub(crate) const TRANSFORM: &str = "amphora:plugin/transform@0.1.0";

const OURS: &str = "amphora:plugin";

/// The packages of WASI that are there, and empty.
const WASI: [&str; 6] = [
    "wasi:cli",
    "wasi:io",
    "wasi:clocks",
    "wasi:random",
    "wasi:filesystem",
    "wasi:sockets",
];

/// A name such as `wasi:io/streams@0.2.3`, in its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interface<'a> {
    pub(crate) package: &'a str,
    pub(crate) name: &'a str,
    version: &'a str,
}

impl<'a> Interface<'a> {
    pub(crate) fn parse(full: &'a str) -> Self {
        let (path, version) = full.split_once('@').unwrap_or((full, ""));
        let (package, name) = path.split_once('/').unwrap_or((path, ""));
        Self {
            package,
            name,
            version,
        }
    }

    fn is_version(self, prefix: &str) -> bool {
        self.version.starts_with(prefix)
    }
}

/// What an import is to the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Import<'a> {
    /// Types only.
    Types,
    /// An interface that is granted by name.
    Grant(Grant),
    /// An interface of a package of WASI.
    Wasi(Interface<'a>),
}

/// What the import of this name is; none if it is nothing that the host knows.
///
/// # Errors
/// It is of another version of the contract.
pub(crate) fn import(full: &str) -> Result<Option<Import<'_>>, LoadError> {
    let interface = Interface::parse(full);
    if interface.package == OURS {
        check_version(interface)?;
        if interface.name == "types" {
            return Ok(Some(Import::Types));
        }
        return Ok(interface.name.parse().ok().map(Import::Grant));
    }
    let is_wasi = WASI.contains(&interface.package) && interface.is_version("0.2.");
    Ok(is_wasi.then_some(Import::Wasi(interface)))
}

/// Refuses an export of another version of the contract.
pub(crate) fn check_export(full: &str) -> Result<(), LoadError> {
    let interface = Interface::parse(full);
    if interface.package == OURS {
        check_version(interface)?;
    }
    Ok(())
}

fn check_version(interface: Interface<'_>) -> Result<(), LoadError> {
    if interface.is_version("0.1.") {
        return Ok(());
    }
    Err(LoadError::Version {
        found: format!("{OURS}@{}", interface.version),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_known_by_name_and_version() {
        let known = |name| import(name).map_err(|error| error.to_string());
        assert_eq!(known("amphora:plugin/types@0.1.0"), Ok(Some(Import::Types)));
        assert_eq!(
            known("amphora:plugin/kv@0.1.7"),
            Ok(Some(Import::Grant(Grant::Kv)))
        );
        assert_eq!(known("amphora:plugin/files@0.1.0"), Ok(None));
        assert!(matches!(
            known("wasi:io/streams@0.2.12"),
            Ok(Some(Import::Wasi(_)))
        ));
        for nothing in ["wasi:io/streams@0.3.0", "wasi:http/types@0.2.3", "env", ""] {
            assert_eq!(known(nothing), Ok(None), "{nothing}");
        }
        let error = known("amphora:plugin/kv@1.2.0").expect_err("another contract");
        assert!(error.contains("amphora:plugin@1.2.0"), "{error}");
        assert!(error.contains("amphora:plugin@0.1.0"), "{error}");
    }

    #[test]
    fn exports_of_other_packages_are_nobody_s_business() {
        assert!(check_export("someone:else/thing@9.0.0").is_ok());
        assert!(check_export("amphora:plugin/plugin@0.1.3").is_ok());
        assert!(check_export("amphora:plugin/plugin@0.2.0").is_err());
    }
}
