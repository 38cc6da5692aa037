//! Accepts clients.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use amphora_protocol::connection::Offer;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::ShortString;
use bytes::Bytes;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::broker::Broker;
use super::connection::{has_hung_up, serve};
use super::info::ConnectionInfo;
use super::peer::Peer;
use super::reader::Reader;
use super::writer::Writer;
use crate::auth::{PeerInfo, Users};
use crate::tls::Acceptor;

/// After an accept that failed because of the machine, such as too many open files, the next one waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Files that are kept for the store and for the management API when clients take all others.
const FILES_RESERVE: u64 = 64;

/// Whether a client's socket is not among the last files that may be open. The system gives out the lowest number that is free.
fn leaves_reserve(socket: &TcpStream) -> bool {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u64::try_from(socket.as_raw_fd())
        .is_ok_and(|number| number < limit.saturating_sub(FILES_RESERVE))
}

/// Why a client was not let in.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// It is no attack and no mistake of the broker's: probes of load balancers do this all the time.
    #[error("the client hung up in the TLS handshake")]
    HungUp,
    #[error("the TLS handshake took longer than handshake_timeout")]
    Slow,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Accepts until the task is aborted.
pub(super) async fn accept(broker: Arc<Broker>, listener: TcpListener, tls: Option<Acceptor>) {
    // Behind a wildcard, each socket has an address of its own.
    let address = listener.local_addr().ok();
    let address = address.filter(|address| !address.ip().is_unspecified());
    loop {
        match listener.accept().await {
            Ok((socket, _)) if !leaves_reserve(&socket) => {
                tracing::warn!("connection refused: too many files are open");
            }
            Ok((socket, client)) => {
                let (broker, tls) = (Arc::clone(&broker), tls.clone());
                tokio::spawn(async move {
                    match welcome(broker, socket, client, address, tls).await {
                        Ok(()) => {}
                        Err(reason @ Refused::HungUp) => {
                            tracing::info!(%client, %reason, "connection dropped");
                        }
                        Err(error) => tracing::warn!(%client, %error, "connection refused"),
                    }
                });
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn welcome(
    broker: Arc<Broker>,
    socket: TcpStream,
    client: SocketAddr,
    server: Option<SocketAddr>,
    tls: Option<Acceptor>,
) -> Result<(), Refused> {
    let server = server.map_or_else(|| socket.local_addr(), Ok)?;
    let mut peer_info = PeerInfo {
        loopback: client.ip().to_canonical().is_loopback(),
        certificate: None,
    };
    let id = broker.connection_id();
    let accepted = Instant::now();
    let (reader, writer, peer, encryption) = match tls {
        None => {
            let socket = Arc::new(socket);
            let peer = Peer::new(id, Some(Arc::clone(&socket)));
            (Reader::Plain(socket), None, peer, None)
        }
        Some(acceptor) => {
            let deadline = broker.limits().handshake_timeout;
            let handshake = timeout(deadline, acceptor.current().accept(socket)).await;
            let stream = handshake.map_err(|_| Refused::Slow)?.map_err(|error| {
                if has_hung_up(&error) || error.kind() == io::ErrorKind::ConnectionReset {
                    Refused::HungUp
                } else {
                    Refused::Io(error)
                }
            })?;
            peer_info.certificate = crate::tls::peer_identity(stream.get_ref().1);
            let encryption = crate::tls::describe(stream.get_ref().1);
            let (read, write) = tokio::io::split(stream);
            let peer = Peer::new(id, None);
            (
                Reader::Tls(Box::new(read)),
                Some(Writer::Tls(Box::new(write))),
                peer,
                Some(encryption),
            )
        }
    };
    let info = ConnectionInfo::new(peer, client, server, encryption);
    let mut offer = offer(&broker, &peer_info);
    offer.handshake_timeout = offer.handshake_timeout.saturating_sub(accepted.elapsed());
    serve(broker, reader, writer, info, offer, peer_info).await;
    Ok(())
}

fn offer(broker: &Broker, peer: &PeerInfo) -> Offer {
    let limits = broker.limits();
    Offer {
        channel_max: limits.channel_max,
        frame_max: limits.frame_max,
        heartbeat: limits.heartbeat,
        mechanisms: Users::mechanisms(peer).to_owned(),
        server_properties: Arc::clone(&broker.server_properties),
        message_size_max: limits.message_size_max.as_bytes(),
        handshake_timeout: limits.handshake_timeout,
    }
}

/// What RabbitMQ's clients look for, and what the operator adds or changes.
pub(super) fn server_properties(configured: &BTreeMap<String, String>) -> Arc<FieldTable> {
    let text = |text: &'static str| FieldValue::LongString(Bytes::from_static(text.as_bytes()));
    let mut capabilities = FieldTable::new();
    for name in CAPABILITIES {
        capabilities.push(ShortString::cut(name), FieldValue::Bool(true));
    }
    let mut properties = FieldTable::new();
    for (name, value) in [
        ("capabilities", FieldValue::Table(capabilities)),
        ("cluster_name", text("amphora")),
        ("copyright", text("Licensed under MIT or Apache-2.0")),
        (
            "information",
            text("An AMQP 0-9-1 broker with WebAssembly plugins"),
        ),
        ("platform", text("Rust")),
        ("product", text("Amphora")),
        ("version", text(env!("CARGO_PKG_VERSION"))),
    ] {
        properties.push(ShortString::cut(name), value);
    }
    for (name, value) in configured {
        let value = FieldValue::LongString(Bytes::copy_from_slice(value.as_bytes()));
        properties.remove(name);
        properties.push(ShortString::cut(name), value);
    }
    Arc::new(properties)
}

const CAPABILITIES: [&str; 9] = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];
