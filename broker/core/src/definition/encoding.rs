//! Definitions as bytes.
//!
//! # Layout
//! Numbers are big endian; a *name* is its length in one byte and that many bytes of UTF-8; a *table* is a field table as
//! on the wire, with its length. Families and versions are never given a second meaning.
//!
//! | Family | Key, after the family's byte | Value, after the version's byte (1; of exchanges and queues 2) |
//! | --- | --- | --- |
//! | 1 virtual host | name | table of metadata |
//! | 2 exchange | virtual host (name), exchange (bytes to the end) | type (name), flags, who declared it (name; not in version 1), table of arguments |
//! | 3 queue | virtual host (name), queue (bytes to the end) | queue id (u32), flags, who declared it (name; not in version 1), table of arguments |
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
/// Of exchanges and queues, which say who declared them.
const DECLARED_VERSION: u8 = 2;
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
        let version = match self {
            Self::Exchange { .. } | Self::Queue { .. } => DECLARED_VERSION,
            _ => VERSION,
        };
        let mut value = vec![version];
        match self {
            Self::Vhost { metadata, .. } => metadata.encode(&mut value),
            Self::Exchange { exchange, .. } => {
                put_name(exchange.exchange_type.name(), &mut value);
                value.push(flags(
                    exchange.durable,
                    exchange.auto_delete,
                    exchange.internal,
                ));
                put_name(&exchange.declared_by, &mut value);
                exchange.arguments.encode(&mut value);
            }
            Self::Queue { queue, .. } => {
                value.extend_from_slice(&queue.id.0.to_be_bytes());
                value.push(flags(queue.durable, queue.auto_delete, false));
                put_name(&queue.declared_by, &mut value);
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
        let version = value_left.byte()?;
        let check = |known: u8| {
            if (VERSION..=known).contains(&version) {
                return Ok(());
            }
            let text = format!("its version is {version}, and this program knows {known}");
            Err(Damaged(text))
        };
        match family {
            family if family == Family::Vhost as u8 => {
                check(VERSION)?;
                key_left.finish()?;
                Ok(Self::Vhost {
                    vhost,
                    metadata: value_left.table()?,
                })
            }
            family if family == Family::Exchange as u8 => {
                check(DECLARED_VERSION)?;
                let exchange = Arc::new(read_exchange(version, key_left, value_left)?);
                Ok(Self::Exchange { vhost, exchange })
            }
            family if family == Family::Queue as u8 => {
                check(DECLARED_VERSION)?;
                let queue = Arc::new(read_queue(version, &vhost, key_left, value_left)?);
                Ok(Self::Queue { vhost, queue })
            }
            family if family == Family::Binding as u8 => {
                check(VERSION)?;
                let id = BindingId(u64::from_be_bytes(key_left.array()?));
                key_left.finish()?;
                let binding = Arc::new(read_binding(value_left)?);
                Ok(Self::Binding { vhost, id, binding })
            }
            other => Err(Damaged(format!("there is no family {other}"))),
        }
    }
}

fn read_exchange(
    version: u8,
    key: Reader<'_>,
    mut value: Reader<'_>,
) -> Result<ExchangeDefinition, Damaged> {
    let name = ExchangeName::from(key.rest()?);
    let type_name = value.name()?;
    let exchange_type = ExchangeType::from_name(&type_name)
        .ok_or_else(|| Damaged(format!("there is no exchange type '{type_name}'")))?;
    let flags = value.byte()?;
    let declared_by = read_declared_by(version, &mut value)?;
    Ok(ExchangeDefinition {
        name,
        exchange_type,
        durable: flags & DURABLE != 0,
        auto_delete: flags & AUTO_DELETE != 0,
        internal: flags & INTERNAL != 0,
        arguments: value.table()?,
        declared_by,
    })
}

/// Empty where an earlier version did not note it.
fn read_declared_by(version: u8, value: &mut Reader<'_>) -> Result<Box<str>, Damaged> {
    if version < DECLARED_VERSION {
        return Ok(Box::default());
    }
    Ok(value.name()?.as_str().into())
}

