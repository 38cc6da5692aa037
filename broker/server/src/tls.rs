//! TLS: the broker's certificate, and those of its clients.

/// Who a client's certificate says that it is. The certificate was checked against the accepted authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The subject as RFC 4514 writes it: `CN=shop,O=Example`.
    pub distinguished_name: String,
    /// The subject's common name, if it has one.
    pub common_name: Option<String>,
}
