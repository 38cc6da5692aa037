//! Parameters of virtual hosts and of the broker: `/api/parameters`, `/api/global-parameters`.

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Many, One};
use super::backend::{OPERATOR_POLICY, POLICY, Parameter};
use super::body::Fields;
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, required};
use super::users::status;

const ORDER: &[&str] = &["component", "vhost", "name"];

pub(super) fn routes() -> Routes {
    Routes::of("Parameters")
        .get("/parameters", list_all, "All parameters.")
        .get(
            "/parameters/{component}",
            list_of_component,
            "The parameters of a component.",
        )
        .get(
            "/parameters/{component}/{vhost}",
            list,
            "The parameters of a component in a virtual host.",
        )
        .get(
            "/parameters/{component}/{vhost}/{name}",
            show,
            "A parameter.",
        )
        .put(
            "/parameters/{component}/{vhost}/{name}",
            put,
            "Sets a parameter.",
        )
        .with([required("value", Kind::Any)])
        .delete(
            "/parameters/{component}/{vhost}/{name}",
            remove,
            "Removes a parameter.",
        )
        .get(
            "/global-parameters",
            list_global,
            "The parameters of the broker as a whole.",
        )
        .get(
            "/global-parameters/{name}",
            show_global,
            "A parameter of the broker as a whole.",
        )
        .put(
            "/global-parameters/{name}",
            put_global,
            "Sets a parameter of the broker as a whole.",
        )
        .with([required("value", Kind::Any)])
        .delete(
            "/global-parameters/{name}",
            remove_global,
            "Removes a parameter of the broker as a whole.",
        )
}

/// Those that the user may see and that pass; policies have a list of their own.
fn listed(
    caller: &Caller,
    listing: &Listing,
    passes: impl Fn(&Parameter) -> bool,
) -> Result<Many<ParameterView>, Refused> {
    caller.must_make_policies(None)?;
    let parameters = open(caller).filter(passes);
    listing.list(parameters.map(|parameter| view(&parameter)), ORDER)
}

fn open(caller: &Caller) -> impl Iterator<Item = Parameter> {
    let parameters = caller.administration().parameters().into_iter();
    parameters
        .filter(|parameter| parameter.component != POLICY && caller.may_enter(&parameter.vhost))
}

async fn list_all(caller: Caller, listing: Listing) -> Result<Many<ParameterView>, Refused> {
    listed(&caller, &listing, |_| true)
}

async fn list_of_component(
    caller: Caller,
    Path(component): Path<String>,
    listing: Listing,
) -> Result<Many<ParameterView>, Refused> {
    listed(&caller, &listing, |parameter| {
        parameter.component == component
    })
}

async fn list(
    caller: Caller,
    Path((component, vhost)): Path<(String, String)>,
    listing: Listing,
) -> Result<Many<ParameterView>, Refused> {
    caller.must_make_policies(Some(&vhost))?;
    caller.enter(&vhost)?;
    listed(&caller, &listing, |parameter| {
        parameter.component == component && parameter.vhost == vhost
    })
}

async fn show(
    caller: Caller,
    Path((component, vhost, name)): Path<(String, String, String)>,
    listing: Listing,
) -> Result<One<ParameterView>, Refused> {
    caller.must_make_policies(Some(&vhost))?;
    let found = open(&caller).find(|parameter| {
        parameter.component == component && parameter.vhost == vhost && parameter.name == name
    });
    Ok(listing.one(view(&found.ok_or_else(Refused::not_found)?)))
}

async fn put(
    caller: Caller,
    Path((component, vhost, name)): Path<(String, String, String)>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    may_change(&caller, &component, &vhost)?;
    body.require(&["value"])?;
    let parameter = Parameter {
        component,
        vhost,
        name,
        value: body.value("value").cloned().unwrap_or_default(),
    };
    let administration = caller.administration();
    let put = administration.put_parameter(caller.identity(), parameter);
    Ok(status(put.await?))
}

async fn remove(
    caller: Caller,
    Path((component, vhost, name)): Path<(String, String, String)>,
) -> Result<StatusCode, Refused> {
    may_change(&caller, &component, &vhost)?;
    let administration = caller.administration();
    administration
        .delete_parameter(caller.identity(), &component, &vhost, &name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn may_change(caller: &Caller, component: &str, vhost: &str) -> Result<(), Refused> {
    caller.must_make_policies(Some(vhost))?;
    if [POLICY, OPERATOR_POLICY].contains(&component) {
        let reason = "policies may not be set using this method";
        return Err(Refused::bad_request(reason));
    }
    Ok(())
}

async fn list_global(caller: Caller, listing: Listing) -> Result<Many<GlobalParameter>, Refused> {
    caller.must_make_policies(None)?;
    let parameters = caller.administration().global_parameters();
    listing.list(parameters.iter().map(view_global), &["name"])
}

async fn show_global(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<One<GlobalParameter>, Refused> {
    caller.must_make_policies(None)?;
    let parameters = caller.administration().global_parameters();
    let found = parameters.iter().find(|(known, _)| *known == name);
    Ok(listing.one(view_global(found.ok_or_else(Refused::not_found)?)))
}

async fn put_global(
    caller: Caller,
    Path(name): Path<String>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    caller.must_make_policies(None)?;
    body.require(&["value"])?;
    let value = body.value("value").cloned().unwrap_or_default();
    let administration = caller.administration();
    let put = administration.set_global_parameter(caller.identity(), &name, Some(value));
    Ok(status(put.await?))
}

async fn remove_global(caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_make_policies(None)?;
    let administration = caller.administration();
    administration
        .set_global_parameter(caller.identity(), &name, None)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A parameter of a virtual host.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Parameter")]
pub(super) struct ParameterView {
    value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<String>,
    component: String,
    name: String,
}

/// A parameter of the broker as a whole.
#[derive(Serialize, JsonSchema)]
pub(super) struct GlobalParameter {
    name: String,
    value: Value,
}

impl ParameterView {
    /// For definitions of a single virtual host, which have no name of it.
    pub(super) fn without_vhost(self) -> Self {
        Self {
            vhost: None,
            ..self
        }
    }
}

pub(super) fn view(parameter: &Parameter) -> ParameterView {
    ParameterView {
        value: parameter.value.clone(),
        vhost: Some(parameter.vhost.clone()),
        component: parameter.component.clone(),
        name: parameter.name.clone(),
    }
}

pub(super) fn view_global((name, value): &(String, Value)) -> GlobalParameter {
    GlobalParameter {
        name: name.clone(),
        value: value.clone(),
    }
}
