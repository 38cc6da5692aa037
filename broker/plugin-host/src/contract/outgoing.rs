//! Content headers that a plugin writes, and messages of its own.

use amphora_protocol::limits::{BODY_SIZE_MAX, EXPIRATION_MS_MAX};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{RoutingKey, ShortString};

use super::copies::check_copies;
use super::table::lifted_table;
use super::types::{Outgoing, Properties};
use crate::environment;

/// Bytes of a content header that a plugin writes, at most: it has to fit into one frame of every consumer.
pub(super) const HEADER_MAX: usize = 64 * 1024;

/// A message to be published, as the plugin gave it.
pub(crate) type Send = Outgoing;

/// Checks a message of a plugin's own.
///
/// # Errors
/// Says which limit is in the way.
pub(crate) fn outgoing(message: Send) -> Result<environment::Outgoing, String> {
    let Send {
        vhost,
        exchange,
        routing_key,
        properties,
        headers,
        body,
    } = message;
    check_length("vhost", &vhost)?;
    check_length("exchange", &exchange)?;
    let routing_key = lifted_key(routing_key)?;
    let mut properties = lifted_properties(properties)?;
    if !headers.fields.is_empty() {
        let headers = lifted_table(&headers, HEADER_MAX)
            .and_then(|headers| check_copies(&headers).map(|()| headers));
        properties.headers = Some(headers.map_err(|error| format!("headers: {error}"))?);
    }
    let properties = properties.to_bytes();
    if properties.len() > HEADER_MAX {
        let length = properties.len();
        return Err(format!(
            "properties and headers have {length} bytes, and {HEADER_MAX} are allowed"
        ));
    }
    if body.len() as u64 > BODY_SIZE_MAX {
        let length = body.len();
        return Err(format!(
            "the body has {length} bytes, and {BODY_SIZE_MAX} are allowed"
        ));
    }
    Ok(environment::Outgoing {
        vhost,
        exchange,
        routing_key,
        properties,
        body: body.into(),
    })
}

fn check_length(what: &str, text: &str) -> Result<(), String> {
    shortened(what, text.to_owned()).map(drop)
}

pub(super) fn lifted_key(key: String) -> Result<RoutingKey, String> {
    shortened("routing-key", key).map(RoutingKey::from)
}

fn shortened(what: &str, text: String) -> Result<ShortString, String> {
    ShortString::try_from(text)
        .map_err(|too_long| format!("{what} has {} bytes, and 255 are allowed", too_long.length))
}

/// Whether it is as clients may write it, and without a sign.
fn is_expiration(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let ms = text.parse::<u64>();
    is_number && ms.is_ok_and(|ms| ms <= EXPIRATION_MS_MAX)
}

/// A plugin's properties, without headers.
pub(super) fn lifted_properties(properties: Properties) -> Result<BasicProperties, String> {
    let text =
        |what: &str, text: Option<String>| text.map(|text| shortened(what, text)).transpose();
    if let Some(mode) = properties.delivery_mode
        && !(1..=2).contains(&mode)
    {
        return Err(format!("delivery-mode is {mode}, and 1 or 2 is allowed"));
    }
    if let Some(expiration) = &properties.expiration
        && !is_expiration(expiration)
    {
        let shown = ShortString::cut(expiration);
        return Err(format!(
            "expiration is '{shown}', and only milliseconds in decimal digits are allowed, at most {EXPIRATION_MS_MAX}"
        ));
    }
    Ok(BasicProperties {
        content_type: text("content-type", properties.content_type)?,
        content_encoding: text("content-encoding", properties.content_encoding)?,
        headers: None,
        delivery_mode: properties.delivery_mode,
        priority: properties.priority,
        correlation_id: text("correlation-id", properties.correlation_id)?,
        reply_to: text("reply-to", properties.reply_to)?,
        expiration: text("expiration", properties.expiration)?,
        message_id: text("message-id", properties.message_id)?,
        timestamp: properties.timestamp,
        kind: text("kind", properties.kind)?,
        user_id: text("user-id", properties.user_id)?,
        app_id: text("app-id", properties.app_id)?,
        cluster_id: text("cluster-id", properties.cluster_id)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::types::{Field, Table, Value};
    use super::*;

    fn message() -> Send {
        Send {
            vhost: "/".into(),
            exchange: "ex".into(),
            routing_key: "key".into(),
            properties: Properties::default(),
            headers: Table::default(),
            body: b"body".to_vec(),
        }
    }

    #[test]
    fn a_message_is_what_the_plugin_said() {
        let mut sent = message();
        sent.properties.priority = Some(4);
        sent.headers.fields.push(Field {
            name: "h".into(),
            value: Value::Boolean(true),
        });
        let outgoing = outgoing(sent).expect("sound");
        let properties = BasicProperties::decode(&outgoing.properties).expect("sound");
        assert_eq!(properties.priority, Some(4));
        assert_eq!(properties.headers.expect("one").len(), 1);
        assert_eq!(outgoing.routing_key, "key");
        assert_eq!(outgoing.body, b"body".as_slice());
    }

    #[test]
    fn what_the_wire_has_no_room_for_is_refused_by_name() {
        let mut sent = message();
        sent.routing_key = "k".repeat(256);
        let refused = |sent| outgoing(sent).expect_err("refused");
        assert_eq!(
            refused(sent),
            "routing-key has 256 bytes, and 255 are allowed"
        );
        let mut sent = message();
        sent.properties.delivery_mode = Some(3);
        assert_eq!(refused(sent), "delivery-mode is 3, and 1 or 2 is allowed");
        for expiration in [
            "soon",
            "",
            "+500000",
            "-1",
            " 1",
            "315360000001",
            "18446744073709551615",
        ] {
            let mut sent = message();
            sent.properties.expiration = Some(expiration.into());
            let told = format!(
                "expiration is '{expiration}', and only milliseconds in decimal digits are allowed, at most 315360000000"
            );
            assert_eq!(refused(sent), told);
        }
        let mut sent = message();
        sent.properties.expiration = Some("315360000000".into());
        assert!(outgoing(sent).is_ok());
        let mut sent = message();
        sent.headers.fields.push(Field {
            name: "h".into(),
            value: Value::Text("x".repeat(70_000)),
        });
        assert!(refused(sent).contains("more than 65536 bytes"));
    }
}
