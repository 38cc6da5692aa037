//! Definitions as bytes.
//!
//! # Layout
//! Numbers are big endian; a *name* is its length in one byte and that many bytes of UTF-8; a *table* is a field table as
//! on the wire, with its length. Families and versions are never given a second meaning.
//!
//! | Family | Key, after the family's byte | Value, after the version's byte (1) |
//! | --- | --- | --- |
//! | 1 virtual host | name | table of metadata |
//! | 2 exchange | virtual host (name), exchange (bytes to the end) | type (name), flags, table of arguments |
//! | 3 queue | virtual host (name), queue (bytes to the end) | queue id (u32), flags, table of arguments |
//! | 4 binding | virtual host (name), number (u64) | source (name), kind of destination (0 queue, 1 exchange), destination (name), routing key (name), table of arguments |
//! | 16 to 255 | whatever the server chooses | likewise, without a version's byte |
//!
//! Flags: 1 durable, 2 auto-delete, 4 internal. So all of one family, or all of one family and virtual host, share a prefix.

use std::fmt;
use std::sync::Arc;

use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString, VhostName};
use bytes::Bytes;

use super::{Definition, ExchangeDefinition, Family, QueueDefinition};
use crate::binding::{Binding, BindingId, Destination};
use crate::exchange::ExchangeType;
use crate::queue_arguments::QueueArguments;
use crate::store::QueueId;

const VERSION: u8 = 1;
const DURABLE: u8 = 1;
const AUTO_DELETE: u8 = 2;
const INTERNAL: u8 = 4;

/// A definition that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the definition with the key {key} is damaged: {reason}")]
pub struct DamagedDefinition {
    /// The key, printable.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

impl Definition {
    /// The key.
    pub fn key(&self) -> Bytes {
        let key = match self {
            Self::Vhost { vhost, .. } => Family::Vhost.key(vhost),
            Self::Exchange { vhost, exchange } => {
                let mut key = Family::Exchange.key(vhost);
                key.extend_from_slice(exchange.name.as_bytes());
                key
            }
            Self::Queue { vhost, queue } => {
                let mut key = Family::Queue.key(vhost);
                key.extend_from_slice(queue.name.as_bytes());
                key
            }
            Self::Binding { vhost, id, .. } => {
                let mut key = Family::Binding.key(vhost);
                key.extend_from_slice(&id.0.to_be_bytes());
                key
            }
            Self::Opaque { key, .. } => return key.clone(),
        };
        key.into()
    }

    /// The value.
    pub fn value(&self) -> Bytes {
        let mut value = vec![VERSION];
        match self {
            Self::Vhost { metadata, .. } => metadata.encode(&mut value),
            Self::Exchange { exchange, .. } => {
                put_name(exchange.exchange_type.name(), &mut value);
                value.push(flags(
                    exchange.durable,
                    exchange.auto_delete,
                    exchange.internal,
                ));
                exchange.arguments.encode(&mut value);
            }
            Self::Queue { queue, .. } => {
                value.extend_from_slice(&queue.id.0.to_be_bytes());
                value.push(flags(queue.durable, queue.auto_delete, false));
                queue.arguments.encode(&mut value);
            }
            Self::Binding { binding, .. } => {
                put_name(&binding.source, &mut value);
                value.push(u8::from(matches!(
                    binding.destination,
                    Destination::Exchange(_)
                )));
                put_name(binding.destination.name(), &mut value);
                put_name(&binding.routing_key, &mut value);
                binding.arguments.table().encode(&mut value);
            }
            Self::Opaque { value, .. } => return value.clone(),
        }
        value.into()
    }

    /// Reads what [`Definition::key`] and [`Definition::value`] wrote, now or in an earlier version.
    ///
    /// # Errors
    /// The bytes are damaged, or were written by a later version.
    pub fn decode(key: &Bytes, value: &Bytes) -> Result<Self, DamagedDefinition> {
        Self::read(key, value).map_err(|Damaged(reason)| DamagedDefinition {
            key: key.escape_ascii().to_string(),
            reason,
        })
    }

