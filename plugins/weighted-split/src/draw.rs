//! Chance.

use amphora_sdk::exchange::BindingId;

/// Bindings, each of which is drawn as often as its weight says.
#[derive(Debug, Default)]
pub(crate) struct Draw {
    /// Each with the sum of the weights up to its own.
    sums: Vec<(u64, BindingId)>,
}

impl FromIterator<(BindingId, u32)> for Draw {
    fn from_iter<I: IntoIterator<Item = (BindingId, u32)>>(shares: I) -> Self {
        let mut sum = 0;
        let shares = shares.into_iter().filter(|&(_, weight)| weight > 0);
        let sums = shares.map(|(id, weight)| {
            sum += u64::from(weight);
            (sum, id)
        });
        Self {
            sums: sums.collect(),
        }
    }
}

impl Draw {
    /// One of the bindings; none if no weight is above 0. `below` gives a random number below another one.
    pub(crate) fn one(&self, below: impl FnOnce(u64) -> u64) -> Option<BindingId> {
        let &(sum, _) = self.sums.last()?;
        let drawn = below(sum);
        let index = self.sums.partition_point(|&(sum, _)| sum <= drawn);
        self.sums.get(index).map(|&(_, id)| id)
    }
}
