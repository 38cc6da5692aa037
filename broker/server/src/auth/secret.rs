//! A user's password, checked slowly once and quickly from then on.

use std::sync::OnceLock;

use argon2::password_hash::rand_core::{OsRng, RngCore};
use subtle::ConstantTimeEq;

use super::password::{PasswordHash, salted_sha256};

/// A password's hash, and after the first success a fast digest of the same password.
///
/// Argon2 is slow so that a stolen file is of no use. A client that connects a thousand times a second must not pay for that,
/// so the digest takes over; it never leaves the memory of this process.
pub(super) struct Secret {
    hash: PasswordHash,
    salt: [u8; 16],
    proven: OnceLock<[u8; 32]>,
}

impl Secret {
    /// The secret of a password that is known only by its hash.
    pub(super) fn of_hash(hash: PasswordHash) -> Self {
        let mut salt = [0; 16];
        OsRng.fill_bytes(&mut salt);
        Self {
            hash,
            salt,
            proven: OnceLock::new(),
        }
    }

    /// The secret of a password that is known. As slow as [`PasswordHash::of`].
    pub(super) fn of_password(password: &str) -> Result<Self, argon2::password_hash::Error> {
        let secret = Self::of_hash(PasswordHash::of(password)?);
        secret.prove(password.as_bytes());
        Ok(secret)
    }

    /// Whether this is the password, if that can be told quickly.
    pub(super) fn quick_check(&self, password: &[u8]) -> Option<bool> {
        if password.is_empty() {
            return Some(false);
        }
        let proven = self.proven.get()?;
        Some(salted_sha256(&self.salt, password).ct_eq(proven).into())
    }

    /// Whether this is the password. May be as slow as [`PasswordHash::of`].
    pub(super) fn slow_check(&self, password: &[u8]) -> bool {
        let matches = self.hash.matches(password);
        if matches {
            self.prove(password);
        }
        matches
    }

    /// What is kept of the password when the broker is not running.
    pub(super) fn hash(&self) -> &PasswordHash {
        &self.hash
    }

    fn prove(&self, password: &[u8]) {
        if !password.is_empty() {
            self.proven
                .get_or_init(|| salted_sha256(&self.salt, password));
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Secret").field(&self.hash).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_first_success_both_answers_are_quick() -> Result<(), Box<dyn std::error::Error>> {
        let secret = Secret::of_hash(PasswordHash::of("right")?);
        assert_eq!(secret.quick_check(b"right"), None);
        assert!(!secret.slow_check(b"wrong"));
        assert_eq!(secret.quick_check(b"right"), None);
        assert!(secret.slow_check(b"right"));
        assert_eq!(secret.quick_check(b"right"), Some(true));
        assert_eq!(secret.quick_check(b"wrong"), Some(false));
        Ok(())
    }

    #[test]
    fn a_blank_password_is_never_right() -> Result<(), Box<dyn std::error::Error>> {
        let secret = Secret::of_password("")?;
        assert_eq!(secret.quick_check(b""), Some(false));
        assert!(!secret.slow_check(b""));
        Ok(())
    }
}
