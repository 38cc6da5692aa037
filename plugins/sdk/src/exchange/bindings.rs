//! The bindings of an exchange.

/// Stands for a binding. The host gives these numbers; they are others after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BindingId(pub(crate) u32);

/// The bindings of an exchange, and what it keeps of each.
#[derive(Clone, Debug)]
pub struct Bindings<R> {
    /// By ascending id.
    rules: Vec<(BindingId, R)>,
}

impl<R> Default for Bindings<R> {
    fn default() -> Self {
        Self { rules: Vec::new() }
    }
}

impl<R> Bindings<R> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What the exchange keeps of a binding.
    pub fn get(&self, id: BindingId) -> Option<&R> {
        let index = self.position(id).ok()?;
        self.rules.get(index).map(|(_, rule)| rule)
    }

    /// All of them. The order means nothing, and is another one after a restart.
    pub fn iter(&self) -> Iter<'_, R> {
        Iter(self.rules.iter())
    }

    fn position(&self, id: BindingId) -> Result<usize, usize> {
        self.rules.binary_search_by_key(&id, |&(known, _)| known)
    }

    pub(super) fn insert(&mut self, id: BindingId, rule: R) {
        match self.position(id) {
            Ok(index) => self.rules[index].1 = rule,
            Err(index) => self.rules.insert(index, (id, rule)),
        }
    }

    /// Removes those that are there.
    pub(super) fn remove(&mut self, ids: &[u32]) {
        match ids {
            [] => {}
            [id] => {
                if let Ok(index) = self.position(BindingId(*id)) {
                    self.rules.remove(index);
                }
            }
            ids => {
                let mut ids = ids.to_vec();
                ids.sort_unstable();
                self.rules
                    .retain(|(known, _)| ids.binary_search(&known.0).is_err());
            }
        }
    }
}

impl<'a, R> IntoIterator for &'a Bindings<R> {
    type Item = (BindingId, &'a R);
    type IntoIter = Iter<'a, R>;

    fn into_iter(self) -> Iter<'a, R> {
        self.iter()
    }
}

/// Goes through [`Bindings`].
#[derive(Clone, Debug)]
pub struct Iter<'a, R>(std::slice::Iter<'a, (BindingId, R)>);

impl<'a, R> Iterator for Iter<'a, R> {
    type Item = (BindingId, &'a R);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(id, rule)| (*id, rule))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<R> ExactSizeIterator for Iter<'_, R> {}
