//! Exchanges of types that plugins supply: which binding a number in an answer stands for.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Target;
use crate::binding::Binding;
use crate::hook::ExchangeHook;

/// The bindings of one exchange, by the numbers that its plugin knows them by.
#[derive(Debug)]
pub(crate) struct Plugin {
    hook: Arc<dyn ExchangeHook>,
    targets: HashMap<u32, Target, RandomState>,
    ids: HashMap<Arc<Binding>, u32, RandomState>,
    next: u32,
}

impl Plugin {
    pub(crate) fn new(hook: Arc<dyn ExchangeHook>) -> Self {
        Self {
            hook,
            targets: HashMap::default(),
            ids: HashMap::default(),
            next: 0,
        }
    }

    pub(crate) fn hook(&self) -> &Arc<dyn ExchangeHook> {
        &self.hook
    }

    pub(super) fn bind(&mut self, binding: &Arc<Binding>, target: Target) {
        let id = self.next;
        self.next += 1;
        self.targets.insert(id, target);
        self.ids.insert(Arc::clone(binding), id);
        self.hook.bind(id, binding);
    }

    pub(super) fn unbind(&mut self, binding: &Binding) {
        if let Some(id) = self.ids.remove(binding) {
            self.targets.remove(&id);
            self.hook.unbind(id);
        }
    }

    /// The bindings that an answer names.
    pub(crate) fn bindings(&self, answer: &[u32]) -> impl Iterator<Item = Arc<Binding>> {
        let named = self.ids.iter().filter(|(_, id)| answer.contains(id));
        named.map(|(binding, _)| Arc::clone(binding))
    }

    /// Appends where the bindings lead. One that has gone since the plugin answered leads nowhere.
    pub(crate) fn follow(&self, answer: &[u32], matched: &mut Vec<Target>) {
        matched.extend(answer.iter().filter_map(|id| self.targets.get(id)));
    }
}
