//! A message's properties as JSON, and back.

use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::ShortString;
use serde_json::{Map, Value};

use super::json::{self, Object};
use super::refused::Refused;

/// Those that are there, by the standard's names.
pub(super) fn to_json(properties: &BasicProperties) -> Object {
    let mut object = Map::new();
    for (name, text) in texts(properties) {
        if let Some(text) = text {
            object.insert(name.to_owned(), text.as_str().into());
        }
    }
    if let Some(headers) = &properties.headers {
        object.insert("headers".to_owned(), json::from_table(headers).into());
    }
    let numbers = [
        ("delivery_mode", properties.delivery_mode.map(u64::from)),
        ("priority", properties.priority.map(u64::from)),
        ("timestamp", properties.timestamp),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            object.insert(name.to_owned(), number.into());
        }
    }
    object
}

/// A name that is not one of the fourteen is refused: it would be lost, and is most often a slip.
pub(super) fn from_json(object: &Map<String, Value>) -> Result<BasicProperties, Refused> {
    let mut properties = BasicProperties::default();
    for (name, value) in object {
        set(&mut properties, name, value)?;
    }
    Ok(properties)
}

fn set(properties: &mut BasicProperties, name: &str, value: &Value) -> Result<(), Refused> {
    let text = || match value.as_str().map(ShortString::new) {
        Some(Ok(text)) => Ok(Some(text)),
        _ => Err(mismatch(name, "a string of at most 255 bytes", value)),
    };
    let octet = || match value.as_u64().map(u8::try_from) {
        Some(Ok(octet)) => Ok(Some(octet)),
        _ => Err(mismatch(name, "a number from 0 to 255", value)),
    };
    match name {
        "content_type" => properties.content_type = text()?,
        "content_encoding" => properties.content_encoding = text()?,
        "correlation_id" => properties.correlation_id = text()?,
        "reply_to" => properties.reply_to = text()?,
        "expiration" => properties.expiration = text()?,
        "message_id" => properties.message_id = text()?,
        "type" => properties.kind = text()?,
        "user_id" => properties.user_id = text()?,
        "app_id" => properties.app_id = text()?,
        "cluster_id" => properties.cluster_id = text()?,
        "delivery_mode" => properties.delivery_mode = octet()?,
        "priority" => properties.priority = octet()?,
        "timestamp" => match value.as_u64() {
            Some(seconds) => properties.timestamp = Some(seconds),
            None => return Err(mismatch(name, "seconds since 1970", value)),
        },
        "headers" => match value.as_object().map(json::to_table) {
            Some(Ok(headers)) => properties.headers = Some(headers),
            Some(Err(error)) => return Err(Refused::bad_request(format!("headers: {error}"))),
            None => return Err(mismatch(name, "an object", value)),
        },
        _ => {
            return Err(Refused::bad_request(format!(
                "{name:?} is no property of a message"
            )));
        }
    }
    Ok(())
}

fn texts(properties: &BasicProperties) -> [(&'static str, &Option<ShortString>); 10] {
    [
        ("content_type", &properties.content_type),
        ("content_encoding", &properties.content_encoding),
        ("correlation_id", &properties.correlation_id),
        ("reply_to", &properties.reply_to),
        ("expiration", &properties.expiration),
        ("message_id", &properties.message_id),
        ("type", &properties.kind),
        ("user_id", &properties.user_id),
        ("app_id", &properties.app_id),
        ("cluster_id", &properties.cluster_id),
    ]
}

fn mismatch(name: &str, wanted: &str, found: &Value) -> Refused {
    Refused::bad_request(format!("{name}: expected {wanted}, found {found}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_fourteen_go_there_and_back() -> Result<(), String> {
        let all = json!({
            "content_type": "text/plain", "content_encoding": "utf-8", "headers": { "n": 1 },
            "delivery_mode": 2, "priority": 9, "correlation_id": "c", "reply_to": "r",
            "expiration": "60000", "message_id": "m", "timestamp": 1_700_000_000, "type": "t",
            "user_id": "guest", "app_id": "a", "cluster_id": "k",
        });
        let object = all.as_object().cloned().unwrap_or_default();
        assert_eq!(object.len(), 14);
        let properties = from_json(&object).map_err(|refused| format!("{refused:?}"))?;
        assert_eq!(Value::Object(to_json(&properties)), all);
        assert!(to_json(&BasicProperties::default()).is_empty());
        Ok(())
    }

    #[test]
    fn what_is_no_property_or_has_the_wrong_type_is_refused() {
        for object in [
            json!({ "delivery-mode": 2 }),
            json!({ "delivery_mode": "2" }),
            json!({ "priority": 256 }),
            json!({ "timestamp": -1 }),
            json!({ "headers": [] }),
            json!({ "message_id": "m".repeat(256) }),
        ] {
            let refused = from_json(&object.as_object().cloned().unwrap_or_default()).is_err();
            assert!(refused, "{object}");
        }
    }
}
