//! How often somebody tried to log in.

use super::exposition::{Exposition, Kind};
use crate::management::Api;

/// A figure's name, what it is, and how it follows from the attempts that succeeded and those that failed.
type Figure = (&'static str, &'static str, fn((u64, u64)) -> u64);

/// What figures are told apart by.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    /// Nothing.
    All,
    /// AMQP and HTTP.
    Protocol,
}

/// Attempts to log in.
pub(super) fn logins(api: &Api, by: By, metrics: &mut Exposition) {
    let users = api.users();
    let counted = [
        ("amqp091", users.amqp_attempts.counts()),
        ("http", users.http_attempts.counts()),
    ];
    let figures: [Figure; 3] = [
        (
            "auth_attempts_total",
            "Total number of authentication attempts",
            |(succeeded, failed)| succeeded + failed,
        ),
        (
            "auth_attempts_succeeded_total",
            "Total number of successful authentication attempts",
            |(succeeded, _)| succeeded,
        ),
        (
            "auth_attempts_failed_total",
            "Total number of failed authentication attempts",
            |(_, failed)| failed,
        ),
    ];
    for (name, help, of) in figures {
        let family = metrics.family(name, Kind::Counter, help);
        match by {
            By::All => {
                let all = counted.iter().map(|(_, counts)| of(*counts));
                family.sample(&[], all.sum::<u64>());
            }
            By::Protocol => {
                for (protocol, counts) in counted {
                    family.sample(&[("protocol", protocol)], of(counts));
                }
            }
        }
    }
}
