//! Names that nobody can guess.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 22 characters of base64 for 128 bits of the operating system's randomness.
pub(crate) fn token() -> String {
    let mut bytes = [0; 16];
    // Without randomness the broker could not have made its TLS or password salts either.
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .expect("the operating system gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}
