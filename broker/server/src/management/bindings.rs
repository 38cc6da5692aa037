//! Bindings: `/api/bindings`, and those of one queue or exchange.

use amphora_protocol::wire::table::FieldTable;
use axum::extract::Path;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::answer::{Many, One};
use super::backend::{Bind, BindingFilter};
use super::body::Fields;
use super::caller::Caller;
use super::exchanges::exchange_name;
use super::json::{Object, from_table};
use super::listing::Listing;
use super::queues::queue_name;
use super::refused::Refused;
use super::routes::{Kind, Routes, optional};
use super::snapshot::{BindingSnapshot, Destination};

const ORDER: &[&str] = &[
    "vhost",
    "source",
    "destination_type",
    "destination",
    "properties_key",
];

/// What stands for itself in a binding's key.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// How much of the digest of a binding's arguments goes into its key. Bindings that agree on all else are few.
const DIGEST_LEN: usize = 9;

pub(super) fn routes() -> Routes {
    Routes::of("Bindings")
        .get("/bindings", list_all, "All bindings.")
        .get("/bindings/{vhost}", list, "The bindings of a virtual host.")
        .get(
            "/bindings/{vhost}/e/{source}/{kind}/{destination}",
            list_between,
            "The bindings between an exchange and a queue (`q`) or exchange (`e`).",
        )
        .post(
            "/bindings/{vhost}/e/{source}/{kind}/{destination}",
            bind,
            "Makes a binding.",
        )
        .with([
            optional("routing_key", Kind::Text),
            optional("arguments", Kind::Object),
        ])
        .get(
            "/bindings/{vhost}/e/{source}/{kind}/{destination}/{key}",
            show,
            "A binding, by its `properties_key`.",
        )
        .delete(
            "/bindings/{vhost}/e/{source}/{kind}/{destination}/{key}",
            unbind,
            "Removes a binding.",
        )
        .get(
            "/queues/{vhost}/{name}/bindings",
            list_of_queue,
            "The bindings that lead to a queue.",
        )
        .get(
            "/exchanges/{vhost}/{name}/bindings/{end}",
            list_of_exchange,
            "The bindings of an exchange, as their `source` or `destination`.",
        )
}

async fn list_all(caller: Caller, listing: Listing) -> Result<Many<Binding>, Refused> {
    let every = BindingFilter::default();
    let vhosts = caller.vhosts();
    let bindings = vhosts
        .iter()
        .flat_map(|vhost| caller.backend().bindings(vhost, &every));
    listing.list(bindings.map(|binding| view(&binding)), ORDER)
}

