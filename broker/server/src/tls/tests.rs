//! Handshakes between two ends of a pipe.

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConnection};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::testing::Authority;
use super::*;

/// Lets a client in, and returns what `look` sees of it.
async fn handshake<T>(
    server: &Tls,
    client: Arc<ClientConfig>,
    look: impl Fn(&ServerConnection) -> T,
) -> anyhow::Result<T> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = Acceptor::new(server)?;
    let near_end = async {
        let mut stream = acceptor.current().accept(near).await?;
        stream.write_all(b"!").await?;
        anyhow::Ok(look(stream.get_ref().1))
    };
    let far_end = async {
        let name = ServerName::try_from("localhost")?;
        let mut stream = TlsConnector::from(client).connect(name, far).await?;
        anyhow::Ok(stream.read_u8().await?)
    };
    let (seen, byte) = tokio::join!(near_end, far_end);
    let (seen, byte) = (seen?, byte?);
    assert_eq!(byte, b'!');
    Ok(seen)
}

fn server(authority: &Authority) -> anyhow::Result<Tls> {
    let (certificate, key) = authority.sign("broker")?;
    Ok(Tls {
        certificate: Some(certificate),
        key: Some(key),
        ..Tls::default()
    })
}

#[tokio::test]
async fn both_versions_are_spoken() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let server = server(&authority)?;
    for (version, name) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")] {
        let seen = handshake(&server, authority.client(&[version], None)?, describe).await?;
        assert_eq!(seen.protocol, name);
        assert!(seen.cipher.starts_with("TLS"), "{seen:?}");
        assert!(!seen.key_exchange.is_empty(), "{seen:?}");
        assert!(seen.peer.is_none(), "{seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_names_its_subject() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let server = Tls {
        client_ca: Some(authority.certificate()),
        ..server(&authority)?
    };
    let (certificate, key) = authority.sign("shop")?;
    let client = authority.client(&[&TLS13], Some((&certificate, &key)))?;
    let expected = PeerCertificate {
        distinguished_name: "CN=shop,O=Example\\, Inc".to_owned(),
        common_name: Some("shop".to_owned()),
    };
    assert_eq!(
        handshake(&server, client, peer_identity).await?,
        Some(expected)
    );
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_needed_only_where_it_is_required() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let mut server = Tls {
        client_ca: Some(authority.certificate()),
        ..server(&authority)?
    };
    let client = authority.client(&[&TLS13], None)?;
    assert_eq!(
        handshake(&server, client.clone(), peer_identity).await?,
        None
    );
    server.require_client_certificate = true;
    assert!(handshake(&server, client, peer_identity).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let server = Tls {
        client_ca: Some(authority.certificate()),
        ..server(&authority)?
    };
    let stranger = Authority::new()?;
    let (certificate, key) = stranger.sign("shop")?;
    let client = authority.client(&[&TLS13], Some((&certificate, &key)))?;
    assert!(handshake(&server, client, peer_identity).await.is_err());
    Ok(())
}

#[test]
fn files_that_do_not_serve_are_named_with_their_key() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let good = server(&authority)?;
    let (_, other_key) = authority.sign("other")?;
    let folder = tempfile::tempdir()?;
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing")?;
    let absent = folder.path().join("absent.pem");
    let cases = [
        (
            Tls {
                certificate: Some(empty.clone()),
                ..good.clone()
            },
            "tls.certificate",
            &empty,
            "there is no certificate in it",
        ),
        (
            Tls {
                certificate: Some(absent.clone()),
                ..good.clone()
            },
            "tls.certificate",
            &absent,
            "No such file",
        ),
        (
            Tls {
                key: Some(empty.clone()),
                ..good.clone()
            },
            "tls.key",
            &empty,
            "no items found",
        ),
        (
            Tls {
                key: Some(other_key.clone()),
                ..good.clone()
            },
            "tls.key",
            &other_key,
            "keys may not be consistent: KeyMismatch",
        ),
        (
            Tls {
                client_ca: Some(empty.clone()),
                ..good
            },
            "tls.client_ca",
            &empty,
            "there is no certificate in it",
        ),
    ];
    for (tls, key, file, problem) in cases {
        let refused =
            Acceptor::new(&tls).map_or_else(|error| error.to_string(), |_| "accepted".to_owned());
        assert!(
            refused.starts_with(&format!("{key}: {}: ", file.display())),
            "{refused}"
        );
        assert!(refused.contains(problem), "{refused}");
    }
    Ok(())
}
