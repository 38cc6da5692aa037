//! What listings show of a connection and its channels, and the log's names for them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use amphora_protocol::connection::{ClientProperties, Tuned};
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ChannelNumber, VhostName};
use parking_lot::Mutex;
use tracing::field;

use super::announce::Fields;
use super::counters::{Figure, Octets};
use super::peer::Peer;
use super::vhost::VirtualHost;
use crate::auth::Identity;
use crate::logging::spans;
use crate::management::snapshot::{ConnectionRef, TlsSnapshot};

#[derive(Debug)]
pub(super) struct ConnectionInfo {
    /// RabbitMQ's form: `peer:port -> host:port`.
    pub(super) name: Arc<str>,
    pub(super) peer: Arc<Peer>,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) tls: Option<TlsSnapshot>,
    pub(super) connected_at: SystemTime,
    pub(super) received: Octets,
    /// An alarm is on, and nothing is read.
    pub(super) blocked: AtomicBool,
    /// Reading pauses until queues or the disk have caught up.
    pub(super) slowed: AtomicBool,
    /// Somebody has said goodbye.
    pub(super) closing: AtomicBool,
    /// Exceptions so far.
    refusals: Figure,
    details: Mutex<Details>,
}

/// What is known once the client has logged in, and what comes and goes.
#[derive(Clone, Debug)]
pub(super) struct Details {
    pub(super) user: Arc<str>,
    pub(super) mechanism: &'static str,
    pub(super) vhost: VhostName,
    pub(super) properties: Arc<FieldTable>,
    pub(super) tuned: Option<Tuned>,
    pub(super) channels: BTreeMap<u16, Arc<ChannelInfo>>,
}

/// A client that errs in a loop must not fill the log: so many of a connection's exceptions are told at level info.
const REFUSALS_TOLD: u64 = 10;

/// By which a client may have logged in.
const MECHANISMS: [&str; 3] = ["PLAIN", "AMQPLAIN", "EXTERNAL"];

/// What a listing shows of a channel.
#[derive(Debug, Default)]
pub(super) struct ChannelInfo {
    pub(super) confirm: AtomicBool,
    pub(super) transactional: AtomicBool,
    pub(super) prefetch: Figure,
    pub(super) window: Figure,
    pub(super) consumers: Figure,
    pub(super) published: Figure,
    pub(super) returned: Figure,
    pub(super) dropped: Figure,
    /// Publishes in the open transaction.
    pub(super) uncommitted: Figure,
    /// Acknowledgements in the open transaction.
    pub(super) uncommitted_acks: Figure,
}

impl ChannelInfo {
    pub(super) fn has_window(&self) -> bool {
        self.window.get() > 0
    }
}

