//! What stands between the contract's exports and the traits of this crate. It is public for the sake of the export macros.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::thread::LocalKey;

use crate::bindings::exchange::exports::amphora::plugin as exchange;
use crate::bindings::grants::amphora::plugin::types;
use crate::bindings::plugin::exports::amphora::plugin;
use crate::bindings::transform::exports::amphora::plugin as transform;
use crate::exchange::exchanges::Exchanges;
use crate::exchange::{Binding, Declaration, Exchange};
use crate::flat::tree;
use crate::transform::{Message, Transform};

/// The exchanges of an instance.
pub struct ExchangeState<E: Exchange>(RefCell<Exchanges<E>>);

impl<E: Exchange> Default for ExchangeState<E> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

/// Where an instance keeps its exchanges. An instance is called by one thread at a time.
pub trait ExchangeHome {
    /// The type of exchange.
    type Exchange: Exchange;

    /// The place.
    fn state() -> &'static LocalKey<ExchangeState<Self::Exchange>>;
}

/// Exports a type of exchange.
pub struct ExchangeGuest<H>(PhantomData<H>);

fn exchanges<H: ExchangeHome, R>(call: impl FnOnce(&mut Exchanges<H::Exchange>) -> R) -> R {
    H::state().with(|state| call(&mut state.0.borrow_mut()))
}

impl<H: ExchangeHome> plugin::plugin::Guest for ExchangeGuest<H> {
    fn describe() -> types::Description {
        exchanges::<H, _>(Exchanges::describe).flat()
    }
}

impl<H: ExchangeHome> exchange::exchange::Guest for ExchangeGuest<H> {
    fn create(
        exchange: u32,
        vhost: String,
        name: String,
        arguments: types::Table,
    ) -> Result<(), String> {
        let declaration = Declaration {
            vhost,
            name,
            arguments: tree(arguments)?,
        };
        exchanges::<H, _>(|exchanges| exchanges.create(exchange, &declaration))
    }

    fn delete(exchange: u32) {
        exchanges::<H, _>(|exchanges| exchanges.delete(exchange));
    }

    fn rebind(
        exchange: u32,
        add: Vec<exchange::exchange::Binding>,
        remove: Vec<u32>,
    ) -> Result<(), String> {
        let add = add.into_iter().map(|binding| {
            let id = binding.id;
            let binding = Binding {
                destination: binding.destination,
                routing_key: binding.routing_key,
                arguments: tree(binding.arguments)?,
            };
            Ok((id, binding))
        });
        let add = add.collect::<Result<_, String>>()?;
        exchanges::<H, _>(|exchanges| exchanges.rebind(exchange, add, &remove))
    }
}

impl<H: ExchangeHome> exchange::exchange_packed::Guest for ExchangeGuest<H> {
    fn route(exchange: u32, batch: Vec<u8>) -> Vec<u32> {
        match exchanges::<H, _>(|exchanges| exchanges.route(exchange, &batch)) {
            Ok(answer) => answer,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The transform of an instance, from the first call on.
pub struct TransformState<T>(RefCell<Option<T>>);

impl<T> Default for TransformState<T> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

/// Where an instance keeps its transform.
pub trait TransformHome {
    /// The transform.
    type Transform: Transform;

    /// The place.
    fn state() -> &'static LocalKey<TransformState<Self::Transform>>;
}

/// Exports a transform.
pub struct TransformGuest<H>(PhantomData<H>);

fn transform<H: TransformHome, R>(call: impl FnOnce(&mut H::Transform) -> R) -> R {
    H::state().with(|state| {
        let mut state = state.0.borrow_mut();
        let transform = state.get_or_insert_with(|| match H::Transform::configure() {
            Ok(transform) => transform,
            Err(error) => panic!("{error}"),
        });
        call(transform)
    })
}

impl<H: TransformHome> plugin::plugin::Guest for TransformGuest<H> {
    fn describe() -> types::Description {
        transform::<H, _>(|transform| transform.describe()).flat()
    }
}

impl<H: TransformHome> transform::transform::Guest for TransformGuest<H> {
    fn apply(message: types::Message, queue: Option<String>) -> transform::transform::Verdict {
        let message = match Message::read(message) {
            Ok(message) => message,
            Err(error) => panic!("{error}"),
        };
        transform::<H, _>(|transform| transform.apply(&message, queue.as_deref())).flat()
    }
}

/// Makes the component's exports out of a type that implements [`Exchange`](crate::exchange::Exchange). To be called once in a crate
/// of type `cdylib`. Natively it makes nothing.
#[macro_export]
macro_rules! export_exchange {
    ($exchange:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            $crate::__exchange_guest!($exchange);
    $crate::bindings::plugin::export!(ExchangeGuest with_types_in $crate::bindings::plugin);
        };
    };
}

/// Makes the component's exports out of a type that implements [`Transform`](crate::transform::Transform). To be called once in a crate
/// of type `cdylib`. Natively it makes nothing.
#[macro_export]
macro_rules! export_transform {
    ($transform:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            $crate::__transform_guest!($transform);
            $crate::bindings::plugin::export!(TransformGuest with_types_in $crate::bindings::plugin);
        };
    };
}

/// Makes the exports of a component that is both a type of exchange and a transform, in place of the macros for one of them. The component is
/// described by the exchange, whose needs have to include those of the transform. Natively it makes nothing.
#[macro_export]
macro_rules! export_exchange_and_transform {
    ($exchange:ty, $transform:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            $crate::__exchange_guest!($exchange);
            $crate::__transform_guest!($transform);
    $crate::bindings::plugin::export!(ExchangeGuest with_types_in $crate::bindings::plugin);
        };
    };
}

#[macro_export]
#[doc(hidden)]
macro_rules! __exchange_guest {
    ($exchange:ty) => {
        ::std::thread_local! {
            static EXCHANGES: $crate::guest::ExchangeState<$exchange> = ::core::default::Default::default();
        }

        struct ExchangeHome;

        impl $crate::guest::ExchangeHome for ExchangeHome {
            type Exchange = $exchange;

            fn state() -> &'static ::std::thread::LocalKey<$crate::guest::ExchangeState<$exchange>> {
                &EXCHANGES
            }
        }

        type ExchangeGuest = $crate::guest::ExchangeGuest<ExchangeHome>;

        $crate::bindings::exchange::export!(ExchangeGuest with_types_in $crate::bindings::exchange);
    };
}

#[macro_export]
#[doc(hidden)]
macro_rules! __transform_guest {
    ($transform:ty) => {
        ::std::thread_local! {
            static TRANSFORM: $crate::guest::TransformState<$transform> = ::core::default::Default::default();
        }

        struct TransformHome;

        impl $crate::guest::TransformHome for TransformHome {
            type Transform = $transform;

            fn state() -> &'static ::std::thread::LocalKey<$crate::guest::TransformState<$transform>> {
                &TRANSFORM
            }
        }

        type TransformGuest = $crate::guest::TransformGuest<TransformHome>;

        $crate::bindings::transform::export!(TransformGuest with_types_in $crate::bindings::transform);
    };
}
