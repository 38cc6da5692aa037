//! Parameters as definitions of the store.
//!
//! | Family | Key, after the family's byte | Value |
//! | --- | --- | --- |
//! | 20 parameter | component, virtual host, name: each with its length as u16 before it | version (1), JSON |
//! | 21 global parameter | name to the end | version (1), JSON |

use amphora_core::definition::Family;
use amphora_core::store::Write;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

use super::parameters::Key;

const PARAMETER: u8 = Family::OPAQUE_MIN + 4;
const GLOBAL: u8 = Family::OPAQUE_MIN + 5;
const VERSION: u8 = 1;

/// What was found of a parameter.
#[derive(Debug, PartialEq)]
pub(super) enum Recovered {
    Parameter(Key, Value),
    Global(String, Value),
}

pub(super) fn put(key: &Key, value: &Value) -> Write {
    Write::PutDefinition {
        key: bytes_of(key),
        value: bytes_of_value(value),
    }
}

pub(super) fn delete(key: &Key) -> Write {
    Write::DeleteDefinition { key: bytes_of(key) }
}

pub(super) fn put_global(name: &str, value: &Value) -> Write {
    Write::PutDefinition {
        key: bytes_of_global(name),
        value: bytes_of_value(value),
    }
}

pub(super) fn delete_global(name: &str) -> Write {
    Write::DeleteDefinition {
        key: bytes_of_global(name),
    }
}

/// Reads a definition, if it is one of these families.
pub(super) fn recover(key: &[u8], value: &[u8]) -> Option<anyhow::Result<Recovered>> {
    let (family, name) = key.split_first()?;
    match *family {
        PARAMETER => Some(parameter(name, value)),
        GLOBAL => {
            let name = String::from_utf8_lossy(name).into_owned();
            let damaged = || format!("the global parameter '{name}' is damaged");
            let read = read_value(value).map_err(|error| error.context(damaged()));
            Some(read.map(|value| Recovered::Global(name, value)))
        }
        _ => None,
    }
}

fn parameter(mut name: &[u8], value: &[u8]) -> anyhow::Result<Recovered> {
    let mut part = || {
        let (length, rest) = name.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        name = rest;
        Some(String::from_utf8_lossy(part).into_owned())
    };
    let (Some(component), Some(vhost), Some(name)) = (part(), part(), part()) else {
        anyhow::bail!("the key of a parameter is damaged");
    };
    let value = read_value(value).map_err(|error| {
        error.context(format!(
            "the parameter '{name}' of '{component}' in vhost '{vhost}' is damaged"
        ))
    })?;
    let key = Key {
        component,
        vhost,
        name,
    };
    Ok(Recovered::Parameter(key, value))
}

fn read_value(value: &[u8]) -> anyhow::Result<Value> {
    match value.split_first() {
        Some((&VERSION, json)) => Ok(serde_json::from_slice(json)?),
        Some((other, _)) => {
            anyhow::bail!("its version is {other}, and this program knows {VERSION}")
        }
        None => anyhow::bail!("it is cut short"),
    }
}

fn bytes_of(key: &Key) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(PARAMETER);
    for part in [&key.component, &key.vhost, &key.name] {
        // Names were checked to be short.
        bytes.put_u16(u16::try_from(part.len()).unwrap_or(u16::MAX));
        bytes.put_slice(part.as_bytes());
    }
    bytes.freeze()
}

fn bytes_of_global(name: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(GLOBAL);
    bytes.put_slice(name.as_bytes());
    bytes.freeze()
}

fn bytes_of_value(value: &Value) -> Bytes {
    let mut bytes = vec![VERSION];
    bytes.extend(value.to_string().into_bytes());
    bytes.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_is_read() -> anyhow::Result<()> {
        let parameter = Key {
            component: "policy".to_owned(),
            vhost: "/".to_owned(),
            name: "p".to_owned(),
        };
        let value = json!({ "pattern": "^a", "priority": 1 });
        let Write::PutDefinition { key, value: bytes } = put(&parameter, &value) else {
            anyhow::bail!("it is put");
        };
        let read = recover(&key, &bytes).transpose()?;
        assert_eq!(read, Some(Recovered::Parameter(parameter.clone(), value)));
        assert_eq!(
            delete(&parameter),
            Write::DeleteDefinition { key: key.clone() }
        );
        let Write::PutDefinition {
            key: global,
            value: bytes,
        } = put_global("g", &json!(5))
        else {
            anyhow::bail!("it is put");
        };
        let read = recover(&global, &bytes).transpose()?;
        assert_eq!(read, Some(Recovered::Global("g".to_owned(), json!(5))));
        assert!(recover(b"\x03x", b"").is_none());
        for damaged in [&b""[..], b"\x02{}", b"\x01{"] {
            assert!(recover(&key, damaged).is_some_and(|read| read.is_err()));
            assert!(recover(&global, damaged).is_some_and(|read| read.is_err()));
        }
        for end in 1..key.len() {
            assert!(recover(&key[..end], &bytes).is_some_and(|read| read.is_err()));
        }
        Ok(())
    }
}
