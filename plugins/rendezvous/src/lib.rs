//! Which destination a hash goes to, by weighted rendezvous hashing. What the stock plugins that distribute messages share.
//!
//! Each destination has a score for each hash, and the highest one wins. A score depends on nothing but the hash, the destination's
//! name and its weight: a new destination only takes hashes, and one that goes only gives its own away.

use std::collections::BTreeMap;

use amphora_sdk::exchange::BindingId;
use xxhash_rust::xxh3::xxh3_64;

/// All destinations. Built from bindings, the names of their destinations, and their weights; a weight of 0 takes nothing.
#[derive(Debug, Default)]
pub struct Ranking {
    candidates: Vec<Candidate>,
    /// All have the same weight, which then changes nothing.
    level: bool,
}

#[derive(Debug)]
struct Candidate {
    seed: u64,
    weight: f64,
    /// More than one if it is bound several times: its weights add up.
    ids: Vec<BindingId>,
}

impl<'a> FromIterator<(BindingId, &'a str, u32)> for Ranking {
    fn from_iter<I: IntoIterator<Item = (BindingId, &'a str, u32)>>(shares: I) -> Self {
        let shares = shares.into_iter().filter(|&(.., weight)| weight > 0);
        let mut destinations: BTreeMap<&str, (u64, Vec<BindingId>)> = BTreeMap::new();
        for (id, destination, weight) in shares {
            let (sum, ids) = destinations.entry(destination).or_default();
            *sum += u64::from(weight);
            ids.push(id);
        }
        let mut weights = destinations.values().map(|(weight, _)| *weight);
        let first = weights.next();
        let level = weights.all(|weight| Some(weight) == first);
        let candidates = destinations.into_iter();
        Self {
            candidates: candidates
                .map(|(destination, (weight, ids))| Candidate {
                    seed: xxh3_64(destination.as_bytes()),
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "sums of weights are far below 2⁵³"
                    )]
                    weight: weight as f64,
                    ids,
                })
                .collect(),
            level,
        }
    }
}

impl Ranking {
    /// The bindings of the destination with the highest score; none if there is no destination.
    pub fn first(&self, hash: u64) -> &[BindingId] {
        // A draw is decided for the later name, so that the answer is one.
        let best = self.candidates.iter().map(|candidate| {
            let draw = mix(hash ^ candidate.seed);
            let score = if self.level {
                0.0
            } else {
                candidate.score(draw)
            };
            (score, draw, candidate)
        });
        let best = best.reduce(|best, other| {
            if (other.0, other.1) >= (best.0, best.1) {
                other
            } else {
                best
            }
        });
        best.map_or(&[], |(_, _, candidate)| &candidate.ids)
    }
}

impl Candidate {
    /// Grows with the draw. A candidate of weight w has the highest of all scores with a chance of w ÷ the sum of all weights.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the upper 53 bits are kept, and fit"
    )]
    fn score(&self, draw: u64) -> f64 {
        // In the middle of its step, so that it is neither 0 nor 1.
        let uniform = ((draw >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -self.weight / uniform.ln()
    }
}

/// Spreads every bit over all others (the finalizer of `SplitMix64`).
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
