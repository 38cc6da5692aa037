//! One instance of a component: calls with a deadline, and what became of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use amphora_core::hook::Fault;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Lift, Lower, TypedFunc};

use crate::code::{Code, mismatch};
use crate::contract::types::{Binding, Description, Message, Table, Verdict};
use crate::environment::Outgoing;
use crate::fault;
use crate::grants::Grants;
use crate::state::{SETUP_DEADLINE, State};

/// Bytes that the host takes from a plugin in one answer, at most.
const ANSWER_MAX: usize = 72 << 20;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    pub(crate) text: String,
    /// The instance must not be called again.
    pub(crate) is_fatal: bool,
}

impl Failure {
    pub(crate) fn fatal(fault: Fault, text: impl Into<String>) -> Self {
        Self {
            fault,
            text: text.into(),
            is_fatal: true,
        }
    }

    /// The same, after which the instance must not be called again.
    pub(crate) fn made_fatal(self) -> Self {
        Self {
            is_fatal: true,
            ..self
        }
    }

    pub(crate) fn harmless(fault: Fault, text: impl Into<String>) -> Self {
        Self {
            fault,
            text: text.into(),
            is_fatal: false,
        }
    }
}

type Create = TypedFunc<(u32, String, String, Table), (Result<(), String>,)>;
type Rebind = TypedFunc<(u32, Vec<Binding>, Vec<u32>), (Result<(), String>,)>;
type RoutePacked = TypedFunc<(u32, Arc<Vec<u8>>), (Vec<u32>,)>;
type RouteTyped = TypedFunc<(u32, Vec<Message>), (Vec<Vec<u32>>,)>;
type Apply = TypedFunc<(Message, Option<String>), (Verdict,)>;

/// An instance and its functions.
pub(crate) struct Instance {
    store: Store<State>,
    describe: TypedFunc<(), (Description,)>,
    exchange: Option<Exchange>,
    packed: Option<Packed>,
    typed: Option<RouteTyped>,
    apply: Option<Apply>,
    deadline: Duration,
}

struct Exchange {
    create: Create,
    delete: TypedFunc<(u32,), ()>,
    rebind: Rebind,
}

