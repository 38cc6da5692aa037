//! All exchanges of an instance, and what the host says of them.

use std::collections::BTreeMap;

use super::{Answer, Binding, BindingId, Bindings, Declaration, Exchange};
use crate::needs::{Description, Needs};
use crate::packed::{Batch, Malformed};

/// The exchanges of an instance, by the numbers that the host gives them.
pub(crate) struct Exchanges<E: Exchange> {
    live: BTreeMap<u32, Live<E>>,
    needs: Option<Needs>,
}

struct Live<E: Exchange> {
    exchange: E,
    bindings: Bindings<E::Rule>,
    /// The index is not that of the bindings.
    stale: bool,
}

impl<E: Exchange> Default for Exchanges<E> {
    fn default() -> Self {
        Self {
            live: BTreeMap::new(),
            needs: None,
        }
    }
}

impl<E: Exchange> Exchanges<E> {
    pub(crate) fn describe(&mut self) -> Description {
        let description = E::describe();
        self.needs = Some(description.needs.clone());
        description
    }

    pub(crate) fn create(&mut self, id: u32, declaration: &Declaration) -> Result<(), String> {
        let live = Live {
            exchange: E::create(declaration)?,
            bindings: Bindings::default(),
            stale: true,
        };
        self.live.insert(id, live);
        Ok(())
    }

    pub(crate) fn delete(&mut self, id: u32) {
        self.live.remove(&id);
    }

    /// Judges all new bindings before it changes anything, so that an error leaves everything as it was.
    pub(crate) fn rebind(
        &mut self,
        id: u32,
        add: Vec<(u32, Binding)>,
        remove: &[u32],
    ) -> Result<(), String> {
        let live = self.live.get_mut(&id).ok_or_else(|| unknown(id))?;
        let rules = add.into_iter().map(|(id, binding)| {
            let rule = live.exchange.rule(binding)?;
            Ok((BindingId(id), rule))
        });
        let rules: Vec<(BindingId, E::Rule)> = rules.collect::<Result<_, String>>()?;
        live.bindings.remove(remove);
        for (id, rule) in rules {
            live.bindings.insert(id, rule);
        }
        live.stale = true;
        Ok(())
    }

    /// Routes a batch. The answer's first half is counts and the rest ids in most cases, so room is made for one id per message.
    pub(crate) fn route(&mut self, id: u32, batch: &[u8]) -> Result<Vec<u32>, RouteError> {
        let needs = &*self.needs.get_or_insert_with(|| E::describe().needs);
        let live = self.live.get_mut(&id).ok_or(RouteError::Unknown(id))?;
        if live.stale {
            live.exchange.index(&live.bindings);
            live.stale = false;
        }
        let mut batch = Batch::new(batch, needs)?;
        let mut answer = Vec::with_capacity(2 * batch.count().min(256) as usize);
        while let Some(message) = batch.next()? {
            let mut to = Answer::new(&mut answer);
            live.exchange.route(&live.bindings, &message, &mut to);
            to.finish();
        }
        Ok(answer)
    }
}

fn unknown(id: u32) -> String {
    format!("there is no exchange {id} in this instance")
}

/// What the host did wrong.
#[derive(Debug)]
pub(crate) enum RouteError {
    Unknown(u32),
    Malformed(Malformed),
}

impl From<Malformed> for RouteError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl std::fmt::Display for RouteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(id) => f.write_str(&unknown(*id)),
            Self::Malformed(malformed) => malformed.fmt(f),
        }
    }
}
