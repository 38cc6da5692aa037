//! Virtual hosts, as they come and go.

use amphora_core::definition::Definition;
use amphora_core::store::Write;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ShortString, VhostName};

use super::{Outcome, audit};
use crate::auth::{Account, Identity, Permissions};
use crate::management::backend::{AdministrationRefusal, PermissionPatterns, Place, Put, PutVhost};
use crate::runtime::broker::Broker;
use crate::runtime::peer::{Letter, Touched};

/// What is said of a virtual host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) struct VhostMetadata {
    pub(in crate::runtime) description: String,
    pub(in crate::runtime) tags: Vec<String>,
    pub(in crate::runtime) default_queue_type: Option<String>,
    pub(in crate::runtime) protected_from_deletion: bool,
}

impl VhostMetadata {
    /// What is said of the virtual host that is there from the first start on.
    pub(in crate::runtime) fn of_the_default() -> Self {
        Self {
            description: "Default virtual host".to_owned(),
            ..Self::default()
        }
    }

    pub(in crate::runtime) fn from_table(table: &FieldTable) -> Self {
        let text = |name: &str| table.get(name).and_then(FieldValue::as_str);
        let tags = table.get("tags").and_then(FieldValue::as_array);
        let tags = tags.into_iter().flatten().filter_map(FieldValue::as_str);
        Self {
            description: text("description").unwrap_or_default().to_owned(),
            tags: tags.map(str::to_owned).collect(),
            default_queue_type: text("default_queue_type").map(str::to_owned),
            protected_from_deletion: table.get("protected_from_deletion").is_some(),
        }
    }

    fn to_table(&self) -> FieldTable {
        let mut table = FieldTable::new();
        let mut set = |name: &str, value: FieldValue| {
            table.insert(ShortString::cut(name), value);
        };
        if !self.description.is_empty() {
            set("description", self.description.as_str().into());
        }
        if !self.tags.is_empty() {
            let tags = self.tags.iter().map(|tag| tag.as_str().into());
            set("tags", FieldValue::Array(tags.collect()));
        }
        if let Some(queue_type) = &self.default_queue_type {
            set("default_queue_type", queue_type.as_str().into());
        }
        if self.protected_from_deletion {
            set("protected_from_deletion", true.into());
        }
        table
    }

    /// What the store is to remember of the virtual host.
    pub(in crate::runtime) fn remember(&self, vhost: &VhostName) -> Write {
        let definition = Definition::Vhost {
            vhost: vhost.clone(),
            metadata: self.to_table(),
        };
        Write::PutDefinition {
            key: definition.key(),
            value: definition.value(),
        }
    }

    /// Takes over what is given.
    fn change(&mut self, command: PutVhost) -> Result<(), AdministrationRefusal> {
        let queue_type = match command.default_queue_type.as_deref() {
            None => self.default_queue_type.take(),
            Some("" | "undefined") => None,
            Some(known @ ("classic" | "quorum" | "stream")) => Some(known.to_owned()),
            Some(other) => {
                let text = format!("Unsupported default queue type: {other}");
                return Err(AdministrationRefusal::Invalid(text));
            }
        };
        self.default_queue_type = queue_type;
        self.description = command
            .description
            .unwrap_or_else(|| std::mem::take(&mut self.description));
        self.tags = command
            .tags
            .unwrap_or_else(|| std::mem::take(&mut self.tags));
        if let Some(protected) = command.protected_from_deletion {
            self.protected_from_deletion = protected;
        }
        Ok(())
    }
}

pub(super) fn put(broker: &Broker, by: &Identity, name: &str, command: PutVhost) -> Outcome<Put> {
    let vhost_name =
        VhostName::new(name).map_err(|error| AdministrationRefusal::Invalid(error.to_string()))?;
    let _turn = broker.changing.lock();
    if let Some(vhost) = broker.vhost(name) {
        let mut metadata = vhost.metadata.write();
        metadata.change(command)?;
        let write = metadata.remember(&vhost_name);
        audit(
            by,
            "changed a vhost",
            format_args!("vhost '{name}': {metadata:?}"),
        );
        return Ok(broker.changed(Put::Replaced, vec![write]));
    }
    let mut metadata = VhostMetadata::default();
    metadata.change(command)?;
    let mut writes = vec![metadata.remember(&vhost_name)];
    audit(
        by,
        "added a vhost",
        format_args!("vhost '{name}': {metadata:?}"),
    );
    broker.add_vhost(vhost_name, metadata.clone());
    broker.tell_vhost(by, name, &metadata.description, &metadata.tags);
    // Whoever adds it wants to use it. One that is not stored, such as the broker itself, need not.
    if let Some(user) = broker.users.find(by.user()) {
        let mut account = Account::clone(&user.account());
        let everything = Permissions::all();
        account
            .permissions
            .insert(name.to_owned(), everything.into());
        writes.push(broker.store_user(&user.name, account));
        let place = Place {
            user: &user.name,
            vhost: name,
        };
        let all = PermissionPatterns {
            configure: ".*",
            write: ".*",
            read: ".*",
        };
        broker.tell_permitted(by, place, all);
    }
    Ok(broker.changed(Put::Created, writes))
}

pub(super) fn delete(broker: &Broker, by: &Identity, name: &str) -> Outcome<()> {
    let _turn = broker.changing.lock();
    let vhost = broker.vhost(name).ok_or(AdministrationRefusal::Missing)?;
    if vhost.metadata.read().protected_from_deletion {
        let text = format!("Cannot delete protected vhost '{name}'");
        return Err(AdministrationRefusal::Invalid(text));
    }
    broker.remove_vhost(name);
    audit(by, "deleted a vhost", format_args!("vhost '{name}'"));
    for connection in broker.connections() {
        if connection.details().vhost == *name {
            let text = format!("vhost '{name}' is deleted");
            connection.peer.post(Letter::Close(text));
        }
    }
    let mut touched = Touched::default();
    let mut writes = vhost.dismantle(&mut touched);
    touched.finish(&broker.committer);
    writes.extend(broker.parameters.forget_vhost(name));
    for user in broker.users.all() {
        let account = user.account();
        let knows =
            account.permissions.contains_key(name) || account.topic_permissions.contains_key(name);
        if knows {
            let mut account = Account::clone(&account);
            let place = Place {
                user: &user.name,
                vhost: name,
            };
            if account.permissions.remove(name).is_some() {
                broker.tell_forbidden(by, place);
            }
            if account.topic_permissions.remove(name).is_some() {
                broker.tell_topics_open(by, place, None);
            }
            writes.push(broker.store_user(&user.name, account));
        }
    }
    broker.tell_vhost_gone(by, name);
    Ok(broker.changed((), writes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_virtual_host_comes_back() -> anyhow::Result<()> {
        let metadata = VhostMetadata {
            description: "shop".to_owned(),
            tags: vec!["a".to_owned(), "b".to_owned()],
            default_queue_type: Some("quorum".to_owned()),
            protected_from_deletion: true,
        };
        let vhost = VhostName::new("v")?;
        for metadata in [metadata, VhostMetadata::default()] {
            let Write::PutDefinition { key, value } = metadata.remember(&vhost) else {
                anyhow::bail!("it is put");
            };
            let Definition::Vhost { metadata: read, .. } = Definition::decode(&key, &value)? else {
                anyhow::bail!("it is a virtual host");
            };
            assert_eq!(VhostMetadata::from_table(&read), metadata);
        }
        Ok(())
    }
}
