//! What a TLS connection tells of itself and of the client at its other end.

use der::Decode;
use der::asn1::{PrintableStringRef, Utf8StringRef};
use rustls::ServerConnection;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::time::Validity;
use x509_cert::{Certificate, TbsCertificate};

use crate::management::snapshot::{PeerCertificateSnapshot, TlsSnapshot};

/// The attribute type of common names.
const COMMON_NAME: der::oid::ObjectIdentifier = der::oid::ObjectIdentifier::new_unwrap("2.5.4.3");

/// Who a client's certificate says that it is. The certificate was checked against the accepted authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The subject as RFC 4514 writes it: `CN=shop,O=Example`.
    pub distinguished_name: String,
    /// The subject's common name, if it has one.
    pub common_name: Option<String>,
}

/// Who the client is, if it showed a certificate. To be asked when the handshake is done.
pub fn peer_identity(connection: &ServerConnection) -> Option<PeerCertificate> {
    let subject = certificate(connection)?.tbs_certificate.subject;
    let mut attributes = subject.0.iter().flat_map(|name| name.0.iter());
    let common_name = attributes
        .find(|attribute| attribute.oid == COMMON_NAME)
        .and_then(text_of);
    Some(PeerCertificate {
        distinguished_name: subject.to_string(),
        common_name,
    })
}

/// How the connection is encrypted. To be asked when the handshake is done.
pub fn describe(connection: &ServerConnection) -> TlsSnapshot {
    let protocol = connection.protocol_version().map(|version| match version {
        rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2".to_owned(),
        rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3".to_owned(),
        other => format!("{other:?}"),
    });
    let cipher = connection
        .negotiated_cipher_suite()
        .map(|suite| format!("{:?}", suite.suite()));
    let key_exchange = connection
        .negotiated_key_exchange_group()
        .map(|group| format!("{:?}", group.name()));
    TlsSnapshot {
        protocol: protocol.unwrap_or_default(),
        cipher: cipher.unwrap_or_default(),
        key_exchange: key_exchange.unwrap_or_default(),
        peer: certificate(connection).map(|shown| snapshot(&shown.tbs_certificate)),
    }
}

fn certificate(connection: &ServerConnection) -> Option<Certificate> {
    Certificate::from_der(connection.peer_certificates()?.first()?).ok()
}

fn snapshot(certificate: &TbsCertificate) -> PeerCertificateSnapshot {
    let Validity {
        not_before,
        not_after,
        ..
    } = certificate.validity;
    PeerCertificateSnapshot {
        subject: certificate.subject.to_string(),
        issuer: certificate.issuer.to_string(),
        serial_number: certificate.serial_number.to_string(),
        validity: format!("{not_before} - {not_after}"),
    }
}

fn text_of(attribute: &AttributeTypeAndValue) -> Option<String> {
    let utf8 = attribute
        .value
        .decode_as::<Utf8StringRef<'_>>()
        .map(|text| text.to_string());
    let printable = || {
        attribute
            .value
            .decode_as::<PrintableStringRef<'_>>()
            .map(|text| text.to_string())
    };
    utf8.or_else(|_| printable()).ok()
}
