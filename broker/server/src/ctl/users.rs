//! Users and what they may do: rabbitmqctl's commands, with its order of arguments.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Columns;
use super::client::{About, Client, segment};
use super::lists::List;
use super::output::Output;
use crate::cli::exit::Exit;

type Done = Result<(), Exit>;

#[derive(Clone, Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(super) enum Command {
    /// Adds a user, who may do nothing yet. Without a password here, standard input has it.
    AddUser {
        #[arg(value_name = "USERNAME")]
        name: String,
        #[arg(value_name = "PASSWORD")]
        secret: Option<String>,
    },
    /// Removes a user and closes the user's connections.
    DeleteUser {
        #[arg(value_name = "USERNAME")]
        name: String,
    },
    /// Sets a user's password. Without one here, standard input has it.
    ChangePassword {
        #[arg(value_name = "USERNAME")]
        name: String,
        #[arg(value_name = "PASSWORD")]
        secret: Option<String>,
    },
    /// Takes a user's password away: only a certificate lets the user in.
    ClearPassword {
        #[arg(value_name = "USERNAME")]
        name: String,
    },
    /// Says whether this is a user's password. Without one here, standard input has it.
    AuthenticateUser {
        #[arg(value_name = "USERNAME")]
        name: String,
        #[arg(value_name = "PASSWORD")]
        secret: Option<String>,
    },
    /// Sets all tags of a user: administrator, monitoring, policymaker, management, impersonator, or none.
    SetUserTags {
        #[arg(value_name = "USERNAME")]
        name: String,
        tags: Vec<String>,
    },
    /// [COLUMN…]: all users.
    ListUsers(Columns),
    /// Sets what a user may declare, publish to and consume from in the virtual host: three regular expressions over names.
    SetPermissions {
        #[arg(value_name = "USERNAME")]
        name: String,
        configure: String,
        write: String,
        read: String,
    },
    /// Closes the virtual host to a user.
    ClearPermissions {
        #[arg(value_name = "USERNAME")]
        name: String,
    },
    /// [COLUMN…]: who may do what in the virtual host.
    ListPermissions(Columns),
    /// What a user may do, in all virtual hosts.
    ListUserPermissions {
        #[arg(value_name = "USERNAME")]
        name: String,
    },
    /// Sets with which routing keys a user may publish and bind at a topic exchange of the virtual host.
    SetTopicPermissions {
        #[arg(value_name = "USERNAME")]
        name: String,
        exchange: String,
        write: String,
        read: String,
    },
    /// Lets a user use all routing keys again: of one exchange, or of all in the virtual host.
    ClearTopicPermissions {
        #[arg(value_name = "USERNAME")]
        name: String,
        exchange: Option<String>,
    },
    /// [COLUMN…]: topic permissions in the virtual host.
    ListTopicPermissions(Columns),
    /// A user's topic permissions, in all virtual hosts.
    ListUserTopicPermissions {
        #[arg(value_name = "USERNAME")]
        name: String,
    },
    /// Sets what a user may do in all virtual hosts.
    SetPermissionsGlobally {
        #[arg(value_name = "USERNAME")]
        name: String,
        configure: String,
        write: String,
        read: String,
    },
    /// The hash of a password, as definitions have it. Without one here, standard input has it.
    HashPassword {
        #[arg(value_name = "PASSWORD")]
        secret: Option<String>,
    },
    /// Sets limits of a user, as JSON: '{"max-connections": 10, "max-channels": 100}'.
    SetUserLimits {
        #[arg(value_name = "USERNAME")]
        name: String,
        limits: String,
    },
    /// Takes a user's limit away: its name, or all.
    ClearUserLimits {
        #[arg(value_name = "USERNAME")]
        name: String,
        limit: String,
    },
    /// The limits of one user, or of all.
    ListUserLimits {
        #[arg(long)]
        user: Option<String>,
        /// Those of all, as without --user.
        #[arg(long, conflicts_with = "user")]
        global: bool,
    },
}

/// Hashes of passwords are shown to those who ask for them.
const USERS: List = List::of("/users", &["name", "tags"]).for_programs(&["name", "tags", "limits"]);
const PERMISSIONS: List = List::of("", &["user", "configure", "write", "read"]);
const TOPICS: List = List::of("", &["user", "exchange", "write", "read"]);
const OF_USER: List = List::of("", &["vhost", "configure", "write", "read"]);
const TOPICS_OF_USER: List = List::of("", &["vhost", "exchange", "write", "read"]);
const LIMITS: List = List::of("", &["user", "value"]);

pub(super) fn run(command: &Command, client: &Client, output: &mut Output<'_>) -> Done {
    match command {
        Command::AddUser { name, secret } => add(client, name, secret.as_ref(), output),
        Command::DeleteUser { name } => {
            client.delete(&user_path(name), &[], &about(name))?;
            output.done("user deleted")
        }
        Command::ChangePassword { name, secret } => {
            let password = given(secret.as_ref())?;
            change(client, name, "password", &password)?;
            output.done("password changed")
        }
        Command::ClearPassword { name } => {
            change(client, name, "password_hash", "")?;
            output.done("password cleared")
        }
        Command::AuthenticateUser { name, secret } => {
            let password = given(secret.as_ref())?;
            client.authenticate(name, &password)?;
            output.done("success")
        }
        Command::SetUserTags { name, tags } => set_tags(client, name, tags, output),
        Command::ListUsers(columns) => USERS.show(client, columns, output),
        Command::SetUserLimits { name, limits } => {
            set_limits(client, name, limits)?;
            output.done("user limits set")
        }
        Command::ClearUserLimits { name, limit } => {
            clear_limits(client, name, limit)?;
            output.done("user limits cleared")
        }
        Command::HashPassword { secret } => {
            let password = given(secret.as_ref())?;
            let path = format!("/auth/hash_password/{}", segment(&password));
            let hash = client.get(&path, &About("password".to_owned()))?;
            output.answer(&hash, hash["ok"].as_str().unwrap_or_default())
        }
        Command::ListUserLimits { user, global: _ } => {
            let path = match user {
                None => "/user-limits".to_owned(),
                Some(user) => format!("/user-limits/{}", segment(user)),
            };
            LIMITS.show_at(&path, client, &Columns::usual(), output)
        }
        command => permissions(command, client, output),
    }
}

