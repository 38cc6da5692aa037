//! What listings show of a connection and its channels, and the log's names for them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::SystemTime;

use amphora_protocol::connection::{ClientProperties, Tuned};
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ChannelNumber, VhostName};
use parking_lot::Mutex;

use super::peer::Peer;
use super::vhost::VirtualHost;
use crate::auth::Identity;

#[derive(Debug)]
pub(super) struct ConnectionInfo {
    /// RabbitMQ's form: `peer:port -> host:port`.
    pub(super) name: String,
    pub(super) peer: Arc<Peer>,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) tls: bool,
    pub(super) connected_at: SystemTime,
    pub(super) received_bytes: AtomicU64,
    pub(super) blocked: AtomicBool,
    details: Mutex<Details>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Details {
    pub(super) user: String,
    pub(super) mechanism: String,
    pub(super) vhost: VhostName,
    pub(super) properties: FieldTable,
    pub(super) connection_name: Option<String>,
    pub(super) tuned: Option<Tuned>,
    pub(super) channels: BTreeMap<u16, Arc<ChannelInfo>>,
}

/// What a listing shows of a channel.
#[derive(Debug, Default)]
pub(super) struct ChannelInfo {
    pub(super) prefetch: AtomicU32,
    pub(super) window: AtomicU32,
    pub(super) confirm: AtomicBool,
    pub(super) transactional: AtomicBool,
    pub(super) consumers: AtomicU32,
    pub(super) published: AtomicU64,
}

impl ChannelInfo {
    pub(super) fn has_window(&self) -> bool {
        self.window.load(Ordering::Relaxed) > 0
    }
}

impl ConnectionInfo {
    pub(super) fn new(
        peer: Arc<Peer>,
        client: SocketAddr,
        server: SocketAddr,
        tls: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: format!("{client} -> {server}"),
            peer,
            client,
            server,
            tls,
            connected_at: SystemTime::now(),
            received_bytes: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            details: Mutex::default(),
        })
    }

    pub(super) fn logged_in(
        &self,
        identity: &Identity,
        mechanism: &str,
        client: &ClientProperties,
    ) {
        let mut details = self.details.lock();
        identity.user().as_ref().clone_into(&mut details.user);
        mechanism.clone_into(&mut details.mechanism);
        details.properties = client.table.clone();
        details.connection_name.clone_from(&client.connection_name);
    }

    pub(super) fn entered(&self, vhost: &VirtualHost, tuned: &Tuned) {
        let mut details = self.details.lock();
        details.vhost = vhost.name.clone();
        details.tuned = Some(*tuned);
    }

    pub(super) fn user(&self) -> String {
        self.details.lock().user.clone()
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
