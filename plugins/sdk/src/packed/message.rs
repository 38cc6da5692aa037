//! One message of a batch.

use super::cursor::Cursor;
use super::properties::PropertiesRef;
use super::value::{Fields, ValueRef};
use crate::needs::{BodyNeeds, HeaderNeeds, Needs};

/// A message that is to be routed, as the plugin asked to see it: what its [`Needs`] do not name is empty or zero. A debug build
/// panics where a part is read that was not asked for, so that a test finds what was forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub(super) needs: &'a Needs,
    pub(super) vhost: &'a [u8],
    pub(super) exchange: &'a [u8],
    pub(super) routing_key: &'a [u8],
    pub(super) user: &'a [u8],
    pub(super) time_ms: u64,
    pub(super) properties: &'a [u8],
    pub(super) headers: Headers<'a>,
    pub(super) body: &'a [u8],
    pub(super) body_size: u64,
}

impl<'a> Message<'a> {
    /// The name of the virtual host.
    #[inline]
    pub fn vhost(&self) -> &'a str {
        debug_assert!(self.needs.vhost, "`Needs::vhost` was not asked for");
        text("vhost", self.vhost)
    }

    /// The name of the exchange that the message was published to.
    #[inline]
    pub fn exchange(&self) -> &'a str {
        debug_assert!(self.needs.exchange, "`Needs::exchange` was not asked for");
        text("exchange", self.exchange)
    }

    /// The routing key.
    #[inline]
    pub fn routing_key(&self) -> &'a str {
        debug_assert!(
            self.needs.routing_key,
            "`Needs::routing_key` was not asked for"
        );
        text("routing-key", self.routing_key)
    }

    /// The bytes of the routing key, which are UTF-8: cheaper than the text for who only compares them or looks them up.
    #[inline]
    pub fn routing_key_bytes(&self) -> &'a [u8] {
        debug_assert!(
            self.needs.routing_key,
            "`Needs::routing_key` was not asked for"
        );
        self.routing_key
    }

    /// The user whose connection published the message, whatever the property `user-id` says.
    #[inline]
    pub fn user(&self) -> &'a str {
        debug_assert!(self.needs.user, "`Needs::user` was not asked for");
        text("user", self.user)
    }

    /// When the broker received the message: milliseconds since 1970-01-01T00:00Z.
    #[inline]
    pub fn time_ms(&self) -> u64 {
        debug_assert!(self.needs.time, "`Needs::time` was not asked for");
        self.time_ms
    }

    /// The properties, which are decoded by this call. Properties that the publisher damaged are seen as none.
    pub fn properties(&self) -> PropertiesRef<'a> {
        debug_assert!(
            self.needs.properties,
            "`Needs::properties` was not asked for"
        );
        PropertiesRef::read(self.properties).unwrap_or_default()
    }

    /// The first header with this name. The name must be among those that were asked for.
    #[inline]
    pub fn header(&self, name: &str) -> Option<ValueRef<'a>> {
        self.headers().get(name)
    }

    /// All headers that were asked for. If all are, a table that the publisher damaged is seen as empty.
    #[inline]
    pub fn headers(&self) -> Headers<'a> {
        debug_assert!(
            self.needs.headers != HeaderNeeds::None,
            "no headers were asked for"
        );
        self.headers
    }

    /// The body, or as much of its beginning as was asked for.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        debug_assert!(
            self.needs.body != BodyNeeds::None,
            "`Needs::body` was not asked for"
        );
        self.body
    }

    /// The length of the whole body.
    #[inline]
    pub fn body_size(&self) -> u64 {
        debug_assert!(
            self.needs.body != BodyNeeds::None,
            "`Needs::body` or `body_prefix` was not asked for"
        );
        self.body_size
    }
}

/// The broker lets no other names and keys pass.
#[inline]
fn text<'a>(part: &str, bytes: &'a [u8]) -> &'a str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => panic!("{part}: {error}"),
    }
}

/// The headers of a message that were asked for.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(pub(super) Kind<'a>);

/// How the headers lie there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'a> {
    None,
    /// A value for each name; an empty one for a header that the message does not have.
    Named(&'a [String], &'a [&'a [u8]]),
    All(Fields<'a>),
}

impl<'a> Headers<'a> {
    /// The first header with this name.
    #[inline]
    pub fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        match self.0 {
            Kind::None => None,
            Kind::Named(names, values) => {
                let index = names.iter().position(|known| known == name);
                debug_assert!(index.is_some(), "the header '{name}' was not asked for");
                value(values.get(index?)?)
            }
            Kind::All(fields) => fields.get(name),
        }
    }

    /// The first header with the name that the needs have at this index, if they name headers: 0 is the name that was given to
    /// [`Needs::header`] or [`Needs::headers`] first. None also for an index beyond the names. Looks at no names, which is worth it
    /// where each message is asked for the same ones.
    #[inline]
    pub fn nth(&self, index: usize) -> Option<ValueRef<'a>> {
        match self.0 {
            Kind::Named(_, values) => value(values.get(index)?),
            Kind::None | Kind::All(_) => {
                debug_assert!(
                    false,
                    "`Needs::header` or `headers` was not asked for, and only headers with names have a place"
                );
                None
            }
        }
    }

    /// Names and values. If all headers were asked for, a name can be there several times.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + use<'a> {
        let (wanted, values, fields) = match self.0 {
            Kind::None => ([].as_slice(), [].as_slice(), Fields::new(&[])),
            Kind::Named(names, values) => (names, values, Fields::new(&[])),
            Kind::All(fields) => ([].as_slice(), [].as_slice(), fields),
        };
        let pairs = wanted.iter().zip(values);
        let named = pairs.filter_map(|(name, bytes)| Some((name.as_str(), value(bytes)?)));
        named.chain(fields)
    }
}

/// A value that was checked, if there is one.
#[inline]
fn value(bytes: &[u8]) -> Option<ValueRef<'_>> {
    ValueRef::read(&mut Cursor::new(bytes)).ok()
}
