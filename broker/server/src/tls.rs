//! TLS 1.2 and 1.3: the broker's certificate, and those of its clients.

mod peer;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use der::Decode;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use x509_cert::Certificate;

pub use self::peer::{PeerCertificate, describe, peer_identity};
use crate::config::{ConfigError, Tls};

/// What takes the handshakes of the `amqps` listeners. A clone is another handle of the same.
#[derive(Clone, Debug)]
pub struct Acceptor(Arc<ArcSwap<InForce>>);

/// What handshakes are taken with.
#[derive(Debug)]
struct InForce {
    config: Arc<ServerConfig>,
    /// Where the certificates are from.
    files: Tls,
    /// When the broker's certificate, or one of those behind it, is no longer valid.
    expires: Option<SystemTime>,
}

impl Acceptor {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// A file that cannot be read, holds nothing of its kind, or a key that is not the certificate's; each names its key and file.
    pub fn new(config: &Tls) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(InForce::read(
            config,
        )?))))
    }

    /// Reads the files again, for handshakes from now on.
    ///
    /// # Errors
    /// As [`Acceptor::new`]; what was in force stays.
    pub fn renew(&self, config: &Tls) -> Result<(), ConfigError> {
        self.0.store(Arc::new(InForce::read(config)?));
        Ok(())
    }

    /// What takes a handshake that begins now.
    pub fn current(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.load().config))
    }

    /// When the first of the broker's certificates is no longer valid, if that can be read.
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.load().expires
    }

    /// The configuration of what is in force.
    pub fn files(&self) -> Tls {
        self.0.load().files.clone()
    }
}

impl InForce {
    fn read(config: &Tls) -> Result<Self, ConfigError> {
        let missing = ConfigError::new("tls.certificate", "missing; TLS needs it");
        let file = config.certificate.as_deref().ok_or(missing)?;
        let chain = certificates("tls.certificate", file)?;
        let expires = chain.iter().filter_map(|certificate| expiry(certificate));
        Ok(Self {
            files: config.clone(),
            expires: expires.min(),
            config: Arc::new(server_config(config, file, chain)?),
        })
    }
}

fn expiry(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(
        certificate
            .tbs_certificate
            .validity
            .not_after
            .to_system_time(),
    )
}

/// Reads the other files that the configuration names.
///
/// # Errors
/// A file that cannot be read, holds nothing of its kind, or a key that is not the certificate's; each names its key and file.
fn server_config(
    config: &Tls,
    certificate_file: &Path,
    chain: Vec<CertificateDer<'static>>,
) -> Result<ServerConfig, ConfigError> {
    let missing = |key| ConfigError::new(key, "missing; TLS needs it");
    let key_file = config.key.as_deref().ok_or_else(|| missing("tls.key"))?;
    let key =
        PrivateKeyDer::from_pem_file(key_file).map_err(|e| refuse("tls.key", key_file, &e))?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse("tls", certificate_file, &error))?
        .with_client_cert_verifier(client_verifier(config)?)
        .with_single_cert(chain, key)
        .map_err(|error| refuse("tls.key", key_file, &error))
}

fn client_verifier(config: &Tls) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    const KEY: &str = "tls.client_ca";
    let Some(file) = &config.client_ca else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let mut authorities = RootCertStore::empty();
    for authority in certificates(KEY, file)? {
        authorities
            .add(authority)
            .map_err(|error| refuse(KEY, file, &error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut verifier = WebPkiClientVerifier::builder_with_provider(authorities.into(), provider);
    if !config.require_client_certificate {
        verifier = verifier.allow_unauthenticated();
    }
    verifier.build().map_err(|error| refuse(KEY, file, &error))
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    let certificates = read().map_err(|error| refuse(key, file, &error))?;
    if certificates.is_empty() {
        return Err(refuse(
            key,
            file,
            &"there is no certificate in it; it must be a PEM file",
        ));
    }
    Ok(certificates)
}

fn refuse(key: &str, file: &Path, problem: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::new(key, format!("{}: {problem}", file.display()))
}
