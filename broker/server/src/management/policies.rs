//! Policies: `/api/policies`, `/api/operator-policies`.

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer::{Many, One};
use super::backend::{OPERATOR_POLICY, POLICY, Parameter};
use super::body::Fields;
use super::caller::Caller;
use super::json::Object;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{self, Routes, optional, required};
use super::users::status;

const ORDER: &[&str] = &["vhost", "name"];

/// Who may set policies of a kind.
#[derive(Clone, Copy)]
struct Kind {
    component: &'static str,
    for_administrators: bool,
}

const USER: Kind = Kind {
    component: POLICY,
    for_administrators: false,
};
const OPERATOR: Kind = Kind {
    component: OPERATOR_POLICY,
    for_administrators: true,
};

pub(super) fn routes() -> Routes {
    kind_routes::<false>("policies").merge(kind_routes::<true>("operator-policies"))
}

fn kind_routes<const OPERATORS: bool>(name: &str) -> Routes {
    let of_vhost = format!("/{name}/{{vhost}}");
    let one = format!("/{name}/{{vhost}}/{{policy}}");
    Routes::of("Policies")
        .get(format!("/{name}"), list_all::<OPERATORS>, "All policies.")
        .get(
            of_vhost,
            list::<OPERATORS>,
            "The policies of a virtual host.",
        )
        .get(one.clone(), show::<OPERATORS>, "A policy.")
        .put(one.clone(), put::<OPERATORS>, "Sets a policy.")
        .with([
            required("pattern", routes::Kind::Text),
            required("definition", routes::Kind::Object),
            optional("priority", routes::Kind::Any),
            optional("apply-to", routes::Kind::Text),
        ])
        .delete(one, remove::<OPERATORS>, "Removes a policy.")
}

const fn kind(operators: bool) -> Kind {
    if operators { OPERATOR } else { USER }
}

async fn list_all<const OPERATORS: bool>(
    caller: Caller,
    listing: Listing,
) -> Result<Many<Policy>, Refused> {
    let policies = of_kind(&caller, kind(OPERATORS));
    let open = policies.filter(|policy| caller.may_enter(&policy.vhost));
    listing.list(open.map(|policy| view(&policy)), ORDER)
}

async fn list<const OPERATORS: bool>(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Many<Policy>, Refused> {
    caller.enter(&vhost)?;
    let policies = of_kind(&caller, kind(OPERATORS));
    let within = policies.filter(|policy| policy.vhost == vhost);
    listing.list(within.map(|policy| view(&policy)), ORDER)
}

async fn show<const OPERATORS: bool>(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<One<Policy>, Refused> {
    caller.enter(&vhost)?;
    let mut policies = of_kind(&caller, kind(OPERATORS));
    let found = policies.find(|policy| policy.vhost == vhost && policy.name == name);
    Ok(listing.one(view(&found.ok_or_else(Refused::not_found)?)))
}

async fn put<const OPERATORS: bool>(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    let kind = kind(OPERATORS);
    kind.must_be_for(&caller, &vhost)?;
    body.require(&["pattern", "definition"])?;
    let parameter = parameter(kind.component, &vhost, &name, &body.into_object());
    let administration = caller.administration();
    let put = administration.put_parameter(caller.identity(), parameter);
    Ok(status(put.await?))
}

async fn remove<const OPERATORS: bool>(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    let kind = kind(OPERATORS);
    kind.must_be_for(&caller, &vhost)?;
    let administration = caller.administration();
    administration
        .delete_parameter(caller.identity(), kind.component, &vhost, &name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Kind {
    fn must_be_for(self, caller: &Caller, vhost: &str) -> Result<(), Refused> {
        if self.for_administrators {
            caller.must_administrate()
        } else {
            caller.must_make_policies(Some(vhost))
        }
    }
}

fn of_kind(caller: &Caller, kind: Kind) -> impl Iterator<Item = Parameter> {
    let parameters = caller.administration().parameters().into_iter();
    parameters.filter(move |parameter| parameter.component == kind.component)
}

/// The policy of a body, or of definitions, as a parameter.
pub(super) fn parameter(
    component: &str,
    vhost: &str,
    name: &str,
    body: &Map<String, Value>,
) -> Parameter {
    let given = |key: &str| body.get(key).filter(|value| !value.is_null()).cloned();
    let value = json!({
        "pattern": given("pattern"),
        "definition": given("definition"),
        "priority": given("priority").unwrap_or(0.into()),
        "apply-to": given("apply-to").unwrap_or("all".into()),
    });
    Parameter {
        component: component.to_owned(),
        vhost: vhost.to_owned(),
        name: name.to_owned(),
        value,
    }
}

/// A policy.
#[derive(Serialize, JsonSchema)]
pub(super) struct Policy {
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<String>,
    name: String,
    /// A regular expression of the names that it applies to.
    #[schemars(with = "String")]
    pattern: Value,
    /// `all`, `queues`, `exchanges`, or a type of queue.
    #[serde(rename = "apply-to")]
    #[schemars(with = "String")]
    apply_to: Value,
    /// What it sets, by key.
    #[schemars(with = "Object")]
    definition: Value,
    /// Of those that apply, the one with the highest does.
    #[schemars(with = "i64")]
    priority: Value,
}

impl Policy {
    /// For definitions of a single virtual host, which have no name of it.
    pub(super) fn without_vhost(self) -> Self {
        Self {
            vhost: None,
            ..self
        }
    }
}

pub(super) fn view(policy: &Parameter) -> Policy {
    let value = |key: &str| policy.value.get(key).cloned().unwrap_or_default();
    Policy {
        vhost: Some(policy.vhost.clone()),
        name: policy.name.clone(),
        pattern: value("pattern"),
        apply_to: value("apply-to"),
        definition: value("definition"),
        priority: value("priority"),
    }
}