fn read_queue(
    version: u8,
    vhost: &VhostName,
    key: Reader<'_>,
    mut value: Reader<'_>,
) -> Result<QueueDefinition, Damaged> {
    let name = QueueName::from(key.rest()?);
    let id = QueueId(u32::from_be_bytes(value.array()?));
    let flags = value.byte()?;
    let declared_by = read_declared_by(version, &mut value)?;
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
        declared_by,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::{
        ExchangeName, QueueName, RoutingKey, ShortString, VhostName,
    };
    use arbtest::arbitrary::{Result, Unstructured};
    use bytes::Bytes;
    use expect_test::expect;

    use super::{Definition, ExchangeDefinition, Family, QueueDefinition};
    use crate::binding::{Binding, BindingId, Destination};
    use crate::exchange::ExchangeType;
    use crate::queue_arguments::QueueArguments;
    use crate::store::QueueId;

    fn name(u: &mut Unstructured<'_>) -> Result<ShortString> {
        Ok(ShortString::cut(u.arbitrary()?))
    }

    fn arguments(u: &mut Unstructured<'_>) -> Result<FieldTable> {
        let mut table = FieldTable::new();
        for _ in 0..u.int_in_range(0..=2)? {
            let value = if u.arbitrary()? {
                FieldValue::I32(u.arbitrary()?)
            } else {
                u.arbitrary::<&str>()?.into()
            };
            table.insert(ShortString::cut(&format!("a{}", name(u)?)), value);
        }
        Ok(table)
    }

    fn definition(u: &mut Unstructured<'_>) -> Result<Definition> {
        let vhost = VhostName::from(name(u)?);
        Ok(match u.int_in_range(0..=4)? {
            0 => Definition::Vhost {
                vhost,
                metadata: arguments(u)?,
            },
            1 => {
                let exchange = ExchangeDefinition {
                    name: ExchangeName::from(name(u)?),
                    exchange_type: u.choose(&ExchangeType::BUILT_IN)?.clone(),
                    durable: u.arbitrary()?,
                    auto_delete: u.arbitrary()?,
                    internal: u.arbitrary()?,
                    arguments: arguments(u)?,
                    declared_by: (&*name(u)?).into(),
                };
                Definition::Exchange {
                    vhost,
                    exchange: Arc::new(exchange),
                }
            }
            2 => {
                let queue = QueueDefinition {
                    id: QueueId(u.arbitrary()?),
                    name: QueueName::from(name(u)?),
                    durable: u.arbitrary()?,
                    auto_delete: u.arbitrary()?,
                    owner: None,
                    arguments: arguments(u)?,
                    parsed: QueueArguments::default(),
                    declared_by: (&*name(u)?).into(),
                };
                Definition::Queue {
                    vhost,
                    queue: Arc::new(queue),
                }
            }
            3 => {
                let destination = name(u)?;
                let binding = Binding {
                    source: ExchangeName::from(name(u)?),
                    destination: if u.arbitrary()? {
                        Destination::Queue(destination.into())
                    } else {
                        Destination::Exchange(destination.into())
                    },
                    routing_key: RoutingKey::from(name(u)?),
                    arguments: arguments(u)?.into(),
                };
                Definition::Binding {
                    vhost,
                    id: BindingId(u.arbitrary()?),
                    binding: Arc::new(binding),
                }
            }
            _ => {
                let mut key = vec![u.int_in_range(Family::OPAQUE_MIN..=u8::MAX)?];
                key.extend_from_slice(u.arbitrary()?);
                let value = Bytes::copy_from_slice(u.arbitrary()?);
                Definition::Opaque {
                    key: key.into(),
                    value,
                }
            }
        })
    }

    #[test]
    fn what_is_written_is_read() {
        arbtest::arbtest(|u| {
            let definition = definition(u)?;
            assert_eq!(
                Definition::decode(&definition.key(), &definition.value()),
                Ok(definition)
            );
            Ok(())
        });
    }

    #[test]
    fn every_cut_is_an_error() {
        arbtest::arbtest(|u| {
            let definition = definition(u)?;
            let (key, value) = (definition.key(), definition.value());
            if !matches!(definition, Definition::Opaque { .. }) {
                for end in 0..value.len() {
                    assert!(
                        Definition::decode(&key, &value.slice(..end)).is_err(),
                        "{definition:?} cut to {end}"
                    );
                }
            }
            Ok(())
        });
    }

    /// Whatever is there instead: an error that names the key, or another definition, but nothing worse.
    #[test]
    fn damage_is_survived() {
        arbtest::arbtest(|u| {
            let definition = definition(u)?;
            let damage = |u: &mut Unstructured<'_>, bytes: Bytes| -> Result<Bytes> {
                let mut bytes = bytes.to_vec();
                for _ in 0..u.int_in_range(0..=3)? {
                    if !bytes.is_empty() {
                        let place = u.choose_index(bytes.len())?;
                        bytes[place] = u.arbitrary()?;
                    }
                }
                bytes.truncate(u.int_in_range(0..=bytes.len())?);
                Ok(bytes.into())
            };
            let (key, value) = (damage(u, definition.key())?, damage(u, definition.value())?);
            if let Err(error) = Definition::decode(&key, &value) {
                assert_eq!(error.key, key.escape_ascii().to_string());
            }
            Ok(())
        });
    }

    fn sample(family: Family) -> Definition {
        let vhost = VhostName::new("/").expect("short");
        let table: FieldTable = [(ShortString::cut("a"), FieldValue::I32(1))]
            .into_iter()
            .collect();
        match family {
            Family::Vhost => Definition::Vhost {
                vhost,
                metadata: table,
            },
            Family::Exchange => Definition::Exchange {
                vhost,
                exchange: Arc::new(ExchangeDefinition {
                    name: ExchangeName::new("x").expect("short"),
                    exchange_type: ExchangeType::Topic,
                    durable: true,
                    auto_delete: false,
                    internal: true,
                    arguments: table,
                    declared_by: "shop".into(),
                }),
            },
            Family::Queue => Definition::Queue {
                vhost,
                queue: Arc::new(QueueDefinition {
                    id: QueueId(7),
                    name: QueueName::new("q").expect("short"),
                    durable: true,
                    auto_delete: true,
                    owner: None,
                    arguments: table,
                    parsed: QueueArguments::default(),
                    declared_by: "shop".into(),
                }),
            },
            Family::Binding => Definition::Binding {
                vhost,
                id: BindingId(258),
                binding: Arc::new(Binding {
                    source: ExchangeName::new("x").expect("short"),
                    destination: Destination::Exchange(ExchangeName::new("y").expect("short")),
                    routing_key: RoutingKey::new("k").expect("short"),
                    arguments: table.into(),
                }),
            },
        }
    }

    /// These bytes are in users' stores: a change here needs a new version.
    #[test]
    fn the_layout_stays() {
        let lines = [
            Family::Vhost,
            Family::Exchange,
            Family::Queue,
            Family::Binding,
        ]
        .map(|family| {
            let definition = sample(family);
            let (key, value) = (definition.key(), definition.value());
            assert!(key.starts_with(&family.prefix(&VhostName::new("/").expect("short"))));
            format!("{} = {}\n", key.escape_ascii(), value.escape_ascii())
        });
        expect![[r"
            \x01\x01/ = \x01\x00\x00\x00\x07\x01aI\x00\x00\x00\x01
            \x02\x01/x = \x02\x05topic\x05\x04shop\x00\x00\x00\x07\x01aI\x00\x00\x00\x01
            \x03\x01/q = \x02\x00\x00\x00\x07\x03\x04shop\x00\x00\x00\x07\x01aI\x00\x00\x00\x01
            \x04\x01/\x00\x00\x00\x00\x00\x00\x01\x02 = \x01\x01x\x01\x01y\x01k\x00\x00\x00\x07\x01aI\x00\x00\x00\x01
        "]].assert_eq(&lines.concat());
    }

    /// Stores of before it was noted who declares what.
    #[test]
    fn the_first_version_is_read() {
        let exchange = Bytes::from_static(b"\x01\x05topic\x05\0\0\0\x07\x01aI\0\0\0\x01");
        let queue = Bytes::from_static(b"\x01\0\0\0\x07\x03\0\0\0\x07\x01aI\0\0\0\x01");
        for (family, value) in [(Family::Exchange, exchange), (Family::Queue, queue)] {
            let mut expected = sample(family);
            match &mut expected {
                Definition::Exchange { exchange, .. } => {
                    Arc::make_mut(exchange).declared_by = Box::default();
                }
                Definition::Queue { queue, .. } => {
                    Arc::make_mut(queue).declared_by = Box::default();
                }
                _ => {}
            }
            assert_eq!(Definition::decode(&expected.key(), &value), Ok(expected));
        }
    }

    #[test]
    fn an_error_names_the_key() {
        let definition = sample(Family::Exchange);
        let later = Bytes::from_static(b"\x03whatever");
        let error = Definition::decode(&definition.key(), &later).expect_err("a later version");
        expect![[r"the definition with the key \x02\x01/x is damaged: its version is 3, and this program knows 2"]].assert_eq(&error.to_string());
        let value = definition.value();
        let error = Definition::decode(&Bytes::from_static(b"\x05\x01/x"), &value)
            .expect_err("no such family");
        expect![[r"the definition with the key \x05\x01/x is damaged: there is no family 5"]]
            .assert_eq(&error.to_string());
        let unknown_type = Bytes::from_static(b"\x01\x01z\x01\0\0\0\0");
        let error = Definition::decode(&definition.key(), &unknown_type).expect_err("no such type");
        expect![[
            r"the definition with the key \x02\x01/x is damaged: there is no exchange type 'z'"
        ]]
        .assert_eq(&error.to_string());
    }
}