    fn read(key: &Bytes, value: &Bytes) -> Result<Self, Damaged> {
        let mut key_left = Reader(key);
        let family = key_left.byte()?;
        if family >= Family::OPAQUE_MIN {
            return Ok(Self::Opaque {
                key: key.clone(),
                value: value.clone(),
            });
        }
        let vhost = VhostName::from(key_left.name()?);
        let mut value_left = Reader(value);
        match value_left.byte()? {
            VERSION => {}
            other => {
                return Err(Damaged(format!(
                    "its version is {other}, and this program knows {VERSION}"
                )));
            }
        }
        match family {
            family if family == Family::Vhost as u8 => {
                key_left.finish()?;
                Ok(Self::Vhost {
                    vhost,
                    metadata: value_left.table()?,
                })
            }
            family if family == Family::Exchange as u8 => {
                let exchange = Arc::new(read_exchange(key_left, value_left)?);
                Ok(Self::Exchange { vhost, exchange })
            }
            family if family == Family::Queue as u8 => {
                let queue = Arc::new(read_queue(&vhost, key_left, value_left)?);
                Ok(Self::Queue { vhost, queue })
            }
            family if family == Family::Binding as u8 => {
                let id = BindingId(u64::from_be_bytes(key_left.array()?));
                key_left.finish()?;
                let binding = Arc::new(read_binding(value_left)?);
                Ok(Self::Binding { vhost, id, binding })
            }
            other => Err(Damaged(format!("there is no family {other}"))),
        }
    }
}

fn read_exchange(key: Reader<'_>, mut value: Reader<'_>) -> Result<ExchangeDefinition, Damaged> {
    let name = ExchangeName::from(key.rest()?);
    let type_name = value.name()?;
    let exchange_type = ExchangeType::from_name(&type_name)
        .ok_or_else(|| Damaged(format!("there is no exchange type '{type_name}'")))?;
    let flags = value.byte()?;
    Ok(ExchangeDefinition {
        name,
        exchange_type,
        durable: flags & DURABLE != 0,
        auto_delete: flags & AUTO_DELETE != 0,
        internal: flags & INTERNAL != 0,
        arguments: value.table()?,
    })
}

fn read_queue(
    vhost: &VhostName,
    key: Reader<'_>,
    mut value: Reader<'_>,
) -> Result<QueueDefinition, Damaged> {
    let name = QueueName::from(key.rest()?);
    let id = QueueId(u32::from_be_bytes(value.array()?));
    let flags = value.byte()?;
    let arguments = value.table()?;
    let parsed = QueueArguments::parse(&arguments, &format!("queue '{name}' in vhost '{vhost}'"))
        .map_err(|exception| Damaged(exception.text))?;
    Ok(QueueDefinition {
        id,
        name,
        durable: flags & DURABLE != 0,
        auto_delete: flags & AUTO_DELETE != 0,
        owner: None,
        arguments,
        parsed,
    })
}

fn read_binding(mut value: Reader<'_>) -> Result<Binding, Damaged> {
    let source = ExchangeName::from(value.name()?);
    let kind = value.byte()?;
    let name = value.name()?;
    let destination = match kind {
        0 => Destination::Queue(name.into()),
        1 => Destination::Exchange(name.into()),
        other => return Err(Damaged(format!("there is no kind of destination {other}"))),
    };
    let routing_key = RoutingKey::from(value.name()?);
    Ok(Binding {
        source,
        destination,
        routing_key,
        arguments: value.table()?.into(),
    })
}

fn flags(durable: bool, auto_delete: bool, internal: bool) -> u8 {
    let flags = [
        (durable, DURABLE),
        (auto_delete, AUTO_DELETE),
        (internal, INTERNAL),
    ];
    flags
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(0, |flags, (_, flag)| flags | flag)
}

/// A name has at most 255 bytes by its type; one that had more would be cut, never written with a wrong length.
pub(super) fn put_name(name: &str, out: &mut Vec<u8>) {
    let name = ShortString::cut(name);
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
}

struct Damaged(String);

impl<E: fmt::Display> From<E> for Damaged {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let (taken, left) = self.0.split_at_checked(length).ok_or("it is cut short")?;
        self.0 = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        Ok(self.take(N)?.try_into()?)
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        self.array().map(u8::from_be_bytes)
    }

    fn name(&mut self) -> Result<ShortString, Damaged> {
        let length = self.byte()?;
        Ok(ShortString::new(std::str::from_utf8(
            self.take(length.into())?,
        )?)?)
    }

    fn rest(self) -> Result<ShortString, Damaged> {
        Ok(ShortString::new(std::str::from_utf8(self.0)?)?)
    }

    fn table(self) -> Result<FieldTable, Damaged> {
        Ok(FieldTable::decode(self.0)?)
    }

    fn finish(self) -> Result<(), Damaged> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Damaged("it is too long".to_owned()))
        }
    }
}