fn permissions(command: &Command, client: &Client, output: &mut Output<'_>) -> Done {
    let vhost = segment(client.vhost());
    let of_vhost = |kind: &str| format!("/vhosts/{vhost}/{kind}");
    let place = |kind: &str, user: &str| format!("/{kind}/{vhost}/{}", segment(user));
    match command {
        Command::SetPermissions {
            name,
            configure,
            write,
            read,
        } => {
            let body = json!({ "configure": configure, "write": write, "read": read });
            client.put(&place("permissions", name), &body, &about(name))?;
            output.done("permissions set")
        }
        Command::SetPermissionsGlobally {
            name,
            configure,
            write,
            read,
        } => {
            let body = json!({ "configure": configure, "write": write, "read": read });
            let vhosts = client.get("/vhosts?columns=name", &about(name))?;
            for vhost in vhosts.as_array().into_iter().flatten() {
                let vhost = segment(vhost["name"].as_str().unwrap_or_default());
                let path = format!("/permissions/{vhost}/{}", segment(name));
                client.put(&path, &body, &about(name))?;
            }
            output.done("permissions set")
        }
        Command::ClearPermissions { name } => {
            let about = client.about("permission of user", name);
            client.delete(&place("permissions", name), &[], &about)?;
            output.done("permissions cleared")
        }
        Command::ListPermissions(columns) => {
            PERMISSIONS.show_at(&of_vhost("permissions"), client, columns, output)
        }
        Command::ListUserPermissions { name } => {
            let path = format!("{}/permissions", user_path(name));
            OF_USER.show_at(&path, client, &Columns::usual(), output)
        }
        Command::SetTopicPermissions {
            name,
            exchange,
            write,
            read,
        } => {
            let body = json!({ "exchange": exchange, "write": write, "read": read });
            let path = place("topic-permissions", name);
            client.put(&path, &body, &about(name))?;
            output.done("topic permissions set")
        }
        Command::ClearTopicPermissions { name, exchange } => {
            let mut path = place("topic-permissions", name);
            if let Some(exchange) = exchange {
                path = format!("{path}/{}", segment(exchange));
            }
            let about = client.about("topic permission of user", name);
            client.delete(&path, &[], &about)?;
            output.done("topic permissions cleared")
        }
        Command::ListTopicPermissions(columns) => {
            TOPICS.show_at(&of_vhost("topic-permissions"), client, columns, output)
        }
        Command::ListUserTopicPermissions { name } => {
            let path = format!("{}/topic-permissions", user_path(name));
            TOPICS_OF_USER.show_at(&path, client, &Columns::usual(), output)
        }
        _ => Ok(()),
    }
}

fn add(
    client: &Client,
    username: &str,
    password: Option<&String>,
    output: &mut Output<'_>,
) -> Done {
    if client.get(&user_path(username), &about(username)).is_ok() {
        return Err(Exit::Failed(format!("user '{username}' already exists")));
    }
    let body = json!({ "password": given(password)?, "tags": "" });
    client.put(&user_path(username), &body, &about(username))?;
    output.done("user added; grant permissions with set_permissions")
}

/// Changes one thing of a user's login; the API wants the tags beside it.
fn change(client: &Client, username: &str, key: &str, value: &str) -> Done {
    let user = client.get(&user_path(username), &about(username))?;
    let body = json!({ key: value, "tags": user["tags"] });
    client.put(&user_path(username), &body, &about(username))?;
    Ok(())
}

fn set_tags(client: &Client, username: &str, tags: &[String], output: &mut Output<'_>) -> Done {
    let user = client.get(&user_path(username), &about(username))?;
    let body = json!({ "password_hash": user["password_hash"], "tags": tags });
    client.put(&user_path(username), &body, &about(username))?;
    output.done("tags set")
}

fn set_limits(client: &Client, username: &str, limits: &str) -> Done {
    for (name, value) in super::settings::object("limits", limits)? {
        put_limit(client, username, &name, &value)?;
    }
    Ok(())
}

fn put_limit(client: &Client, username: &str, name: &str, value: &Value) -> Done {
    let path = limit_path(username, name);
    client.put(&path, &json!({ "value": value }), &about(username))?;
    Ok(())
}

fn clear_limits(client: &Client, username: &str, limit: &str) -> Done {
    let names = match limit {
        "all" => vec!["max-connections", "max-channels"],
        name => vec![name],
    };
    for name in names {
        client.delete(&limit_path(username, name), &[], &about(username))?;
    }
    Ok(())
}

fn limit_path(username: &str, name: &str) -> String {
    format!("/user-limits/{}/{}", segment(username), segment(name))
}

fn user_path(username: &str) -> String {
    format!("/users/{}", segment(username))
}

fn about(username: &str) -> About {
    About(format!("user '{username}'"))
}

/// The password, which is better not given where everybody on the machine can see it.
fn given(password: Option<&String>) -> Result<String, Exit> {
    if let Some(password) = password {
        return Ok(password.clone());
    }
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.map_err(|error| Exit::Failed(format!("standard input: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
