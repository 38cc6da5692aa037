//! What has to be done so that the configuration is in force.

use std::collections::BTreeMap;
use std::fmt;

use super::component::{Content, Hash};
use crate::config::{Attachment, Config, Limits, Plugin, Tls};

/// What of the configuration is in force.
#[derive(Debug)]
pub(super) struct InForce {
    /// What was loaded by each plugin's name; nothing if it was tried in vain.
    pub(super) plugins: BTreeMap<String, Option<Loaded>>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) log_level: String,
    pub(super) limits: Limits,
    pub(super) tls: Certificates,
}

/// Where certificates and keys are, and what is in the files; nothing if one of them cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificates {
    pub(super) tls: Tls,
    pub(super) hash: Option<Hash>,
}

impl Certificates {
    /// The files that are named, as they are now.
    pub(super) fn read(tls: &Tls) -> Self {
        let files = [&tls.certificate, &tls.key, &tls.client_ca];
        let contents = files.into_iter().flatten().map(|file| Content::read(file));
        let contents: Result<Vec<_>, _> = contents.collect();
        let hash = contents.ok().map(|contents| {
            let hashes = contents.iter().map(|content| Hash::of(&content.bytes));
            Hash::of_all(hashes)
        });
        Self {
            tls: tls.clone(),
            hash,
        }
    }
}

/// A plugin as it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) plugin: Plugin,
    pub(super) hash: Hash,
}

/// Steps, in the order of the fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) load: Vec<Load>,
    /// Attachments are changed between the loading of what they use and the unloading of what they used.
    pub(super) attachments: Option<Vec<Attachment>>,
    /// Plugins that are no longer there.
    pub(super) unload: Vec<String>,
    pub(super) log_level: Option<String>,
    pub(super) limits: Option<Limits>,
    pub(super) tls: Option<Certificates>,
}

/// A plugin to be loaded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) plugin: Plugin,
    pub(super) reason: Reason,
    /// The plugin that supplies its type of exchange and is no longer there: it goes when this one is in its place.
    pub(super) giver: Option<String>,
}

/// Why a plugin is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    New,
    Settings,
    Component,
}

impl InForce {
    /// The name of another plugin that supplies the type of exchange which this one is to supply.
    pub(super) fn rival(&self, plugin: &Plugin) -> Option<String> {
        let wanted = plugin.exchange_type.as_ref()?;
        let loaded = self.plugins.values().flatten();
        let mut others = loaded.map(|loaded| &loaded.plugin);
        let rival = others.find(|other| {
            other.name != plugin.name && other.exchange_type.as_ref() == Some(wanted)
        });
        rival.map(|rival| rival.name.clone())
    }
}

/// Compares what is in force with what is wanted. Plugins whose component is not among `components` cannot be read, and stay as they are; so do
/// certificates that cannot be read.
pub(super) fn plan(
    in_force: &InForce,
    wanted: &Config,
    components: &BTreeMap<String, Hash>,
    certificates: Certificates,
) -> Plan {
    let mut plan = Plan::default();
    let is_wanted = |name: &String| wanted.plugins.iter().any(|plugin| plugin.name == *name);
    let gone = in_force.plugins.keys().filter(|name| !is_wanted(name));
    plan.unload.extend(gone.cloned());
    for plugin in &wanted.plugins {
        let Some(hash) = components.get(&plugin.name) else {
            continue;
        };
        let loaded = in_force.plugins.get(&plugin.name).and_then(Option::as_ref);
        let reason = match loaded {
            None => Reason::New,
            Some(loaded) if loaded.plugin != *plugin => Reason::Settings,
            Some(loaded) if loaded.hash != *hash => Reason::Component,
            Some(_) => continue,
        };
        plan.load.push(Load {
            plugin: plugin.clone(),
            reason,
            giver: in_force.rival(plugin).filter(|name| !is_wanted(name)),
        });
    }
    if in_force.attachments != wanted.attachments {
        plan.attachments = Some(wanted.attachments.clone());
    }
    if in_force.log_level != wanted.logging.level {
        plan.log_level = Some(wanted.logging.level.clone());
    }
    if in_force.limits != wanted.limits {
        plan.limits = Some(wanted.limits.clone());
    }
    if certificates.hash.is_some() && in_force.tls != certificates {
        plan.tls = Some(certificates);
    }
    plan
}

