//! Virtual hosts, their policies, limits and parameters: rabbitmqctl's commands, with its order of arguments.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::Columns;
use super::client::{About, Client, segment};
use super::lists::List;
use super::output::Output;
use super::settings::object;
use crate::cli::exit::Exit;

type Done = Result<(), Exit>;

#[derive(Clone, Debug, Subcommand)]
#[expect(
    clippy::doc_markdown,
    reason = "these are help texts, shown as they stand"
)]
#[command(rename_all = "snake_case")]
pub(super) enum Command {
    /// Adds a virtual host, in which you may do everything.
    AddVhost {
        #[arg(value_name = "VHOST")]
        name: String,
        #[command(flatten)]
        metadata: Metadata,
    },
    /// Changes what is said of a virtual host.
    UpdateVhostMetadata {
        #[arg(value_name = "VHOST")]
        name: String,
        #[command(flatten)]
        metadata: Metadata,
    },
    /// Removes a virtual host with all that is in it, and closes its connections.
    DeleteVhost {
        #[arg(value_name = "VHOST")]
        name: String,
    },
    /// Refuses to delete a virtual host.
    EnableVhostDeletionProtection {
        #[arg(value_name = "VHOST")]
        name: String,
    },
    /// Lets a virtual host be deleted again.
    DisableVhostDeletionProtection {
        #[arg(value_name = "VHOST")]
        name: String,
    },
    /// Sets all tags of a virtual host.
    SetVhostTags {
        #[arg(value_name = "VHOST")]
        name: String,
        tags: Vec<String>,
    },
    /// [COLUMN…]: all virtual hosts.
    ListVhosts(Columns),
    /// Applies a definition, as JSON, to all queues and exchanges of the virtual host whose names match the pattern.
    SetPolicy(Policy),
    /// Removes a policy.
    ClearPolicy { name: String },
    /// [COLUMN…]: the policies of the virtual host.
    ListPolicies(Columns),
    /// As set_policy, on top of that: limits can only be narrowed.
    SetOperatorPolicy(Policy),
    /// Removes an operator policy.
    ClearOperatorPolicy { name: String },
    /// [COLUMN…]: the operator policies of the virtual host.
    ListOperatorPolicies(Columns),
    /// Sets limits of the virtual host, as JSON: '{"max-connections": 100, "max-queues": 1000}'.
    SetVhostLimits { limits: String },
    /// Takes the limits of the virtual host away.
    ClearVhostLimits,
    /// The limits of the virtual host, or of all.
    ListVhostLimits {
        #[arg(long)]
        global: bool,
    },
    /// Sets a parameter of the virtual host to a value, as JSON.
    SetParameter {
        component: String,
        name: String,
        value: String,
    },
    /// Removes a parameter.
    ClearParameter { component: String, name: String },
    /// [COLUMN…]: the parameters of all virtual hosts, without policies.
    ListParameters(Columns),
    /// Sets a parameter of the broker to a value, as JSON.
    SetGlobalParameter { name: String, value: String },
    /// Removes a parameter of the broker.
    ClearGlobalParameter { name: String },
    /// [COLUMN…]: the parameters of the broker.
    ListGlobalParameters(Columns),
}

/// What is said of a virtual host.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Metadata {
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// Words to sort it by, with commas in between.
    #[arg(long)]
    tags: Option<String>,
    /// The type of queues that are declared without one: classic, quorum or stream.
    #[arg(long)]
    default_queue_type: Option<String>,
}

/// A policy that is set.
#[derive(Clone, Debug, clap::Args)]
#[expect(
    clippy::doc_markdown,
    reason = "these are help texts, shown as they stand"
)]
pub(super) struct Policy {
    name: String,
    /// A regular expression over names.
    pattern: String,
    /// What it sets: '{"max-length": 1000}'.
    definition: String,
    /// Of several that match, the one with the highest applies.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    priority: i64,
    /// all, queues, exchanges, classic_queues, quorum_queues or streams.
    #[arg(long, default_value = "all")]
    apply_to: String,
}

const VHOSTS: List = List::of(
    "/vhosts",
    &["name", "description", "tags", "default_queue_type"],
);
const POLICIES: List = List::of(
    "",
    &[
        "vhost",
        "name",
        "pattern",
        "apply-to",
        "definition",
        "priority",
    ],
);
const LIMITS: List = List::of("", &["vhost", "value"]);
const PARAMETERS: List = List::of("/parameters", &["vhost", "component", "name", "value"]);
const GLOBAL: List = List::of("/global-parameters", &["name", "value"]);

