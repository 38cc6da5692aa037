//! Parameters: values of JSON by component, virtual host and name. Policies and the limits of virtual hosts are such.

use std::collections::BTreeMap;

use amphora_core::policy::PolicyKind;
use amphora_core::store::{Recovered, Write};
use amphora_protocol::limits::SHORT_STRING_MAX;
use parking_lot::RwLock;
use serde_json::Value;

use super::{Outcome, audit, limits, policies, stored};
use crate::auth::Identity;
use crate::management::backend::{
    AdministrationRefusal, LIMITS, OPERATOR_POLICY, POLICY, Parameter, Put, VHOST_LIMITS,
};
use crate::runtime::broker::Broker;

/// A parameter's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::runtime) struct Key {
    pub(super) component: String,
    pub(super) vhost: String,
    pub(super) name: String,
}

/// All parameters, as they were given.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Parameters {
    values: RwLock<BTreeMap<Key, Value>>,
    global: RwLock<BTreeMap<String, Value>>,
}

impl Parameters {
    /// Those that the store has.
    ///
    /// # Errors
    /// One is damaged, or was written by a later version.
    pub(in crate::runtime) fn recover(recovered: &Recovered) -> anyhow::Result<Self> {
        let parameters = Self::default();
        for (key, value) in &recovered.definitions {
            match stored::recover(key, value).transpose()? {
                Some(stored::Recovered::Parameter(key, value)) => {
                    parameters.values.write().insert(key, value);
                }
                Some(stored::Recovered::Global(name, value)) => {
                    parameters.global.write().insert(name, value);
                }
                None => {}
            }
        }
        Ok(parameters)
    }

    pub(super) fn all(&self) -> Vec<Parameter> {
        let values = self.values.read();
        let parameters = values.iter().map(|(key, value)| {
            let Key {
                component,
                vhost,
                name,
            } = key.clone();
            Parameter {
                component,
                vhost,
                name,
                value: value.clone(),
            }
        });
        parameters.collect()
    }

    pub(super) fn all_global(&self) -> Vec<(String, Value)> {
        let global = self.global.read();
        let parameters = global.iter();
        parameters
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Those of a component in a virtual host, by name.
    pub(super) fn of(&self, component: &str, vhost: &str) -> Vec<(String, Value)> {
        let values = self.values.read();
        let of = values
            .iter()
            .filter(|(key, _)| key.component == component && key.vhost == vhost);
        of.map(|(key, value)| (key.name.clone(), value.clone()))
            .collect()
    }

    /// Forgets all that belongs to a virtual host. Returns what the store has to learn.
    pub(super) fn forget_vhost(&self, vhost: &str) -> Vec<Write> {
        let mut values = self.values.write();
        let of_vhost = values.extract_if(.., |key, _| key.vhost == vhost);
        of_vhost.map(|(key, _)| stored::delete(&key)).collect()
    }
}

pub(super) fn put(broker: &Broker, by: &Identity, parameter: Parameter) -> Outcome<Put> {
    let Parameter {
        component,
        vhost,
        name,
        value,
    } = parameter;
    if name.len() > SHORT_STRING_MAX || name.is_empty() {
        let text = format!("a name has 1 to {SHORT_STRING_MAX} bytes");
        return Err(AdministrationRefusal::validation(text));
    }
    let _turn = broker.changing.lock();
    let host = broker.vhost(&vhost).ok_or(AdministrationRefusal::NoVhost)?;
    let queues = match component.as_str() {
        POLICY => policies::set(broker, &host, PolicyKind::User, &name, &value)?,
        OPERATOR_POLICY => policies::set(broker, &host, PolicyKind::Operator, &name, &value)?,
        VHOST_LIMITS if name == LIMITS => {
            limits::check_vhost(&value)?;
            host.limits.set(Some(&value));
            Vec::new()
        }
        _ => {
            let text = format!("component {component} not found");
            return Err(AdministrationRefusal::validation(text));
        }
    };
    let what = format_args!("{component} '{name}' in vhost '{vhost}': {value}");
    audit(by, "set a parameter", what);
    let key = Key {
        component,
        vhost,
        name,
    };
    broker.tell_parameter(by, &key, &value);
    broker.tell_policy_of(&queues, by, Some(&value));
    let write = stored::put(&key, &value);
    let before = broker.parameters.values.write().insert(key, value);
    let put = before.map_or(Put::Created, |_| Put::Replaced);
    Ok(broker.changed(put, vec![write]))
}

pub(super) fn delete(
    broker: &Broker,
    by: &Identity,
    component: &str,
    vhost: &str,
    name: &str,
) -> Outcome<()> {
    let _turn = broker.changing.lock();
    let host = broker.vhost(vhost).ok_or(AdministrationRefusal::NoVhost)?;
    let key = Key {
        component: component.to_owned(),
        vhost: vhost.to_owned(),
        name: name.to_owned(),
    };
    let removed = broker.parameters.values.write().remove(&key);
    removed.ok_or(AdministrationRefusal::Missing)?;
    let queues = match component {
        POLICY => policies::clear(broker, &host, PolicyKind::User, name),
        OPERATOR_POLICY => policies::clear(broker, &host, PolicyKind::Operator, name),
        VHOST_LIMITS => {
            host.limits.set(None);
            Vec::new()
        }
        _ => Vec::new(),
    };
    let what = format_args!("{component} '{name}' in vhost '{vhost}'");
    audit(by, "cleared a parameter", what);
    broker.tell_parameter_cleared(by, &key);
    broker.tell_policy_of(&queues, by, None);
    Ok(broker.changed((), vec![stored::delete(&key)]))
}

pub(super) fn set_global(
    broker: &Broker,
    by: &Identity,
    name: &str,
    value: Option<Value>,
) -> Outcome<Put> {
    if name.len() > SHORT_STRING_MAX {
        let text = format!("a name has at most {SHORT_STRING_MAX} bytes");
        return Err(AdministrationRefusal::validation(text));
    }
    let _turn = broker.changing.lock();
    let mut global = broker.parameters.global.write();
    let (put, write) = if let Some(value) = value {
        let what = format_args!("'{name}': {value}");
        audit(by, "set a global parameter", what);
        broker.tell_global(by, name, Some(&value));
        let write = stored::put_global(name, &value);
        let before = global.insert(name.to_owned(), value);
        (before.map_or(Put::Created, |_| Put::Replaced), write)
    } else {
        global.remove(name).ok_or(AdministrationRefusal::Missing)?;
        audit(by, "cleared a global parameter", format_args!("'{name}'"));
        broker.tell_global(by, name, None);
        (Put::Replaced, stored::delete_global(name))
    };
    Ok(broker.changed(put, vec![write]))
}