/// The sections that differ and are only looked at when the broker starts.
pub(super) fn needs_restart(running: &Config, wanted: &Config) -> Vec<&'static str> {
    // Taken apart, so that a section that is added has to be put somewhere.
    let Config {
        data_dir,
        durability,
        listeners,
        tls,
        limits: _,
        management,
        logging,
        tracing,
        server_properties,
        event_vhost,
        users,
        load_definitions,
        plugins: _,
        attachments: _,
    } = wanted;
    let sections = [
        ("data_dir", *data_dir != running.data_dir),
        ("durability", *durability != running.durability),
        ("listeners", *listeners != running.listeners),
        ("tls.login_from", tls.login_from != running.tls.login_from),
        ("management", *management != running.management),
        ("logging.format", logging.format != running.logging.format),
        ("tracing", *tracing != running.tracing),
        (
            "server_properties",
            *server_properties != running.server_properties,
        ),
        ("event_vhost", *event_vhost != running.event_vhost),
        ("users", *users != running.users),
        (
            "load_definitions",
            *load_definitions != running.load_definitions,
        ),
    ];
    let changed = sections.into_iter().filter(|(_, differs)| *differs);
    changed.map(|(section, _)| section).collect()
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "it was not loaded yet",
            Self::Settings => "its settings changed",
            Self::Component => "its component changed",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(Path::new("amphora.toml"), text, |_| {}).expect("a configuration")
    }

    fn plugin(name: &str, more: &str) -> String {
        format!("[[plugin]]\nname = \"{name}\"\npath = \"{name}.wasm\"\n{more}\n")
    }

    fn attach(name: &str, exchange: &str) -> String {
        format!("[[attach]]\nplugin = \"{name}\"\nexchange = \"{exchange}\"\n")
    }

    /// All components of a configuration, each with the same content.
    fn components(config: &Config, content: &str) -> BTreeMap<String, Hash> {
        let plugins = config.plugins.iter();
        plugins
            .map(|plugin| (plugin.name.clone(), Hash::of(content.as_bytes())))
            .collect()
    }

    /// All of a configuration, loaded from components with this content.
    fn in_force(config: &Config, content: &str) -> InForce {
        let loaded = |plugin: &Plugin| {
            let loaded = Loaded {
                plugin: plugin.clone(),
                hash: Hash::of(content.as_bytes()),
            };
            (plugin.name.clone(), Some(loaded))
        };
        InForce {
            plugins: config.plugins.iter().map(loaded).collect(),
            attachments: config.attachments.clone(),
            log_level: config.logging.level.clone(),
            limits: config.limits.clone(),
            tls: certificates(config),
        }
    }

    /// Those of a configuration without any.
    fn certificates(config: &Config) -> Certificates {
        Certificates::read(&config.tls)
    }

    /// The plan from one configuration to another, both with components of the same content.
    fn between(before: &str, after: &str) -> Plan {
        let after = config(after);
        plan(
            &in_force(&config(before), "same"),
            &after,
            &components(&after, "same"),
            certificates(&after),
        )
    }

    fn loads(plan: &Plan) -> Vec<(&str, Reason)> {
        let loads = plan.load.iter();
        loads
            .map(|load| (&*load.plugin.name, load.reason))
            .collect()
    }

    #[test]
    fn nothing_is_done_if_nothing_changed() {
        let text = plugin("redact", "") + &attach("redact", ".*");
        let moved = format!("# A comment.\n\n{text}");
        assert_eq!(between(&text, &moved), Plan::default());
    }

    #[test]
    fn what_is_new_is_loaded_and_what_is_gone_is_unloaded() {
        let plan = between(
            &(plugin("a", "") + &plugin("b", "") + &plugin("c", "exchange-type = \"x-c\"")),
            &(plugin("b", "") + &plugin("d", "exchange-type = \"x-c\"")),
        );
        assert_eq!(loads(&plan), [("d", Reason::New)]);
        assert_eq!(plan.load[0].giver.as_deref(), Some("c"));
        assert_eq!(plan.unload, ["a", "c"]);
    }

    #[test]
    fn settings_and_components_that_changed_are_loaded() {
        let before = plugin("a", "") + &plugin("b", "") + &plugin("c", "");
        let after = plugin("a", "deadline = \"5ms\"") + &plugin("b", "") + &plugin("c", "");
        let wanted = config(&after);
        let mut components = components(&wanted, "same");
        components.insert("b".to_owned(), Hash::of(b"other"));
        let in_force = in_force(&config(&before), "same");
        let plan = plan(&in_force, &wanted, &components, certificates(&wanted));
        let expected = [("a", Reason::Settings), ("b", Reason::Component)];
        assert_eq!(loads(&plan), expected);
        assert_eq!((plan.attachments, plan.unload.len()), (None, 0));
    }

    #[test]
    fn what_was_tried_in_vain_is_tried_again_and_forgotten_if_it_is_gone() {
        let text = plugin("a", "") + &plugin("b", "");
        let mut in_force = in_force(&config(&text), "same");
        in_force.plugins.insert("a".to_owned(), None);
        let wanted = config(&text);
        let again = plan(
            &in_force,
            &wanted,
            &components(&wanted, "same"),
            certificates(&wanted),
        );
        assert_eq!(loads(&again), [("a", Reason::New)]);
        let wanted = config(&plugin("b", ""));
        let gone = plan(
            &in_force,
            &wanted,
            &components(&wanted, "same"),
            certificates(&wanted),
        );
        assert_eq!((gone.unload, gone.load), (vec!["a".to_owned()], Vec::new()));
    }

    #[test]
    fn a_component_that_cannot_be_read_changes_nothing() {
        let before = plugin("a", "") + &plugin("b", "");
        let wanted = config(&(plugin("a", "deadline = \"5ms\"") + &plugin("b", "")));
        let plan = plan(
            &in_force(&config(&before), "same"),
            &wanted,
            &BTreeMap::new(),
            certificates(&wanted),
        );
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn attachments_and_the_log_level_are_replaced() {
        let before = plugin("a", "") + &attach("a", "^x") + &attach("a", "^y");
        let after = plugin("a", "")
            + &attach("a", "^y")
            + &attach("a", "^x")
            + "[logging]\nlevel = \"debug\"";
        let plan = between(&before, &after);
        let order = plan.attachments.as_deref().unwrap_or_default();
        assert!(order[0].covers_exchange("/", "y"), "{order:?}");
        assert_eq!(plan.log_level.as_deref(), Some("debug"));
        assert_eq!(loads(&plan), []);
    }

    #[test]
    fn limits_are_replaced() {
        let plan = between("", "[limits]\nmemory_mark = \"1GiB\"");
        let mark = plan.limits.map(|limits| limits.memory_mark.to_string());
        assert_eq!(mark.as_deref(), Some("1GiB"));
    }

    #[test]
    fn certificates_are_read_again_if_their_files_changed_and_can_be_read() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let (certificate, key) = (path("cert.pem"), path("key.pem"));
        std::fs::write(&certificate, "one")?;
        std::fs::write(&key, "key")?;
        let text = format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}");
        let wanted = config(&text);
        let in_force = in_force(&wanted, "same");
        let planned = || plan(&in_force, &wanted, &BTreeMap::new(), certificates(&wanted)).tls;
        assert_eq!(planned(), None);
        std::fs::write(&certificate, "two")?;
        assert!(planned().is_some());
        std::fs::remove_file(&key)?;
        assert_eq!(planned(), None);
        std::fs::write(&key, "key")?;
        std::fs::write(&certificate, "one")?;
        assert_eq!(planned(), None);
        Ok(())
    }

    #[test]
    fn other_sections_need_a_restart() {
        let changed = |text| needs_restart(&Config::default(), &config(text));
        assert_eq!(changed("[logging]\nlevel = \"debug\""), Vec::<&str>::new());
        let all = r#"
            data_dir = "elsewhere"
            durability = "os"
            users = [{ name = "shop", password = "secret" }]
            [listeners]
            http = []
            [tls]
            login_from = "common_name"
            [limits]
            channel_max = 5
            [server_properties]
            product = "RabbitMQ"
            [logging]
            format = "json"
        "#;
        let sections = [
            "data_dir",
            "durability",
            "listeners",
            "tls.login_from",
            "logging.format",
            "server_properties",
            "users",
        ];
        assert_eq!(changed(all), sections);
    }
}
