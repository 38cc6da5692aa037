//! Lines in the broker's log, marked with the plugin's name. Grant: `log`. At most 100 lines a second and 4 KiB a line; what is
//! above that is counted and dropped.
//!
//! ```
//! use amphora_sdk::log;
//!
//! log::info!("{} bindings", 3);
//! ```

#[cfg(target_arch = "wasm32")]
use crate::bindings::grants::amphora::plugin::log as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::grants::log as host;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody has to do something.
    Error,
    /// Somebody should look at it.
    Warn,
    /// It is good to know.
    Info,
    /// It helps to find errors.
    Debug,
}

/// Writes a line.
pub fn write(level: Level, text: &str) {
    let level = match level {
        Level::Error => host::Level::Error,
        Level::Warn => host::Level::Warn,
        Level::Info => host::Level::Info,
        Level::Debug => host::Level::Debug,
    };
    host::write(level, text);
}

/// Lets panics write their message to the log from now on. Without it, the broker reports only that the plugin trapped.
/// Natively it does nothing.
pub fn panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| {
        write(Level::Error, &panic.to_string());
    }));
}

/// Writes a line of level error; the arguments are those of [`format!`].
#[macro_export]
#[doc(hidden)]
macro_rules! __log_error {
    ($($argument:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($argument)+)) };
}

/// Writes a line of level warn; the arguments are those of [`format!`].
#[macro_export]
#[doc(hidden)]
macro_rules! __log_warn {
    ($($argument:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($argument)+)) };
}

/// Writes a line of level info; the arguments are those of [`format!`].
#[macro_export]
#[doc(hidden)]
macro_rules! __log_info {
    ($($argument:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($argument)+)) };
}

/// Writes a line of level debug; the arguments are those of [`format!`].
#[macro_export]
#[doc(hidden)]
macro_rules! __log_debug {
    ($($argument:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($argument)+)) };
}

#[doc(inline)]
pub use {__log_debug as debug, __log_error as error, __log_info as info, __log_warn as warn};
