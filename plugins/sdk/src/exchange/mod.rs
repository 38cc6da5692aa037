//! Types of exchange.

mod bindings;
pub(crate) mod exchanges;

#[cfg(test)]
mod tests;

use crate::needs::Description;
use crate::value::Table;

pub use self::bindings::{BindingId, Bindings};
pub use crate::packed::{
    Elements, ElementsIter, Fields, FieldsIter, Headers, Malformed, Message, PropertiesRef,
    ValueRef,
};

/// An exchange of a type that the plugin supplies. Each exchange that a client declares with this type is a value of its own.
///
/// An instance of the plugin is told of exchanges and bindings in any order, and of the same ones again in another instance, so
/// the answer of [`route`](Self::route) must not depend on the order in which they came.
///
/// ```
/// use amphora_sdk::exchange::{Answer, Binding, Bindings, Declaration, Exchange, Message};
/// use amphora_sdk::{Description, Needs};
///
/// /// Goes to every queue whose binding key the routing key ends in.
/// struct Suffix;
///
/// impl Exchange for Suffix {
///     type Rule = String;
///
///     fn describe() -> Description {
///         Description::new("suffix", "1.0.0", Needs::new().routing_key().pure())
///     }
///
///     fn create(_: &Declaration) -> Result<Self, String> {
///         Ok(Self)
///     }
///
///     fn rule(&self, binding: Binding) -> Result<String, String> {
///         Ok(binding.routing_key)
///     }
///
///     fn route(&mut self, bindings: &Bindings<String>, message: &Message<'_>, answer: &mut Answer<'_>) {
///         for (id, suffix) in bindings {
///             if message.routing_key().ends_with(suffix) {
///                 answer.to(id);
///             }
///         }
///     }
/// }
///
/// amphora_sdk::export_exchange!(Suffix);
/// ```
pub trait Exchange: Sized + 'static {
    /// What the exchange keeps of a binding.
    type Rule: 'static;

    /// Who the plugin is and what it needs to see. It must always have the same answer. It may read the configuration, and panics if that
    /// is of no use.
    fn describe() -> Description;

    /// There is an exchange.
    ///
    /// # Errors
    /// Its arguments are wrong; the text reaches the client that declares it. Arguments that are not this plugin's own must
    /// be ignored.
    fn create(declaration: &Declaration) -> Result<Self, String>;

    /// What the exchange keeps of a binding, which is judged by itself.
    ///
    /// # Errors
    /// The binding is wrong; the text reaches the client that binds.
    fn rule(&self, binding: Binding) -> Result<Self::Rule, String>;

    /// The bindings are others than before. Called before the next message is routed, however many bindings changed: the place
    /// to build an index. The default does nothing.
    fn index(&mut self, bindings: &Bindings<Self::Rule>) {
        let _ = bindings;
    }

    /// Says where a message goes: to none, one or several of the bindings.
    fn route(
        &mut self,
        bindings: &Bindings<Self::Rule>,
        message: &Message<'_>,
        answer: &mut Answer<'_>,
    );
}

/// What a client declared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declaration {
    /// The virtual host.
    pub vhost: String,
    /// The exchange's name.
    pub name: String,
    /// The arguments of `exchange.declare`.
    pub arguments: Table,
}

/// What `queue.bind` or `exchange.bind` made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Binding {
    /// The name of the queue or exchange that it leads to: for answers that must be the same after a restart.
    pub destination: String,
    /// The binding's routing key.
    pub routing_key: String,
    /// The arguments of the bind.
    pub arguments: Table,
}

/// Where a message goes.
#[derive(Debug)]
pub struct Answer<'a> {
    ids: &'a mut Vec<u32>,
    /// Where the number of this message's bindings stands.
    start: usize,
}

impl<'a> Answer<'a> {
    #[inline]
    pub(crate) fn new(ids: &'a mut Vec<u32>) -> Self {
        let start = ids.len();
        ids.push(0);
        Self { ids, start }
    }

    /// The message goes where this binding leads. A queue gets it once, however often and by however many bindings it is named.
    #[inline]
    pub fn to(&mut self, binding: BindingId) {
        self.ids.push(binding.0);
    }

    /// Whether the message goes nowhere so far.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    #[inline]
    fn count(&self) -> usize {
        self.ids.len() - self.start - 1
    }

    /// Writes down how many there are.
    #[inline]
    pub(crate) fn finish(self) {
        self.ids[self.start] = u32::try_from(self.count()).unwrap_or(u32::MAX);
    }
}
