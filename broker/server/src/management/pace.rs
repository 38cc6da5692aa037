//! How fast one address may ask, and how often its logins may fail.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::RETRY_AFTER;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;

use super::caller::Peer;
use super::refused::Refused;
use crate::config::{Management, Maximum};

/// So many addresses are remembered. When there are more, those with nothing against them are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// Who asked how often of late.
#[derive(Debug)]
pub(super) struct Pace {
    requests: Bucket,
    failures: Bucket,
    addresses: Mutex<HashMap<IpAddr, Taken>>,
}

/// How much may be taken out: so much at once, which comes again within a time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    size: Option<f64>,
    refill: Duration,
}

/// What one address has taken and not got back yet.
#[derive(Debug)]
struct Taken {
    at: Instant,
    requests: f64,
    failures: f64,
}

impl Pace {
    pub(super) fn new(config: &Management) -> Self {
        let bucket = |maximum: Maximum, times: u32, refill| Bucket {
            size: maximum
                .bound()
                .map(|bound| f64::from(bound) * f64::from(times)),
            refill,
        };
        Self {
            requests: bucket(config.requests_max, 2, Duration::from_secs(2)),
            failures: bucket(config.failed_logins_max, 1, Duration::from_mins(1)),
            addresses: Mutex::default(),
        }
    }

    /// Answers with 429 what comes too fast.
    pub(super) async fn apply(&self, request: Request, next: Next) -> Response {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
        match peer.map(|address| self.admit(address, Instant::now())) {
            Some(Err(reason)) => too_fast(reason),
            Some(Ok(())) | None => next.run(request).await,
        }
    }

    /// A login of this address has failed.
    pub(super) fn note_failure(&self, address: IpAddr, now: Instant) {
        let mut addresses = self.addresses.lock();
        self.taken(&mut addresses, address, now).failures += 1.0;
    }

    fn admit(&self, address: IpAddr, now: Instant) -> Result<(), &'static str> {
        if self.requests.size.is_none() && self.failures.size.is_none() {
            return Ok(());
        }
        let mut addresses = self.addresses.lock();
        let taken = self.taken(&mut addresses, address, now);
        if self.failures.is_empty(taken.failures) {
            return Err("too many logins failed; try again in a minute");
        }
        if self.requests.is_empty(taken.requests) {
            return Err("too many requests; ask more slowly");
        }
        taken.requests += 1.0;
        Ok(())
    }

    fn taken<'a>(
        &self,
        addresses: &'a mut HashMap<IpAddr, Taken>,
        address: IpAddr,
        now: Instant,
    ) -> &'a mut Taken {
        if addresses.len() >= ADDRESSES_MAX && !addresses.contains_key(&address) {
            addresses.retain(|_, taken| {
                self.give_back(taken, now);
                taken.requests > 0.0 || taken.failures > 0.0
            });
        }
        let taken = addresses.entry(address).or_insert(Taken {
            at: now,
            requests: 0.0,
            failures: 0.0,
        });
        self.give_back(taken, now);
        taken
    }

    fn give_back(&self, taken: &mut Taken, now: Instant) {
        let since = now.saturating_duration_since(taken.at);
        taken.at = now;
        self.requests.give_back(&mut taken.requests, since);
        self.failures.give_back(&mut taken.failures, since);
    }
}

impl Bucket {
    fn is_empty(self, taken: f64) -> bool {
        self.size.is_some_and(|size| taken + 1.0 > size)
    }

    fn give_back(self, taken: &mut f64, since: Duration) {
        let back = self.size.unwrap_or(f64::MAX) * since.div_duration_f64(self.refill);
        *taken = (*taken - back).max(0.0);
    }
}

fn too_fast(reason: &str) -> Response {
    let mut response = Refused::too_fast(reason).into_response();
    let second = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, second);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn pace(requests: u32, failures: u32) -> Pace {
        Pace::new(&Management {
            requests_max: Maximum::at_most(requests),
            failed_logins_max: Maximum::at_most(failures),
            ..Management::default()
        })
    }

    #[test]
    fn an_address_that_asks_too_fast_is_told_and_others_are_not() {
        let (pace, now) = (pace(5, 5), Instant::now());
        let asked = (0..20).filter(|_| pace.admit(ONE, now).is_ok());
        assert_eq!(asked.count(), 10);
        assert!(pace.admit(OTHER, now).is_ok());
        let later = now + Duration::from_secs(1);
        let asked = (0..20).filter(|_| pace.admit(ONE, later).is_ok());
        assert_eq!(asked.count(), 5);
    }

    #[test]
    fn logins_that_fail_are_forgiven_in_time() {
        let (pace, now) = (pace(1000, 3), Instant::now());
        for _ in 0..3 {
            assert!(pace.admit(ONE, now).is_ok());
            pace.note_failure(ONE, now);
        }
        assert!(pace.admit(ONE, now).is_err());
        assert!(pace.admit(ONE, now + Duration::from_secs(21)).is_ok());
    }

    #[test]
    fn addresses_that_did_nothing_are_forgotten() {
        let (pace, now) = (pace(1, 1), Instant::now());
        for number in 0..u32::try_from(ADDRESSES_MAX).unwrap_or(u32::MAX) + 10 {
            let later = now + Duration::from_secs(u64::from(number) / 1000 * 10);
            assert!(pace.admit(IpAddr::V4(number.into()), later).is_ok());
        }
        assert!(pace.addresses.lock().len() <= ADDRESSES_MAX);
    }

    #[test]
    fn without_limits_nobody_is_remembered() {
        let pace = Pace::new(&Management {
            requests_max: Maximum::UNLIMITED,
            failed_logins_max: Maximum::UNLIMITED,
            ..Management::default()
        });
        assert!((0..5000).all(|_| pace.admit(ONE, Instant::now()).is_ok()));
        assert!(pace.addresses.lock().is_empty());
    }
}
