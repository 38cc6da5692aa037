//! Passwords at rest: Argon2 for new ones, RabbitMQ's salted SHA-256 and SHA-512 for those brought along.

use argon2::Argon2;
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{
    PasswordHash as PhcHash, PasswordHasher, PasswordVerifier, SaltString,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

const RABBIT_SALT_LEN: usize = 4;
const SHA256_LEN: usize = 32;
const SHA512_LEN: usize = 64;

/// A password's hash.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// Argon2id, as the PHC string that carries salt and cost.
    Argon2(String),
    /// RabbitMQ's: SHA-256 over a salt of four bytes and the password.
    SaltedSha256 {
        /// The salt.
        salt: [u8; RABBIT_SALT_LEN],
        /// The digest of salt and password.
        digest: [u8; SHA256_LEN],
    },
    /// RabbitMQ's other one: SHA-512, likewise.
    SaltedSha512 {
        /// The salt.
        salt: [u8; RABBIT_SALT_LEN],
        /// The digest of salt and password.
        digest: Box<[u8; SHA512_LEN]>,
    },
}

/// The text is the hash of no known scheme.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a password hash; give an Argon2 string (\"$argon2id$…\") or RabbitMQ's base64 of salt and SHA-256 or SHA-512"
)]
pub struct UnknownHash;

impl PasswordHash {
    /// Hashes a new password with Argon2id. Takes tens of milliseconds and 19 MiB: never on a thread that serves clients.
    pub fn of(password: &str) -> Result<Self, argon2::password_hash::Error> {
        let salt = SaltString::generate(&mut OsRng);
        Ok(Self::Argon2(
            Argon2::default()
                .hash_password(password.as_bytes(), &salt)?
                .to_string(),
        ))
    }

    /// Reads a hash as the configuration and RabbitMQ's definitions write it.
    pub fn parse(text: &str) -> Result<Self, UnknownHash> {
        if text.starts_with("$argon2") {
            return match PhcHash::new(text) {
                Ok(phc) if phc.hash.is_some() => Ok(Self::Argon2(text.to_owned())),
                _ => Err(UnknownHash),
            };
        }
        let bytes = BASE64.decode(text).map_err(|_| UnknownHash)?;
        let (salt, digest) = bytes
            .split_first_chunk::<RABBIT_SALT_LEN>()
            .ok_or(UnknownHash)?;
        let salt = *salt;
        if let Ok(digest) = digest.try_into() {
            return Ok(Self::SaltedSha256 { salt, digest });
        }
        let digest: [u8; SHA512_LEN] = digest.try_into().map_err(|_| UnknownHash)?;
        Ok(Self::SaltedSha512 {
            salt,
            digest: Box::new(digest),
        })
    }

    /// Whether this is the hash of `password`. As slow as [`PasswordHash::of`] for Argon2. A blank password never matches.
    pub fn matches(&self, password: &[u8]) -> bool {
        if password.is_empty() {
            return false;
        }
        match self {
            Self::Argon2(phc) => PhcHash::new(phc)
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
            Self::SaltedSha256 { salt, digest } => {
                salted_sha256(salt, password).ct_eq(digest).into()
            }
            Self::SaltedSha512 { salt, digest } => {
                let hashed = Sha512::new().chain_update(salt).chain_update(password);
                hashed.finalize().ct_eq(&digest[..]).into()
            }
        }
    }

    /// The scheme's name, in RabbitMQ's words where it has one.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Argon2(_) => "argon2id",
            Self::SaltedSha256 { .. } => "rabbit_password_hashing_sha256",
            Self::SaltedSha512 { .. } => "rabbit_password_hashing_sha512",
        }
    }
}

impl std::fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Argon2(phc) => f.write_str(phc),
            Self::SaltedSha256 { salt, digest } => {
                f.write_str(&BASE64.encode([&salt[..], digest].concat()))
            }
            Self::SaltedSha512 { salt, digest } => {
                f.write_str(&BASE64.encode([&salt[..], &digest[..]].concat()))
            }
        }
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PasswordHash")
            .field(&self.algorithm())
            .finish()
    }
}

/// SHA-256 over a salt and a password.
pub(super) fn salted_sha256(salt: &[u8], password: &[u8]) -> [u8; SHA256_LEN] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(password)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash of `test12` that RabbitMQ's own documentation works through.
    const RABBIT_TEST12: &str = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";

    /// The same password and salt with SHA-512.
    const RABBIT_512_TEST12: &str = "kI3GChuNuIYf8lRbCCxZjgjKwsY19ns6+uFO0zcXRBGA/XGJPYD8OWMy7EB8TaOmAzjP2azv84GbINYwX2cDWb4DHnc=";

    #[test]
    fn a_hash_matches_its_password_only() -> Result<(), Box<dyn std::error::Error>> {
        for hash in [
            PasswordHash::of("test12")?,
            PasswordHash::parse(RABBIT_TEST12)?,
            PasswordHash::parse(RABBIT_512_TEST12)?,
        ] {
            assert!(hash.matches(b"test12"), "{hash}");
            assert!(!hash.matches(b"Test12"), "{hash}");
            assert!(!hash.matches(b""), "{hash}");
            assert_eq!(PasswordHash::parse(&hash.to_string())?, hash);
        }
        Ok(())
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for text in [
            "",
            "guest",
            "$argon2id$v=19",
            "AAAA",
            "$2b$10$abcdefghijklmnopqrstuv",
        ] {
            assert!(PasswordHash::parse(text).is_err(), "{text:?}");
        }
    }
}
