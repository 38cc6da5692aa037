//! From a file to what there is. It adds, and changes what has no content of its own; it never deletes, and a queue or exchange that exists
//! stays as it is.

use std::future::poll_fn;
use std::task::Poll;

use amphora_protocol::wire::types::VhostName;
use serde_json::{Map, Value};

use super::progress::Progress;
use crate::auth::{Identity, VhostAccess};
use crate::management::backend::{
    Backend, Bind, DeclareExchange, DeclareQueue, LIMITS, POLICY, Parameter, PermissionPatterns,
    Place, VHOST_LIMITS,
};
use crate::management::body::Fields;
use crate::management::snapshot::Destination;
use crate::management::{policies, users, vhosts};

type Object = Map<String, Value>;
type Done = Result<(), String>;

/// Takes in a file of definitions; those of one virtual host go into that which is given.
///
/// # Errors
/// What could not be taken in, and why. What came before it in the file is there, and may be some of what came after it.
pub(super) async fn import(
    backend: &dyn Backend,
    by: &Identity,
    file: &Object,
    vhost: Option<&str>,
    progress: &Progress,
) -> Done {
    let import = Import { backend, by, vhost };
    let running = progress.begin(file);
    if vhost.is_none() {
        for (item, name) in items(file, "users")? {
            import.user(item, name).await.map_err(about("user", name))?;
            running.advance();
        }
        for (item, name) in items(file, "vhosts")? {
            let done = import.vhost(item, name).await;
            done.map_err(about("vhost", name))?;
            running.advance();
        }
        for (item, _) in items(file, "permissions")? {
            let done = import.permissions(item).await;
            done.map_err(about("permissions of user", text(item, "user")))?;
            running.advance();
        }
        for (item, _) in items(file, "topic_permissions")? {
            let done = import.topic_permissions(item).await;
            done.map_err(about("topic permissions of user", text(item, "user")))?;
            running.advance();
        }
    }
    for (item, name) in items(file, "parameters")? {
        let done = import.parameter(item, name).await;
        done.map_err(about("parameter", name))?;
        running.advance();
    }
    if vhost.is_none() {
        for (item, name) in items(file, "global_parameters")? {
            let value = item.get("value").cloned().unwrap_or_default();
            let administration = backend.administration();
            let done = administration.set_global_parameter(by, name, Some(value));
            done.await
                .map_err(reason)
                .map_err(about("global parameter", name))?;
            running.advance();
        }
    }
    for (item, name) in items(file, "policies")? {
        let done = import.policy(item, name).await;
        done.map_err(about("policy", name))?;
        running.advance();
    }
    let (import, running) = (&import, &running);
    together(items(file, "queues")?, |(item, name)| async move {
        let done = import.queue(item, name).await;
        done.map_err(about("queue", name))?;
        running.advance();
        Ok(())
    })
    .await?;
    together(items(file, "exchanges")?, |(item, name)| async move {
        let done = import.exchange(item, name).await;
        done.map_err(about("exchange", name))?;
        running.advance();
        Ok(())
    })
    .await?;
    together(items(file, "bindings")?, |(item, _)| async move {
        let done = import.binding(item).await;
        done.map_err(about("binding from", text(item, "source")))?;
        running.advance();
        Ok(())
    })
    .await
}

/// How many items wait for the disk together.
const TOGETHER: usize = 1000;

