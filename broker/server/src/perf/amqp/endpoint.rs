//! Where and as whom to connect.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

/// An `amqp://` URI, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) vhost: String,
}

impl Endpoint {
    /// Host and port as `TcpStream::connect` takes them.
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The addresses of the host, with the port.
    ///
    /// # Errors
    /// If its name is unknown.
    pub(crate) fn resolve(&self) -> Result<Vec<SocketAddr>> {
        Ok(self.address().to_socket_addrs()?.collect())
    }
}

impl fmt::Display for Endpoint {
    /// Without the password, as results are passed around.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "amqp://{}@{}", self.user, self.address())
    }
}

impl FromStr for Endpoint {
    type Err = anyhow::Error;

    /// Parses `amqp://user:password@host:port/vhost`, where everything after the scheme may be left out.
    /// An empty virtual host means `/`, as nobody has one with an empty name.
    fn from_str(uri: &str) -> Result<Self> {
        ensure!(
            !uri.starts_with("amqps://"),
            "the load generator speaks plain TCP only: use an amqp:// URI"
        );
        let rest = uri
            .strip_prefix("amqp://")
            .context("a broker URI looks like amqp://user:password@host:5672/vhost")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let parameter = query.split(['=', '&']).next().unwrap_or_default();
        ensure!(
            query.is_empty(),
            "the load generator takes no parameters in a URI, and {parameter:?} is one"
        );
        let (authority, vhost) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, server) = authority
            .rsplit_once('@')
            .unwrap_or(("guest:guest", authority));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (host, port) = host_and_port(server)?;
        let vhost = if vhost.is_empty() {
            "/".to_owned()
        } else {
            unescape(vhost)?
        };
        ensure!(
            vhost.len() <= 255,
            "the name of a virtual host has at most 255 bytes"
        );
        Ok(Self {
            host,
            port,
            user: unescape(user)?,
            password: unescape(password)?,
            vhost,
        })
    }
}

fn host_and_port(server: &str) -> Result<(String, u16)> {
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest
                .split_once(']')
                .context("an IPv6 address ends with ]")?;
            (host, rest.strip_prefix(':'))
        }
        None => server
            .split_once(':')
            .map_or((server, None), |(host, port)| (host, Some(port))),
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let port = port.map_or(Ok(5672), |port| {
        port.parse()
            .with_context(|| format!("{port} is not a port number"))
    })?;
    Ok((host.to_owned(), port))
}

fn unescape(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next(), rest.next()]
            .map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
        let [Some(high), Some(low)] = digits else {
            bail!("% is followed by two hexadecimal digits in a URI");
        };
        bytes.push(u8::try_from(high * 16 + low)?);
    }
    String::from_utf8(bytes).context("a URI is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(uri: &str) -> (String, u16, String, String, String) {
        let Endpoint {
            host,
            port,
            user,
            password,
            vhost,
        } = uri.parse().unwrap();
        (host, port, user, password, vhost)
    }

    #[test]
    fn parts_have_defaults() {
        let own = |host: &str, port, user: &str, password: &str, vhost: &str| {
            (
                host.into(),
                port,
                user.into(),
                password.into(),
                vhost.into(),
            )
        };
        assert_eq!(
            parse("amqp://"),
            own("127.0.0.1", 5672, "guest", "guest", "/")
        );
        assert_eq!(parse("amqp://h"), own("h", 5672, "guest", "guest", "/"));
        assert_eq!(
            parse("amqp://u:p%40@h:1/%2fv"),
            own("h", 1, "u", "p@", "/v")
        );
        assert_eq!(parse("amqp://u@[::1]:7/?"), own("::1", 7, "u", "", "/"));
    }

    #[test]
    fn mistakes_are_explained() {
        for (uri, says) in [
            ("localhost", "looks like"),
            ("amqps://h", "plain TCP"),
            ("amqp://h:x", "port number"),
            ("amqp://u%4@h", "hexadecimal"),
            ("amqp://[::1", "IPv6"),
            ("amqp://h?heartbeat=5", "\"heartbeat\" is one"),
            ("amqp://h/v?a=1&b=2", "\"a\" is one"),
        ] {
            let error = format!("{:#}", uri.parse::<Endpoint>().unwrap_err());
            assert!(error.contains(says), "{uri}: {error}");
        }
    }

    #[test]
    fn display_hides_the_password() {
        let endpoint: Endpoint = "amqp://u:secret@[::1]:7/v".parse().unwrap();
        assert_eq!(endpoint.to_string(), "amqp://u@[::1]:7");
    }
}