/// The batch is copied into a buffer of the instance's, because what a function of the engine is given has to live as long as the function.
struct Packed {
    route: RoutePacked,
    buffer: Arc<Vec<u8>>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl Instance {
    /// Makes an instance, whose start functions run.
    ///
    /// # Errors
    /// They fail. A type that is not the contract's is a bad answer.
    pub(crate) fn start(code: &Code, state: State, deadline: Duration) -> Result<Self, Failure> {
        let mut store = Store::new(code.pre.engine(), state);
        store.set_hostcall_fuel(ANSWER_MAX);
        State::arm(&mut store);
        let started = code.pre.instantiate(&mut store);
        let instance = started.map_err(|error| failure(&mut store, "start", &error))?;
        let functions = &code.functions;
        let found = (|| {
            let exchange = functions.exchange.as_ref().map(|exchange| {
                Ok::<_, wasmtime::Error>(Exchange {
                    create: instance.get_typed_func(&mut store, exchange.create)?,
                    delete: instance.get_typed_func(&mut store, exchange.delete)?,
                    rebind: instance.get_typed_func(&mut store, exchange.rebind)?,
                })
            });
            let packed = functions.route_packed.as_ref().map(|route| {
                Ok::<_, wasmtime::Error>(Packed {
                    route: instance.get_typed_func(&mut store, route)?,
                    buffer: Arc::default(),
                })
            });
            let typed = functions.route_typed.as_ref();
            let apply = functions.apply.as_ref();
            Ok::<_, wasmtime::Error>((
                instance.get_typed_func(&mut store, functions.describe)?,
                exchange.transpose()?,
                packed.transpose()?,
                typed
                    .map(|route| instance.get_typed_func(&mut store, route))
                    .transpose()?,
                apply
                    .map(|apply| instance.get_typed_func(&mut store, apply))
                    .transpose()?,
            ))
        })();
        let (describe, exchange, packed, typed, apply) = found.map_err(|error| mistyped(&error))?;
        Ok(Self {
            store,
            describe,
            exchange,
            packed,
            typed,
            apply,
            deadline,
        })
    }

    /// Who the plugin is, in its own words.
    pub(crate) fn describe(&mut self) -> Result<Description, Failure> {
        let describe = self.describe;
        let (description,) = self.call("describe", SETUP_DEADLINE, describe, ())?;
        Ok(description)
    }

    pub(crate) fn create(
        &mut self,
        exchange: u32,
        vhost: &str,
        name: &str,
        arguments: Table,
    ) -> Result<(), Failure> {
        let create = self.exchange()?.create;
        let parameters = (exchange, vhost.to_owned(), name.to_owned(), arguments);
        let (created,) = self.call("exchange.create", SETUP_DEADLINE, create, parameters)?;
        created.map_err(refused)
    }

    pub(crate) fn delete(&mut self, exchange: u32) -> Result<(), Failure> {
        let delete = self.exchange()?.delete;
        self.call("exchange.delete", SETUP_DEADLINE, delete, (exchange,))
    }

    pub(crate) fn rebind(
        &mut self,
        exchange: u32,
        add: Vec<Binding>,
        remove: Vec<u32>,
    ) -> Result<(), Failure> {
        let rebind = self.exchange()?.rebind;
        let parameters = (exchange, add, remove);
        let (bound,) = self.call("exchange.rebind", SETUP_DEADLINE, rebind, parameters)?;
        bound.map_err(refused)
    }

    /// Whether the plugin routes packed batches.
    pub(crate) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    pub(crate) fn route_packed(
        &mut self,
        exchange: u32,
        batch: &[u8],
    ) -> Result<Vec<u32>, Failure> {
        let Some(packed) = &mut self.packed else {
            return Err(lacks("exchange-packed"));
        };
        // Nothing else holds it between two calls.
        let buffer = Arc::make_mut(&mut packed.buffer);
        buffer.clear();
        buffer.extend_from_slice(batch);
        let parameters = (exchange, Arc::clone(&packed.buffer));
        let route = packed.route;
        let (answer,) = self.call("exchange-packed.route", self.deadline, route, parameters)?;
        Ok(answer)
    }

    pub(crate) fn route_typed(
        &mut self,
        exchange: u32,
        batch: Vec<Message>,
    ) -> Result<Vec<Vec<u32>>, Failure> {
        let route = self.typed.ok_or_else(|| lacks("exchange-typed"))?;
        let parameters = (exchange, batch);
        let (answer,) = self.call("exchange-typed.route", self.deadline, route, parameters)?;
        Ok(answer)
    }

    pub(crate) fn apply(
        &mut self,
        message: Message,
        queue: Option<&str>,
    ) -> Result<Verdict, Failure> {
        let apply = self.apply.ok_or_else(|| lacks("transform"))?;
        let parameters = (message, queue.map(str::to_owned));
        let (verdict,) = self.call("transform.apply", self.deadline, apply, parameters)?;
        Ok(verdict)
    }

    /// The messages that the plugin sent since the last time.
    pub(crate) fn take_sent(&mut self) -> Vec<Outgoing> {
        self.store.data_mut().take_sent()
    }

    /// What the instance holds of its grants.
    pub(crate) fn grants(&self) -> &Grants {
        &self.store.data().grants
    }

    fn exchange(&self) -> Result<&Exchange, Failure> {
        self.exchange.as_ref().ok_or_else(|| lacks("exchange"))
    }

    fn call<P, R>(
        &mut self,
        name: &str,
        limit: Duration,
        function: TypedFunc<P, R>,
        parameters: P,
    ) -> Result<R, Failure>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        State::begin(&mut self.store, limit);
        function
            .call(&mut self.store, parameters)
            .map_err(|error| failure(&mut self.store, name, &error))
    }
}

fn failure(store: &mut Store<State>, call: &str, error: &wasmtime::Error) -> Failure {
    let words = store.data_mut().last_words();
    Failure::fatal(
        fault::kind(error),
        fault::text(call, error, words.as_deref()),
    )
}

fn mistyped(error: &wasmtime::Error) -> Failure {
    Failure::fatal(Fault::BadAnswer, mismatch(error).to_string())
}

fn refused(text: String) -> Failure {
    Failure::harmless(Fault::Refused, fault::cut(text))
}

fn lacks(interface: &str) -> Failure {
    let text = format!("it does not export {interface}");
    Failure::harmless(Fault::NotLoaded, text)
}