/// Takes in items in their order, many of them with one wait for the disk. Ends with the first in their order that fails, and the
/// few behind it that were begun with it.
async fn together<'a, F: Future<Output = Done>>(
    items: Vec<(&'a Object, &'a str)>,
    take: impl Fn((&'a Object, &'a str)) -> F,
) -> Done {
    for some in items.chunks(TOGETHER) {
        let mut under_way: Vec<_> = some.iter().map(|&item| Box::pin(take(item))).collect();
        let mut done: Vec<Option<Done>> = vec![None; under_way.len()];
        poll_fn(|context| {
            let pairs = under_way.iter_mut().zip(&mut done);
            for (item, done) in pairs.filter(|(_, done)| done.is_none()) {
                if let Poll::Ready(result) = item.as_mut().poll(context) {
                    *done = Some(result);
                }
            }
            if done.iter().all(Option::is_some) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        done.into_iter().flatten().collect::<Done>()?;
    }
    Ok(())
}

/// Whoever imports, and where to.
struct Import<'a> {
    backend: &'a dyn Backend,
    by: &'a Identity,
    /// Instead of what the items say.
    vhost: Option<&'a str>,
}

impl Import<'_> {
    async fn user(&self, item: &Object, name: &str) -> Done {
        let command = users::put_user(&Fields::from(item.clone()));
        let command = command.map_err(|refused| refused.reason().to_owned())?;
        let administration = self.backend.administration();
        let put = administration.put_user(self.by, name, command).await;
        put.map(drop).map_err(reason)
    }

    async fn vhost(&self, item: &Object, name: &str) -> Done {
        let command = vhosts::put_vhost(&Fields::from(item.clone()));
        let command = command.map_err(|refused| refused.reason().to_owned())?;
        let administration = self.backend.administration();
        let put = administration.put_vhost(self.by, name, command).await;
        put.map(drop).map_err(reason)?;
        let limits = item.get("limits").and_then(Value::as_array);
        for limits in limits.into_iter().flatten() {
            let parameter = Parameter {
                component: VHOST_LIMITS.to_owned(),
                vhost: name.to_owned(),
                name: LIMITS.to_owned(),
                value: limits.get("value").unwrap_or(limits).clone(),
            };
            self.put(parameter).await?;
        }
        Ok(())
    }

    async fn permissions(&self, item: &Object) -> Done {
        let patterns = PermissionPatterns {
            configure: text(item, "configure"),
            write: text(item, "write"),
            read: text(item, "read"),
        };
        let administration = self.backend.administration();
        let put = administration.put_permissions(self.by, place(item), patterns);
        put.await.map(drop).map_err(reason)
    }

    async fn topic_permissions(&self, item: &Object) -> Done {
        let patterns = [text(item, "write"), text(item, "read")];
        let exchange = text(item, "exchange");
        let administration = self.backend.administration();
        let put = administration.put_topic_permissions(self.by, place(item), exchange, patterns);
        put.await.map(drop).map_err(reason)
    }

    async fn parameter(&self, item: &Object, name: &str) -> Done {
        let component = text(item, "component");
        let value = item.get("value").cloned().unwrap_or_default();
        self.put(Parameter {
            component: component.to_owned(),
            vhost: self.vhost_of(item).to_owned(),
            name: name.to_owned(),
            value,
        })
        .await
    }

    async fn policy(&self, item: &Object, name: &str) -> Done {
        self.put(policies::parameter(POLICY, self.vhost_of(item), name, item))
            .await
    }

    async fn put(&self, parameter: Parameter) -> Done {
        let administration = self.backend.administration();
        let put = administration.put_parameter(self.by, parameter).await;
        put.map(drop).map_err(reason)
    }

    async fn queue(&self, item: &Object, name: &str) -> Done {
        let access = self.access(item)?;
        if self.backend.queue(access.vhost(), name).is_some() {
            return Ok(());
        }
        let fields = Fields::from(item.clone());
        let read = || {
            let mut arguments = fields.table("arguments")?;
            let queue_type = fields.text("type")?.filter(|name| *name != "classic");
            if let Some(queue_type) = queue_type
                && arguments.get("x-queue-type").is_none()
            {
                let argument = amphora_protocol::wire::types::ShortString::cut("x-queue-type");
                arguments.insert(argument, queue_type);
            }
            Ok(DeclareQueue {
                name: fields.name("name")?,
                durable: fields.flag("durable")?,
                auto_delete: fields.flag("auto_delete")?,
                arguments,
            })
        };
        let command =
            read().map_err(|refused: crate::management::Refused| refused.reason().to_owned())?;
        let declared = self.backend.declare_queue(&access, command).await;
        declared.map_err(|exception| exception.text().to_owned())
    }

    async fn exchange(&self, item: &Object, name: &str) -> Done {
        let access = self.access(item)?;
        if self.backend.exchange(access.vhost(), name).is_some() {
            return Ok(());
        }
        let fields = Fields::from(item.clone());
        let read = || {
            Ok(DeclareExchange {
                name: fields.name("name")?,
                kind: fields.text("type")?.unwrap_or("direct").to_owned(),
                durable: fields.flag("durable")?,
                auto_delete: fields.flag("auto_delete")?,
                internal: fields.flag("internal")?,
                arguments: fields.table("arguments")?,
            })
        };
        let command =
            read().map_err(|refused: crate::management::Refused| refused.reason().to_owned())?;
        let declared = self.backend.declare_exchange(&access, command).await;
        declared.map_err(|exception| exception.text().to_owned())
    }

    /// One whose end is not there, as RabbitMQ exports those of exclusive queues, is told in the log and left out.
    async fn binding(&self, item: &Object) -> Done {
        let access = self.access(item)?;
        let fields = Fields::from(item.clone());
        let read = || {
            let destination = match fields.text("destination_type")? {
                Some("exchange") => Destination::Exchange(fields.name("destination")?),
                _ => Destination::Queue(fields.name("destination")?),
            };
            Ok(Bind {
                source: fields.name("source")?,
                destination,
                routing_key: fields.name("routing_key")?,
                arguments: fields.table("arguments")?,
            })
        };
        let command =
            read().map_err(|refused: crate::management::Refused| refused.reason().to_owned())?;
        let (destination, vhost) = (command.destination.clone(), access.vhost());
        let there = match &destination {
            Destination::Queue(name) => self.backend.queue(vhost, name).is_some(),
            Destination::Exchange(name) => self.backend.exchange(vhost, name).is_some(),
        };
        if !there || self.backend.exchange(vhost, &command.source).is_none() {
            let source = &command.source;
            tracing::warn!(%vhost, %source, destination = destination.name(), "a binding that lacks an end is left out");
            return Ok(());
        }
        let bound = self.backend.bind(&access, command).await;
        bound.map_err(|exception| exception.text().to_owned())
    }

    fn vhost_of<'a>(&'a self, item: &'a Object) -> &'a str {
        self.vhost.unwrap_or_else(|| text(item, "vhost"))
    }

    /// Who imports may do everything.
    fn access(&self, item: &Object) -> Result<VhostAccess, String> {
        let name = self.vhost_of(item);
        let known = self.backend.vhost_names();
        let vhost = known.into_iter().find(|known| known.as_str() == name);
        let vhost: VhostName = vhost.ok_or_else(|| format!("there is no vhost '{name}'"))?;
        Ok(VhostAccess::of_the_broker(self.by.user(), vhost))
    }
}

/// The objects of a list in the file, with their names.
fn items<'a>(file: &'a Object, list: &str) -> Result<Vec<(&'a Object, &'a str)>, String> {
    let items = match file.get(list) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(format!("{list}: expected an array, found {other}")),
    };
    let item = |item: &'a Value| match item {
        Value::Object(object) => Ok((object, text(object, "name"))),
        other => Err(format!("{list}: expected an object, found {other}")),
    };
    items.iter().map(item).collect()
}

fn text<'a>(item: &'a Object, key: &str) -> &'a str {
    item.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn place(item: &Object) -> Place<'_> {
    Place {
        user: text(item, "user"),
        vhost: text(item, "vhost"),
    }
}

fn about<'a>(kind: &'a str, name: &'a str) -> impl Fn(String) -> String + 'a {
    move |reason| format!("{kind} '{name}': {reason}")
}

fn reason(refusal: crate::management::backend::AdministrationRefusal) -> String {
    crate::management::Refused::from(refusal)
        .reason()
        .to_owned()
}
