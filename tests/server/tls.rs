//! Clients that come by TLS, and go without a word.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use amphora_tests::{Broker, Client, Login, Settings};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// A broker with a certificate of its own, in this folder, and how clients trust it.
fn start(folder: &Path) -> anyhow::Result<(Broker, Arc<ClientConfig>)> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let (certificate, key) = (folder.join("broker.pem"), folder.join("broker.key"));
    std::fs::write(&certificate, own.cert.pem())?;
    std::fs::write(&key, own.signing_key.serialize_pem())?;
    let broker = Broker::with(Settings {
        config: format!(
            "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
            certificate.display(),
            key.display()
        ),
        tls: true,
        ..Settings::default()
    })?;
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from(own.cert.der().to_vec()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok((broker, Arc::new(config)))
}

#[test]
fn a_client_that_hangs_up_is_a_plain_line_in_the_log() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (broker, config) = start(folder.path())?;
    drop(TcpStream::connect(broker.amqps()?)?);
    let line = broker.logged("in the TLS handshake")?;
    assert!(line.contains("\"level\":\"INFO\""), "{line}");
    assert!(
        line.contains("\"reason\":\"the client hung up in the TLS handshake\""),
        "{line}"
    );

    // Without the goodbye of TLS, which says as much as the end of a socket without TLS.
    let mut client = Client::dial_tls(broker.amqps()?, config)?;
    client.login(&Login::default())?;
    drop(client);
    let line = broker.logged("\"reason\":\"the client hung up\"")?;
    assert!(line.contains("connection dropped"), "{line}");
    Ok(())
}

#[test]
fn what_is_no_handshake_is_a_warning() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (broker, _) = start(folder.path())?;
    let mut client = Client::dial(broker.amqps()?)?;
    client.write(b"AMQP\0\0\x09\x01")?;
    let line = broker.logged("connection refused")?;
    assert!(line.contains("\"level\":\"WARN\""), "{line}");
    Ok(())
}
