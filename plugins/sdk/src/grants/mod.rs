//! What a plugin may ask of the broker, if the operator grants it by name. What is not used is not imported.
//!
//! In tests that run natively, a stand-in answers that [`testing::grants`](crate::testing::grants) prepares and reads.

pub mod clock;
pub mod config;
pub mod kv;
pub mod log;
pub mod metrics;
pub mod publish;
pub mod random;