impl ConnectionInfo {
    pub(super) fn new(
        peer: Arc<Peer>,
        client: SocketAddr,
        server: SocketAddr,
        tls: Option<TlsSnapshot>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: format!("{client} -> {server}").into(),
            peer,
            client,
            server,
            tls,
            connected_at: SystemTime::now(),
            received: Octets::default(),
            blocked: AtomicBool::new(false),
            slowed: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            refusals: Figure::default(),
            details: Mutex::new(Details {
                user: "".into(),
                mechanism: "",
                vhost: VhostName::default(),
                properties: Arc::default(),
                tuned: None,
                channels: BTreeMap::new(),
            }),
        })
    }

    pub(super) fn logged_in(
        &self,
        identity: &Identity,
        mechanism: &str,
        client: &ClientProperties,
    ) {
        let mut details = self.details.lock();
        details.user = Arc::clone(identity.user());
        let known = MECHANISMS.into_iter().find(|known| *known == mechanism);
        details.mechanism = known.unwrap_or_default();
        details.properties = Arc::clone(&client.table);
    }

    pub(super) fn entered(&self, vhost: &VirtualHost, tuned: &Tuned) {
        let mut details = self.details.lock();
        details.vhost = vhost.name.clone();
        details.tuned = Some(*tuned);
    }

    /// Tells the log of an exception.
    pub(super) fn refused(&self, channel: ChannelNumber, exception: &Exception) {
        self.refusals.add(1);
        let (connection, channel) = (&self.name, channel.0);
        if self.refusals.get() <= REFUSALS_TOLD {
            let last = (self.refusals.get() == REFUSALS_TOLD)
                .then_some("further ones of this connection only at level debug");
            tracing::info!(%connection, channel, %exception, last, "refused");
        } else {
            tracing::debug!(%connection, channel, %exception, "refused");
        }
    }

    /// The span of the connection, from now to its end.
    pub(super) fn span(&self) -> tracing::Span {
        tracing::info_span!(
            target: spans::TARGET,
            "connection",
            otel.kind = "server",
            connection = %self.name,
            user = field::Empty,
            vhost = field::Empty,
            bytes.received = field::Empty,
        )
    }

    /// Adds to the span of the connection what is known at its end.
    pub(super) fn tell(&self, span: &tracing::Span) {
        let details = self.details.lock();
        span.record("user", &*details.user);
        span.record("vhost", details.vhost.as_str());
        span.record("bytes.received", self.received.bytes.get());
    }

    /// Empty before the login.
    pub(super) fn user(&self) -> Arc<str> {
        Arc::clone(&self.details.lock().user)
    }

    /// Empty before connection.open.
    pub(super) fn vhost(&self) -> VhostName {
        self.details.lock().vhost.clone()
    }

    /// What events say of it.
    pub(super) fn fields(&self, node: &str) -> Fields {
        let details = self.details.lock();
        let since = self.connected_at.duration_since(UNIX_EPOCH);
        let connected_at = since.unwrap_or_default().as_millis();
        let connected_at = u64::try_from(connected_at).unwrap_or(u64::MAX);
        let mut fields = self.fields_of_peer().text("node", node);
        if let Some(tuned) = &details.tuned {
            fields = fields
                .number("timeout", tuned.heartbeat.as_secs())
                .number("frame_max", tuned.frame_max.into())
                .number("channel_max", tuned.channel_max.into());
        }
        fields
            .text("pid", &format!("<0.{}.0>", self.peer.id))
            .number("connected_at", connected_at)
            .text("name", &self.name)
            .text("vhost", &details.vhost)
            .text("user", &details.user)
            .text("user_who_performed_action", &details.user)
            .text("auth_mechanism", details.mechanism)
            .number("port", self.server.port().into())
            .table("client_properties", FieldTable::clone(&details.properties))
    }

    /// What events say of who connects, and how.
    pub(super) fn fields_of_peer(&self) -> Fields {
        let mut fields = Fields::default()
            .text("protocol", "{0,9,1}")
            .text("host", &self.server.ip().to_string())
            .text("peer_host", &self.client.ip().to_string())
            .number("peer_port", self.client.port().into())
            .flag("ssl", self.tls.is_some());
        let Some(tls) = &self.tls else {
            return fields;
        };
        fields = fields
            .text("ssl_protocol", &tls.protocol)
            .text("ssl_key_exchange", &tls.key_exchange)
            .text("ssl_cipher", &tls.cipher);
        match &tls.peer {
            None => fields,
            Some(peer) => fields
                .text("peer_cert_subject", &peer.subject)
                .text("peer_cert_issuer", &peer.issuer)
                .text("peer_cert_validity", &peer.validity),
        }
    }

    /// As others refer to it.
    pub(super) fn reference(&self) -> ConnectionRef {
        ConnectionRef {
            name: Arc::clone(&self.name),
            peer: self.client,
        }
    }

    pub(super) fn details(&self) -> Details {
        self.details.lock().clone()
    }

    pub(super) fn open_channel(&self, number: ChannelNumber) -> Arc<ChannelInfo> {
        let info = Arc::<ChannelInfo>::default();
        self.details
            .lock()
            .channels
            .insert(number.0, Arc::clone(&info));
        info
    }

    pub(super) fn close_channel(&self, number: ChannelNumber) {
        self.details.lock().channels.remove(&number.0);
    }
}