async fn list(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Many<Binding>, Refused> {
    list_filtered(&caller, &vhost, &BindingFilter::default(), &listing)
}

async fn list_of_queue(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<Many<Binding>, Refused> {
    caller.enter(&vhost)?;
    caller
        .backend()
        .queue(&vhost, &name)
        .ok_or_else(Refused::not_found)?;
    let destination = Some(Destination::Queue(queue_name(&name)?));
    list_filtered(
        &caller,
        &vhost,
        &BindingFilter {
            source: None,
            destination,
        },
        &listing,
    )
}

async fn list_of_exchange(
    caller: Caller,
    Path((vhost, name, end)): Path<(String, String, String)>,
    listing: Listing,
) -> Result<Many<Binding>, Refused> {
    caller.enter(&vhost)?;
    let name = exchange_name(&name)?;
    caller
        .backend()
        .exchange(&vhost, &name)
        .ok_or_else(Refused::not_found)?;
    let filter = match end.as_str() {
        "source" => BindingFilter {
            source: Some(name),
            destination: None,
        },
        "destination" => BindingFilter {
            source: None,
            destination: Some(Destination::Exchange(name)),
        },
        _ => return Err(Refused::not_found()),
    };
    list_filtered(&caller, &vhost, &filter, &listing)
}

async fn list_between(
    caller: Caller,
    Path(ends): Path<Ends>,
    listing: Listing,
) -> Result<Many<Binding>, Refused> {
    list_filtered(&caller, &ends.vhost, &ends.filter()?, &listing)
}

async fn bind(caller: Caller, Path(ends): Path<Ends>, body: Fields) -> Result<Response, Refused> {
    let access = caller.enter(&ends.vhost)?;
    let command = Bind {
        source: exchange_name(&ends.source)?,
        destination: ends.destination()?,
        routing_key: body.name("routing_key")?,
        arguments: body.table("arguments")?,
    };
    let key = properties_key(&command.routing_key, &command.arguments);
    let location = format!("{}/{key}", utf8_percent_encode(&ends.destination, PLAIN));
    caller.backend().bind(&access, command).await?;
    let location =
        HeaderValue::try_from(location).map_err(|error| Refused::bad_request(error.to_string()))?;
    Ok((StatusCode::CREATED, [(LOCATION, location)]).into_response())
}

async fn show(
    caller: Caller,
    Path(place): Path<Place>,
    listing: Listing,
) -> Result<One<Binding>, Refused> {
    caller.enter(&place.vhost)?;
    Ok(listing.one(view(&place.find(&caller)?)))
}

async fn unbind(caller: Caller, Path(place): Path<Place>) -> Result<StatusCode, Refused> {
    let access = caller.enter(&place.vhost)?;
    let BindingSnapshot {
        source,
        destination,
        routing_key,
        arguments,
        ..
    } = place.find(&caller)?;
    let command = Bind {
        source,
        destination,
        routing_key,
        arguments,
    };
    caller.backend().unbind(&access, command).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The two ends of bindings, as a path names them.
#[derive(Debug, Deserialize)]
struct Ends {
    vhost: String,
    source: String,
    kind: String,
    destination: String,
}

impl Ends {
    fn destination(&self) -> Result<Destination, Refused> {
        match self.kind.as_str() {
            "q" => queue_name(&self.destination).map(Destination::Queue),
            "e" => exchange_name(&self.destination).map(Destination::Exchange),
            _ => Err(Refused::not_found()),
        }
    }

    fn filter(&self) -> Result<BindingFilter, Refused> {
        Ok(BindingFilter {
            source: Some(exchange_name(&self.source)?),
            destination: Some(self.destination()?),
        })
    }
}

/// One binding, as a path names it.
#[derive(Debug, Deserialize)]
struct Place {
    vhost: String,
    source: String,
    kind: String,
    destination: String,
    key: String,
}

impl Place {
    fn find(&self, caller: &Caller) -> Result<BindingSnapshot, Refused> {
        let Self {
            vhost,
            source,
            kind,
            destination,
            ..
        } = self;
        let ends = Ends {
            vhost: vhost.clone(),
            source: source.clone(),
            kind: kind.clone(),
            destination: destination.clone(),
        };
        let mut bindings = caller
            .backend()
            .bindings(vhost, &ends.filter()?)
            .into_iter();
        bindings
            .find(|binding| self.names(binding))
            .ok_or_else(Refused::not_found)
    }

    /// The key has an encoding of its own below that of the path; clients that leave it out mean the same.
    fn names(&self, binding: &BindingSnapshot) -> bool {
        let key = properties_key(&binding.routing_key, &binding.arguments);
        self.key == key || self.key.as_bytes() == percent_decode_str(&key).collect::<Vec<u8>>()
    }
}

fn list_filtered(
    caller: &Caller,
    vhost: &str,
    filter: &BindingFilter,
    listing: &Listing,
) -> Result<Many<Binding>, Refused> {
    caller.enter(vhost)?;
    let bindings = caller.backend().bindings(vhost, filter);
    listing.list(bindings.iter().map(view), ORDER)
}

/// A binding, be it declared or the implicit one of the default exchange to each queue.
#[derive(Serialize, JsonSchema)]
struct Binding {
    /// The virtual host that it is in.
    vhost: String,
    /// The exchange that messages come from; empty for the default exchange.
    source: String,
    /// The queue or exchange that they go to.
    destination: String,
    /// `queue` or `exchange`.
    destination_type: &'static str,
    /// What their routing key is compared to.
    routing_key: String,
    /// What it was bound with.
    arguments: Object,
    /// What tells it from others with the same ends.
    properties_key: String,
}

fn view(binding: &BindingSnapshot) -> Binding {
    Binding {
        vhost: binding.vhost.to_string(),
        source: binding.source.to_string(),
        destination: binding.destination.name().to_owned(),
        destination_type: binding.destination.kind(),
        routing_key: binding.routing_key.to_string(),
        arguments: from_table(&binding.arguments),
        properties_key: properties_key(&binding.routing_key, &binding.arguments),
    }
}

/// What tells a binding from others with the same ends: its routing key, and a digest of its arguments if there are any.
fn properties_key(routing_key: &str, arguments: &FieldTable) -> String {
    let key = utf8_percent_encode(routing_key, PLAIN);
    if !arguments.is_empty() {
        let mut bytes = Vec::new();
        arguments.encode(&mut bytes);
        let digest = Sha256::digest(&bytes);
        let (short, _) = digest.split_at(DIGEST_LEN);
        return format!("{key}~{}", URL_SAFE_NO_PAD.encode(short));
    }
    if routing_key.is_empty() {
        "~".to_owned()
    } else {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::types::ShortString;

    use super::*;

    #[test]
    fn a_key_is_fit_for_a_path_and_tells_bindings_apart() {
        let none = FieldTable::new();
        assert_eq!(properties_key("", &none), "~");
        assert_eq!(properties_key("a.*.#", &none), "a.%2A.%23");
        assert_eq!(properties_key("~", &none), "%7E");
        assert_eq!(properties_key("a/ü", &none), "a%2F%C3%BC");
        let with = |value: i64| FieldTable::from_iter([(ShortString::cut("x"), value.into())]);
        let (one, two) = (properties_key("k", &with(1)), properties_key("k", &with(2)));
        assert!(one.starts_with("k~") && one != two, "{one} {two}");
    }
}
