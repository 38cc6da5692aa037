//! `amphora serve`: flags and environment variables over the file over the defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::exit::Exit;
use crate::config::{Config, ConfigError, LogFormat};
use crate::logging;
use crate::reload::Source;
use crate::serve::{self, ServeError};

/// What `amphora serve` accepts. Everything else is in the file that `--config` names.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    /// The configuration file (TOML); `config.example.toml` documents its keys.
    #[arg(long, env = "AMPHORA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where messages and definitions are kept [default: ./amphora-data].
    #[arg(long, env = "AMPHORA_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Listen here for AMQP; repeatable, in the environment separated by commas [default: 127.0.0.1:5672].
    #[arg(
        long,
        env = "AMPHORA_AMQP_LISTEN",
        value_name = "ADDR:PORT",
        value_delimiter = ',',
        value_parser = address,
    )]
    amqp_listen: Vec<SocketAddr>,
    /// Listen here for AMQP over TLS; needs a certificate in the file.
    #[arg(
        long,
        env = "AMPHORA_AMQPS_LISTEN",
        value_name = "ADDR:PORT",
        value_delimiter = ',',
        value_parser = address,
    )]
    amqps_listen: Vec<SocketAddr>,
    /// Listen here for the management API [default: 127.0.0.1:15672].
    #[arg(
        long,
        env = "AMPHORA_HTTP_LISTEN",
        value_name = "ADDR:PORT",
        value_delimiter = ',',
        value_parser = address,
    )]
    http_listen: Vec<SocketAddr>,
    /// How log lines look [default: text].
    #[arg(
        long,
        env = "AMPHORA_LOG_FORMAT",
        value_name = "text|json",
        hide_possible_values = true
    )]
    log_format: Option<LogFormat>,
}

impl ServeArgs {
    /// Runs the broker until it is told to stop.
    pub(super) fn run(self) -> Result<ExitCode, Exit> {
        let usage = |error: &dyn std::error::Error| Exit::Usage(error.to_string());
        let source = self.source();
        let config = self.into_config().map_err(|error| usage(&error))?;
        let unwritten =
            logging::init(&config.logging, &config.tracing).map_err(|error| usage(&error))?;
        let ended = serve::run(&config, source);
        let is_read = unwritten.end();
        match ended {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(ServeError::Config(error)) => Err(Exit::Usage(error.to_string())),
            // To say why to who reads nothing would not end.
            Err(_) if !is_read => Ok(ExitCode::FAILURE),
            Err(error) => Err(Exit::Failed(error.to_string())),
        }
    }

    /// Where the configuration is read again when it changes: the file, under the same flags and variables.
    fn source(&self) -> Option<Source> {
        let args = self.clone();
        let file = self.config.clone()?;
        let read = move |file: &Path, text: &str| {
            Config::parse(file, text, |config| args.clone().apply(config))
        };
        Some(Source::new(file, read))
    }

    /// The configuration that results from file, environment and flags.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        Config::load(self.config.clone().as_deref(), |config| self.apply(config))
    }

    fn apply(self, config: &mut Config) {
        let Self {
            config: _,
            data_dir,
            amqp_listen,
            amqps_listen,
            http_listen,
            log_format,
        } = self;
        let listeners = &mut config.listeners;
        for (given, listener) in [
            (amqp_listen, &mut listeners.amqp),
            (amqps_listen, &mut listeners.amqps),
            (http_listen, &mut listeners.http),
        ] {
            if !given.is_empty() {
                *listener = given;
            }
        }
        if let Some(data_dir) = data_dir {
            config.data_dir = data_dir;
        }
        if let Some(format) = log_format {
            config.logging.format = format;
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "give an address and port such as 127.0.0.1:5672 or [::1]:5672")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        serve: ServeArgs,
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("amphora.toml");
        std::fs::write(
            &file,
            "data_dir = \"from-file\"\n[listeners]\namqp = [\"127.0.0.1:1\"]\nhttp = [\"127.0.0.1:2\"]\n",
        )?;
        let file = file.to_string_lossy();
        let flags = [
            "serve",
            "--config",
            &file,
            "--amqp-listen",
            "127.0.0.1:3",
            "--amqp-listen",
            "[::1]:4",
        ];

        let config = Command::try_parse_from(flags)?.serve.into_config()?;

        assert_eq!(
            config.listeners.amqp,
            ["127.0.0.1:3".parse()?, "[::1]:4".parse()?]
        );
        assert_eq!(config.listeners.http, ["127.0.0.1:2".parse()?]);
        assert_eq!(config.data_dir, PathBuf::from("from-file"));
        assert_eq!(config.logging.format, LogFormat::Text);
        Ok(())
    }

    #[test]
    fn every_flag_has_an_environment_variable_that_is_named_after_it() {
        use clap::CommandFactory;
        for flag in Command::command().get_arguments() {
            let name = format!("AMPHORA_{}", flag.get_id().as_str().to_uppercase());
            assert_eq!(
                flag.get_env().and_then(|env| env.to_str()),
                Some(name.as_str()),
                "{flag}"
            );
        }
    }
}
