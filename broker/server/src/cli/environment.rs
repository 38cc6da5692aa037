//! Environment variables: those that say nothing are refused, and what is wrong with a value names the variable that it is from.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};

use crate::nearest::nearest;

const PREFIX: &str = "AMPHORA_";

/// Looks for variables that the broker would be expected to know by their prefix, and does not.
///
/// # Errors
/// The first of them, with the one that was probably meant.
pub(super) fn check(
    command: &Command,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), String> {
    let known = variables_of(command);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut unknown: Vec<String> = variables
        .into_iter()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .filter(|(name, value)| {
            name.starts_with(PREFIX)
                && !known.contains(&name.as_str())
                && !is_service_link(name, value)
        })
        .map(|(name, _)| name)
        .collect();
    unknown.sort_unstable();
    let Some(name) = unknown.first() else {
        return Ok(());
    };
    let suffix = |name| str::strip_prefix(name, PREFIX).unwrap_or(name);
    let suffixes: Vec<&str> = known.iter().copied().map(suffix).collect();
    let meant = match nearest(suffix(name), &suffixes) {
        Some(near) => format!("did you mean `{PREFIX}{near}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    Err(format!("unknown environment variable `{name}`; {meant}"))
}

/// Kubernetes and Docker describe a service of this name to every container near it, in variables that it has not asked for.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let is_address = || value.to_string_lossy().contains("://");
    let mut words = name.split('_').skip_while(|word| *word != "PORT").skip(1);
    let of_port = words.next().is_some_and(|word| word.parse::<u16>().is_ok());
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || of_port
        || name.ends_with("_PORT") && is_address()
}

/// All that stand for some flag, of whichever subcommand.
fn variables_of(command: &Command) -> Vec<String> {
    let mut names = Vec::new();
    each_flag(command, &mut |flag| {
        names.extend(variable_of(flag).map(str::to_owned));
    });
    names.sort_unstable();
    names.dedup();
    names
}

fn variable_of(flag: &Arg) -> Option<&str> {
    flag.get_env().and_then(OsStr::to_str)
}

fn each_flag(command: &Command, look: &mut impl FnMut(&Arg)) {
    command.get_arguments().for_each(&mut *look);
    for command in command.get_subcommands() {
        each_flag(command, look);
    }
}

/// The variable that a flag's value is from: none if the flag stands among the words, or the variable is not set.
pub(crate) fn source<'a>(flag: &str, variable: &'a str) -> Option<&'a str> {
    let is_given = std::env::args_os().any(|word| {
        let word = word.to_string_lossy();
        word.strip_prefix(flag)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    });
    (!is_given && std::env::var_os(variable).is_some()).then_some(variable)
}

/// Has the complaint about a value that is from a variable name that, rather than the flag. `command` is the one that was given.
pub(super) fn name_variable(error: &mut clap::Error, command: &Command) {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    // The flag, and what stands for its value: `--config <FILE>`.
    let given = shown.split(' ').next().unwrap_or_default().to_owned();
    let mut found = None;
    each_flag(command, &mut |flag| {
        let is_given = flag.get_long() == given.strip_prefix("--");
        if let Some(variable) = variable_of(flag).filter(|_| is_given) {
            found = source(&given, variable).map(str::to_owned);
        }
    });
    if let Some(variable) = found {
        error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn checked(variables: &[(&str, &str)]) -> Result<(), String> {
        let variables = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        check(&Cli::command(), variables)
    }

    #[test]
    fn a_variable_that_says_nothing_is_refused_with_the_one_that_was_meant() {
        for (name, meant) in [
            ("AMPHORA_DATADIR", "AMPHORA_DATA_DIR"),
            ("AMPHORA_DATA_DIRECTORY", ""),
            ("AMPHORA_AMQP_LISTENER", "AMPHORA_AMQP_LISTEN"),
            ("AMPHORA_", ""),
            ("AMPHORA_AMQP_PORT", ""),
        ] {
            let expected = if meant.is_empty() {
                "known are AMPHORA_AMQPS_LISTEN, AMPHORA_AMQP_LISTEN, AMPHORA_CONFIG, AMPHORA_DATA_DIR, AMPHORA_HTTP_LISTEN, \
                 AMPHORA_LOG_FORMAT, AMPHORA_PASSWORD, AMPHORA_PLUGIN_INSTALL, AMPHORA_URL, AMPHORA_USERNAME, AMPHORA_VHOST"
                    .to_owned()
            } else {
                format!("did you mean `{meant}`?")
            };
            let expected = format!("unknown environment variable `{name}`; {expected}");
            assert_eq!(checked(&[(name, "5672")]), Err(expected));
        }
    }

    #[test]
    fn what_others_say_is_none_of_the_broker_s_business() {
        let variables = [
            ("PATH", "/bin"),
            ("RABBITMQ_NODENAME", "rabbit"),
            ("AMPHORA_URL", "http://127.0.0.1:15672"),
            ("AMPHORA_SERVICE_HOST", "10.0.0.11"),
            ("AMPHORA_SERVICE_PORT", "5672"),
            ("AMPHORA_SERVICE_PORT_AMQP", "5672"),
            ("AMPHORA_PORT", "tcp://10.0.0.11:5672"),
            ("AMPHORA_PORT_5672_TCP", "tcp://10.0.0.11:5672"),
            ("AMPHORA_PORT_5672_TCP_PROTO", "tcp"),
            ("AMPHORA_HEADLESS_SERVICE_HOST", "10.0.0.11"),
            ("AMPHORA_HEADLESS_PORT_5672_TCP_ADDR", "10.0.0.11"),
        ];
        assert_eq!(checked(&variables), Ok(()));
    }
}
