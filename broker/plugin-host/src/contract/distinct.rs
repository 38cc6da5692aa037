//! Names of which each is to be there once, however many there are: a plugin or a publisher decides how many.

use std::collections::HashSet;

use foldhash::fast::RandomState;

/// Names up to this many are looked through one by one, which is cheaper than a hash of each.
const FEW: usize = 16;

/// A set of names.
#[derive(Debug, Default)]
pub(super) struct Distinct<'a> {
    few: Vec<&'a [u8]>,
    many: HashSet<&'a [u8], RandomState>,
}

impl<'a> Distinct<'a> {
    /// Adds a name. False if it is there already.
    pub(super) fn insert(&mut self, name: &'a [u8]) -> bool {
        if self.contains(name) {
            return false;
        }
        if self.many.is_empty() && self.few.len() < FEW {
            self.few.push(name);
        } else {
            self.many.extend(self.few.drain(..));
            self.many.insert(name);
        }
        true
    }

    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.few.contains(&name) || self.many.contains(name)
    }
}

impl<'a> Extend<&'a [u8]> for Distinct<'a> {
    fn extend<T: IntoIterator<Item = &'a [u8]>>(&mut self, names: T) {
        for name in names {
            self.insert(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_there_once_among_few_and_among_many() {
        let names: Vec<String> = (0..3 * FEW).map(|number| number.to_string()).collect();
        let mut distinct = Distinct::default();
        for name in &names {
            assert!(!distinct.contains(name.as_bytes()));
            assert!(distinct.insert(name.as_bytes()));
            assert!(!distinct.insert(name.as_bytes()));
        }
        assert!(names.iter().all(|name| distinct.contains(name.as_bytes())));
        assert!(!distinct.contains(b"other"));
    }
}
