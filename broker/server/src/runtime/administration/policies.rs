//! Policies in force: from parameters to what applies to queues and exchanges.

use std::sync::Arc;

use amphora_core::policy::{Policies, Policy, PolicyKind};
use amphora_protocol::wire::types::VhostName;
use serde_json::Value;

use super::Parameters;
use crate::management::backend::{AdministrationRefusal, OPERATOR_POLICY, POLICY};
use crate::management::json;
use crate::runtime::broker::Broker;
use crate::runtime::peer::Touched;
use crate::runtime::vhost::{Handle, VirtualHost};

/// Puts a policy in force that was given as a parameter. Returns the queues for which that changes something.
pub(super) fn set(
    broker: &Broker,
    vhost: &Arc<VirtualHost>,
    kind: PolicyKind,
    name: &str,
    value: &Value,
) -> Result<Vec<Handle>, AdministrationRefusal> {
    let policy = read(kind, name, value).map_err(AdministrationRefusal::validation)?;
    let plugins = &broker.plugins;
    plugins
        .check_policy(&policy.definition)
        .map_err(AdministrationRefusal::validation)?;
    for key in policy.keys_without_effect() {
        tracing::warn!(vhost = %vhost.name, policy = name, key, "the key of a policy has no effect here");
    }
    Ok(change(broker, vhost, |policies| policies.set(kind, policy)))
}

/// Takes a policy out of force. Returns the queues for which that changes something.
pub(super) fn clear(
    broker: &Broker,
    vhost: &Arc<VirtualHost>,
    kind: PolicyKind,
    name: &str,
) -> Vec<Handle> {
    change(broker, vhost, |policies| {
        policies.clear(kind, name);
    })
}

fn change(
    broker: &Broker,
    vhost: &Arc<VirtualHost>,
    change: impl FnOnce(&mut Policies),
) -> Vec<Handle> {
    let mut touched = Touched::default();
    let mut changed = Vec::new();
    let mut timeouts_changed = false;
    for (queue, policies) in vhost.change_policies(change) {
        timeouts_changed |= queue.apply(policies, &vhost.committer, &mut touched);
        changed.push(queue);
    }
    touched.finish(&vhost.committer);
    if timeouts_changed {
        broker.renew_timeouts();
    }
    // Whoever has looked at a queue in between looks again.
    vhost.touch();
    changed
}

/// The policies of a virtual host that the store has. One that is none any more is told in the log, and left out.
pub(in crate::runtime) fn recovered(parameters: &Parameters, vhost: &VhostName) -> Policies {
    let mut policies = Policies::default();
    for (component, kind) in [
        (POLICY, PolicyKind::User),
        (OPERATOR_POLICY, PolicyKind::Operator),
    ] {
        for (name, value) in parameters.of(component, vhost) {
            match read(kind, &name, &value) {
                Ok(policy) => policies.set(kind, policy),
                Err(reason) => {
                    tracing::error!(%vhost, component, name, reason, "a policy is left out");
                }
            }
        }
    }
    policies
}

fn read(kind: PolicyKind, name: &str, value: &Value) -> Result<Policy, String> {
    let mut problems = Vec::new();
    let text = |key: &str, otherwise: Option<&str>| match (value.get(key), otherwise) {
        (None | Some(Value::Null), Some(otherwise)) => Ok(otherwise.to_owned()),
        (None | Some(Value::Null), None) => Err(format!("Key \"{key}\" not found in {name}")),
        (Some(Value::String(text)), _) => Ok(text.clone()),
        (Some(other), _) => Err(format!("{key} should be binary, actually was {other}")),
    };
    let priority = match value.get("priority") {
        None | Some(Value::Null) => 0,
        Some(priority) => priority.as_i64().unwrap_or_else(|| {
            let term = json::term(priority);
            let term = amphora_core::policy::Term(&term);
            problems.push(format!("priority should be a number, actually was {term}"));
            0
        }),
    };
    let definition = match value.get("definition") {
        Some(Value::Object(definition)) => {
            json::to_table(definition).map_err(|error| error.to_string())?
        }
        Some(other) => return Err(format!("definition must be a dictionary: {other}")),
        None => return Err(format!("Key \"definition\" not found in {name}")),
    };
    let (pattern, apply_to) = (text("pattern", None)?, text("apply-to", Some("all"))?);
    let made = Policy::new(kind, name, &pattern, &apply_to, priority, definition);
    match made {
        Ok(policy) if problems.is_empty() => Ok(policy),
        Ok(_) => Err(problems.join("\n")),
        Err(problem) => {
            problems.insert(0, problem);
            Err(problems.join("\n"))
        }
    }
}