pub(super) fn run(command: &Command, client: &Client, output: &mut Output<'_>) -> Done {
    match command {
        Command::AddVhost { name, metadata } => {
            if client.get(&vhost_path(name), &about(name)).is_ok() {
                return Err(Exit::Failed(format!("vhost '{name}' already exists")));
            }
            client.put(&vhost_path(name), &metadata.body(), &about(name))?;
            output.done("vhost added")
        }
        Command::UpdateVhostMetadata { name, metadata } => {
            client.get(&vhost_path(name), &about(name))?;
            client.put(&vhost_path(name), &metadata.body(), &about(name))?;
            output.done("vhost changed")
        }
        Command::DeleteVhost { name } => {
            client.delete(&vhost_path(name), &[], &about(name))?;
            output.done("vhost deleted")
        }
        Command::EnableVhostDeletionProtection { name } => {
            client.post(&protection(name), &json!({}), &about(name))?;
            output.done("vhost protected")
        }
        Command::DisableVhostDeletionProtection { name } => {
            client.delete(&protection(name), &[], &about(name))?;
            output.done("vhost not protected any more")
        }
        Command::SetVhostTags { name, tags } => {
            client.get(&vhost_path(name), &about(name))?;
            client.put(&vhost_path(name), &json!({ "tags": tags }), &about(name))?;
            output.done("vhost tags set")
        }
        Command::ListVhosts(columns) => VHOSTS.show(client, columns, output),
        Command::SetPolicy(policy) => policy.set("policies", client, output),
        Command::ClearPolicy { name } => clear("policies", name, client, output),
        Command::ListPolicies(columns) => {
            POLICIES.show_at(&path("policies", client), client, columns, output)
        }
        Command::SetOperatorPolicy(policy) => policy.set("operator-policies", client, output),
        Command::ClearOperatorPolicy { name } => clear("operator-policies", name, client, output),
        Command::ListOperatorPolicies(columns) => {
            let path = path("operator-policies", client);
            POLICIES.show_at(&path, client, columns, output)
        }
        command => values(command, client, output),
    }
}

/// Limits and parameters.
fn values(command: &Command, client: &Client, output: &mut Output<'_>) -> Done {
    let limits = format!("{}/limits", path("parameters/vhost-limits", client));
    match command {
        Command::SetVhostLimits { limits: given } => {
            let value = object("limits", given)?;
            let about = client.about("parameter", "limits");
            client.put(&limits, &json!({ "value": value }), &about)?;
            output.done("vhost limits set")
        }
        Command::ClearVhostLimits => {
            let about = About(format!("limit in vhost '{}'", client.vhost()));
            client.delete(&limits, &[], &about)?;
            output.done("vhost limits cleared")
        }
        Command::ListVhostLimits { global } => {
            let path = if *global {
                "/vhost-limits".to_owned()
            } else {
                path("vhost-limits", client)
            };
            LIMITS.show_at(&path, client, &Columns::usual(), output)
        }
        Command::SetParameter {
            component,
            name,
            value,
        } => {
            let path = parameter_path(client, component, name);
            let about = client.about("parameter", name);
            client.put(&path, &json!({ "value": json_of(value)? }), &about)?;
            output.done("parameter set")
        }
        Command::ClearParameter { component, name } => {
            let path = parameter_path(client, component, name);
            client.delete(&path, &[], &client.about("parameter", name))?;
            output.done("parameter cleared")
        }
        Command::ListParameters(columns) => PARAMETERS.show(client, columns, output),
        Command::SetGlobalParameter { name, value } => {
            let path = format!("/global-parameters/{}", segment(name));
            let body = json!({ "value": json_of(value)? });
            client.put(&path, &body, &About(format!("parameter '{name}'")))?;
            output.done("global parameter set")
        }
        Command::ClearGlobalParameter { name } => {
            let path = format!("/global-parameters/{}", segment(name));
            client.delete(&path, &[], &About(format!("global parameter '{name}'")))?;
            output.done("global parameter cleared")
        }
        Command::ListGlobalParameters(columns) => GLOBAL.show(client, columns, output),
        _ => Ok(()),
    }
}

impl Metadata {
    fn body(&self) -> Value {
        let given = [
            ("description", &self.description),
            ("tags", &self.tags),
            ("default_queue_type", &self.default_queue_type),
        ];
        let given = given.into_iter().filter_map(|(key, value)| {
            let value = value.as_deref()?;
            Some((key.to_owned(), value.into()))
        });
        Value::Object(given.collect::<Map<_, _>>())
    }
}

impl Policy {
    fn set(&self, kind: &str, client: &Client, output: &mut Output<'_>) -> Done {
        let body = json!({
            "pattern": self.pattern,
            "definition": object("definition", &self.definition)?,
            "priority": self.priority,
            "apply-to": self.apply_to,
        });
        let path = format!("{}/{}", path(kind, client), segment(&self.name));
        client.put(&path, &body, &client.about("policy", &self.name))?;
        output.done("policy set")
    }
}

fn clear(kind: &str, name: &str, client: &Client, output: &mut Output<'_>) -> Done {
    let path = format!("{}/{}", path(kind, client), segment(name));
    client.delete(&path, &[], &client.about("policy", name))?;
    output.done("policy cleared")
}

fn path(kind: &str, client: &Client) -> String {
    format!("/{kind}/{}", segment(client.vhost()))
}

fn parameter_path(client: &Client, component: &str, name: &str) -> String {
    let component = path(&format!("parameters/{}", segment(component)), client);
    format!("{component}/{}", segment(name))
}

fn protection(name: &str) -> String {
    format!("{}/deletion/protection", vhost_path(name))
}

fn vhost_path(name: &str) -> String {
    format!("/vhosts/{}", segment(name))
}

fn about(name: &str) -> About {
    About(format!("vhost '{name}'"))
}

fn json_of(text: &str) -> Result<Value, Exit> {
    serde_json::from_str(text)
        .map_err(|error| Exit::Data(format!("{text}: the value is no JSON ({error})")))
}
