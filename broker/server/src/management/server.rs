//! The HTTP server: accepts, bounds, and hands each request to the router with its peer.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;
use tracing::{Instrument, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Api;
use super::caller::Peer;
use crate::logging::spans;

/// How many HTTP connections are served at a time. More wait to be accepted, and take no file from AMQP's.
const CONNECTIONS_MAX: usize = 256;

/// How long a connection may take for the head of its next request, idle time included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests under way may take when the broker stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait after an `accept` that failed, most likely because there are no more files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The API, served on a thread of its own: a long list is made without a client of the broker waiting for it.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Serves the API on these listeners, which must be non-blocking.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(listeners: Vec<std::net::TcpListener>, api: Api) -> io::Result<Self> {
        let tasks = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, is_stopped) = watch::channel(());
        let router = api.clone().router();
        let serve = async move {
            let mut servers = JoinSet::new();
            for listener in listeners {
                servers.spawn(serve(listener, router.clone(), is_stopped.clone()));
            }
            drop(is_stopped);
            tokio::select! {
                _ = servers.join_all() => {}
                () = api.history().follow(api.backend()) => {}
            }
        };
        let thread = std::thread::Builder::new().name("management".to_owned());
        let thread = thread.spawn(move || {
            tasks.block_on(serve);
            // A password that is still being hashed is nobody's any more.
            tasks.shutdown_background();
        })?;
        Ok(Self { stop, thread })
    }

    /// Takes no more requests, and returns when those under way are done, or after a while. Blocks.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the management API did not end as it should");
        }
    }
}

/// Serves on one listener until the sender of `is_stopped` is gone, then finishes what is under way.
async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    mut is_stopped: watch::Receiver<()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot serve the management API"),
    };
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            _ = is_stopped.changed() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = accepted;
        let router = router.clone();
        let service = service_fn(move |request| respond(router.clone(), peer, request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "an HTTP connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("cut HTTP requests that were still under way");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (
    TcpStream,
    SocketAddr,
    Option<tokio::sync::OwnedSemaphorePermit>,
) {
    // The semaphore is never closed, so that there is always a place in the end.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn respond(
    router: Router,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer));
    let span = tracing::info_span!(
        target: spans::TARGET,
        "request",
        otel.kind = "server",
        otel.name = request.method().as_str(),
        http.request.method = request.method().as_str(),
        http.route = field::Empty,
        url.path = request.uri().path(),
        client.address = %peer.ip(),
        http.response.status_code = field::Empty,
    );
    if !span.is_disabled() {
        // It fails only for a span that nobody exports.
        let _ = span.set_parent(spans::parent(request.headers()));
    }
    let response = router.oneshot(request).instrument(span.clone()).await?;
    span.record("http.response.status_code", response.status().as_u16());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::auth::Users;
    use crate::config::{ByteSize, Durability, LoginFrom, Management};
    use crate::management::About;
    use crate::management::fake::FakeBroker;

    fn start() -> anyhow::Result<(Server, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let about = About {
            node: "amphora@test".to_owned(),
            listeners: vec![],
            config: Arc::default(),
            config_file: None,
            durability: Durability::Fsync,
            message_size_max: ByteSize::mib(1),
            management: Management::default(),
            tls: None,
        };
        let users = Users::seeded(&[], LoginFrom::default())?;
        let api = Api::new(FakeBroker::new(), Arc::new(users), about);
        Ok((Server::start(vec![listener], api)?, address))
    }

    #[test]
    fn a_client_that_keeps_its_connection_does_not_keep_the_broker() -> anyhow::Result<()> {
        let (server, address) = start()?;
        let mut client = TcpStream::connect(address)?;
        client.write_all(b"GET / HTTP/1.1\r\nhost: broker\r\n\r\n")?;
        let mut answer = [0; 12];
        client.read_exact(&mut answer)?;
        assert_eq!(&answer, b"HTTP/1.1 200");

        let asked = std::time::Instant::now();
        server.stop();
        assert!(asked.elapsed() < DRAIN_TIMEOUT);
        client.read_to_end(&mut Vec::new())?;
        assert!(TcpStream::connect(address).is_err());
        Ok(())
    }
}
