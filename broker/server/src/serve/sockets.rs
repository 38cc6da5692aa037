//! The addresses that a broker listens on: claimed first, opened when it is ready.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::config::Listeners;
use crate::management::Listener;

/// Addresses that are ours, where nobody can connect yet.
pub(super) struct Claimed {
    amqp: Vec<TcpSocket>,
    amqps: Vec<TcpSocket>,
    http: Vec<TcpSocket>,
}

/// Addresses where clients can connect.
pub(super) struct Open {
    pub(super) amqp: Vec<TcpListener>,
    pub(super) amqps: Vec<TcpListener>,
    pub(super) http: Vec<TcpListener>,
}

impl Claimed {
    /// Claims all addresses, or says which one cannot be had, and why.
    pub(super) fn all(listeners: &Listeners) -> anyhow::Result<Self> {
        let claim = |addresses: &[SocketAddr], flag: &str| {
            let sockets = addresses.iter().map(|address| {
                claim(*address).map_err(|error| anyhow::anyhow!(refusal(*address, flag, &error)))
            });
            sockets.collect::<anyhow::Result<Vec<_>>>()
        };
        Ok(Self {
            amqp: claim(&listeners.amqp, "--amqp-listen")?,
            amqps: claim(&listeners.amqps, "--amqps-listen")?,
            http: claim(&listeners.http, "--http-listen")?,
        })
    }

    /// Lets clients connect; they are served when someone accepts them.
    pub(super) fn open(self) -> anyhow::Result<Open> {
        let listen = |sockets: Vec<TcpSocket>, flag: &str| {
            let listeners = sockets.into_iter().map(|socket| {
                let address = socket.local_addr()?;
                socket
                    .listen(Listener::BACKLOG)
                    .map_err(|error| anyhow::anyhow!(refusal(address, flag, &error)))
            });
            listeners.collect::<anyhow::Result<Vec<_>>>()
        };
        Ok(Open {
            amqp: listen(self.amqp, "--amqp-listen")?,
            amqps: listen(self.amqps, "--amqps-listen")?,
            http: listen(self.http, "--http-listen")?,
        })
    }
}

impl Open {
    /// Where and how clients can connect.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        let kinds = [
            ("amqp", &self.amqp),
            ("amqp/ssl", &self.amqps),
            ("http", &self.http),
        ];
        let each = |(protocol, listeners): (&'static str, &'_ Vec<TcpListener>)| {
            let addresses: Vec<_> = listeners
                .iter()
                .filter_map(|listener| listener.local_addr().ok())
                .collect();
            addresses
                .into_iter()
                .map(move |address| Listener { protocol, address })
        };
        kinds.into_iter().flat_map(each).collect()
    }
}

fn claim(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // Or else a broker could not come back for minutes after its clients went. It claims nothing that another listens on.
    socket.set_reuseaddr(true)?;
    // What is accepted has it from here.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn refusal(address: SocketAddr, flag: &str, error: &io::Error) -> String {
    let hint = match error.kind() {
        ErrorKind::AddrInUse => {
            "another program, most likely another broker, listens there; stop it, or choose another address"
        }
        ErrorKind::AddrNotAvailable => "this machine has no such address; choose another",
        ErrorKind::PermissionDenied => "ports below 1024 are for root; choose another",
        _ => "choose another address",
    };
    format!("cannot listen on {address}: {error}: {hint} with {flag}")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;

    use super::*;

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn amqp_only(address: SocketAddr) -> Listeners {
        Listeners {
            amqp: vec![address],
            amqps: vec![],
            http: vec![],
        }
    }

    #[tokio::test]
    async fn nobody_connects_before_it_is_open() -> anyhow::Result<()> {
        let claimed = Claimed::all(&amqp_only(ANY_PORT))?;
        let address = claimed.amqp[0].local_addr()?;
        assert!(TcpStream::connect(address).await.is_err());
        let open = claimed.open()?;
        let client = TcpStream::connect(address).await;
        assert!(client.is_ok());
        let (accepted, _) = open.amqp[0].accept().await?;
        assert!(accepted.nodelay()?);
        assert_eq!(
            open.listeners(),
            [Listener {
                protocol: "amqp",
                address
            }]
        );
        Ok(())
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named_with_what_to_do() -> anyhow::Result<()> {
        let holder = TcpListener::bind(ANY_PORT).await?;
        let address = holder.local_addr()?;
        let refused = Claimed::all(&amqp_only(address))
            .map(|_| ())
            .map_err(|error| error.to_string());
        let expected = format!(
            "cannot listen on {address}: Address already in use (os error 98): another program, most likely another broker, \
             listens there; stop it, or choose another address with --amqp-listen"
        );
        assert_eq!(refused, Err(expected));
        Ok(())
    }
}
