//! What is told of changes, for whoever binds to `amq.rabbitmq.event`. Keys and headers are RabbitMQ's.

use serde_json::{Map, Value};

use super::parameters::Key;
use crate::auth::Identity;
use crate::management::backend::{
    OPERATOR_POLICY, POLICY, PermissionPatterns, Place, VHOST_LIMITS,
};
use crate::management::json;
use crate::runtime::announce::Fields;
use crate::runtime::broker::Broker;
use crate::runtime::vhost::Handle;

/// What happened to a user's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Password {
    Changed,
    Cleared,
}

impl Broker {
    /// A user is there, or is not any more.
    pub(super) fn tell_user(&self, by: &Identity, key: &str, name: &str) {
        self.events
            .emit(key, || Fields::default().text("name", name).by(by.user()));
    }

    pub(super) fn tell_password(&self, by: &Identity, name: &str, password: Password) {
        let key = match password {
            Password::Changed => "user.password.changed",
            Password::Cleared => "user.password.cleared",
        };
        self.tell_user(by, key, name);
    }

    pub(super) fn tell_tags(&self, by: &Identity, name: &str, tags: &[String]) {
        self.events.emit("user.tags.set", || {
            let fields = Fields::default().text("name", name);
            fields.texts("tags", tags).by(by.user())
        });
    }

    /// Limits of a user were set, or taken away, which is to be null.
    pub(super) fn tell_limits(&self, by: &Identity, user: &str, given: &Map<String, Value>) {
        let fields = || {
            let fields = Fields::default().text("name", "limits");
            fields.text("username", user).by(by.user())
        };
        let set = given.iter().filter(|(_, value)| !value.is_null());
        if set.clone().count() > 0 {
            self.events.emit("user.limits.set", || {
                set.fold(fields(), |fields, (name, value)| {
                    fields.with(name, json::term(value))
                })
            });
        }
        if given.values().any(Value::is_null) {
            self.events.emit("user.limits.cleared", fields);
        }
    }

    pub(super) fn tell_permitted(
        &self,
        by: &Identity,
        place: Place<'_>,
        patterns: PermissionPatterns<'_>,
    ) {
        self.events.emit("permission.created", || {
            let fields = of_place(place).text("configure", patterns.configure);
            let fields = fields.text("write", patterns.write);
            fields.text("read", patterns.read).by(by.user())
        });
    }

    pub(super) fn tell_forbidden(&self, by: &Identity, place: Place<'_>) {
        self.events
            .emit("permission.deleted", || of_place(place).by(by.user()));
    }

    pub(super) fn tell_topics(
        &self,
        by: &Identity,
        place: Place<'_>,
        exchange: &str,
        [write, read]: [&str; 2],
    ) {
        self.events.emit("topic.permission.created", || {
            let fields = of_place(place).text("exchange", exchange);
            fields.text("write", write).text("read", read).by(by.user())
        });
    }

    /// Without an exchange, the topic permissions of all of them.
    pub(super) fn tell_topics_open(&self, by: &Identity, place: Place<'_>, exchange: Option<&str>) {
        self.events.emit("topic.permission.deleted", || {
            let fields = of_place(place);
            let fields = match exchange {
                Some(exchange) => fields.text("exchange", exchange),
                None => fields,
            };
            fields.by(by.user())
        });
    }

    pub(super) fn tell_vhost(&self, by: &Identity, name: &str, description: &str, tags: &[String]) {
        self.events.emit("vhost.created", || {
            let fields = Fields::default().text("name", name);
            let fields = fields.text("description", description);
            fields.texts("tags", tags).by(by.user())
        });
    }

    pub(super) fn tell_vhost_gone(&self, by: &Identity, name: &str) {
        self.tell_user(by, "vhost.deleted", name);
    }

    /// A parameter has this value. Of policies only what they are is told, as by RabbitMQ.
    pub(super) fn tell_parameter(&self, by: &Identity, key: &Key, value: &Value) {
        if key.component != POLICY {
            self.events.emit("parameter.set", || {
                of_key(key).with("value", json::term(value)).by(by.user())
            });
        }
        match key.component.as_str() {
            POLICY | OPERATOR_POLICY => self.events.emit("policy.set", || {
                let fields = Fields::default().text("name", &key.name);
                members(fields.text("vhost", &key.vhost), value).by(by.user())
            }),
            VHOST_LIMITS => self.events.emit("vhost.limits.set", || {
                let fields = Fields::default().text("name", &key.name);
                members(fields.text("vhost", &key.vhost), value).by(by.user())
            }),
            _ => {}
        }
    }

    /// A parameter is not there any more.
    pub(super) fn tell_parameter_cleared(&self, by: &Identity, key: &Key) {
        if key.component != POLICY {
            self.events
                .emit("parameter.cleared", || of_key(key).by(by.user()));
        }
        let cleared = match key.component.as_str() {
            POLICY | OPERATOR_POLICY => "policy.cleared",
            VHOST_LIMITS => "vhost.limits.cleared",
            _ => return,
        };
        self.events.emit(cleared, || {
            let fields = Fields::default().text("name", &key.name);
            fields.text("vhost", &key.vhost).by(by.user())
        });
    }

    /// What a policy has come to mean for queues: it was set to this, or cleared.
    pub(super) fn tell_policy_of(&self, queues: &[Handle], by: &Identity, set: Option<&Value>) {
        let key = match set {
            Some(_) => "queue.policy.updated",
            None => "queue.policy.cleared",
        };
        let definition = set.and_then(|policy| policy.get("definition"));
        for queue in queues {
            self.events.emit(key, || {
                let fields = Fields::default().text("name", &queue.name);
                let fields = fields.text("vhost", &queue.vhost);
                match definition {
                    Some(definition) => fields.with("definition", json::term(definition)),
                    None => fields,
                }
                .by(by.user())
            });
        }
    }

    /// A parameter of the broker as a whole has this value, or none.
    pub(super) fn tell_global(&self, by: &Identity, name: &str, value: Option<&Value>) {
        let fields = || {
            Fields::default()
                .text("component", "global")
                .text("name", name)
        };
        match value {
            Some(value) => self.events.emit("parameter.set", || {
                fields().with("value", json::term(value)).by(by.user())
            }),
            None => self
                .events
                .emit("parameter.cleared", || fields().by(by.user())),
        }
    }
}

fn of_place(place: Place<'_>) -> Fields {
    Fields::default()
        .text("user", place.user)
        .text("vhost", place.vhost)
}

fn of_key(key: &Key) -> Fields {
    Fields::default()
        .text("vhost", &key.vhost)
        .text("component", &key.component)
        .text("name", &key.name)
}

/// The members of an object as headers of their own.
fn members(fields: Fields, value: &Value) -> Fields {
    let members = value.as_object().into_iter().flatten();
    members.fold(fields, |fields, (name, value)| {
        fields.with(name, json::term(value))
    })
}
