//! Other programs: found, installed, run.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};

use anyhow::{Context, bail, ensure};

/// How other programs are run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tools {
    /// Say nothing while all is well.
    pub(super) quiet: bool,
    /// Install what is missing.
    pub(super) install: bool,
}

impl Tools {
    /// Tells whoever waits what is going on.
    #[expect(clippy::print_stderr, reason = "progress of a command")]
    pub(super) fn say(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Runs a program to its end. What it writes is seen on stderr.
    ///
    /// # Errors
    /// It does not start, or ends with another status than success.
    pub(super) fn run(self, command: &mut Command) -> anyhow::Result<()> {
        command.stdout(if self.quiet {
            Stdio::piped()
        } else {
            Stdio::from(io::stderr())
        });
        let Output { status, stdout, .. } = self.end(command)?;
        if !status.success() {
            Self::show(&stdout);
        }
        check(command, status)
    }

    /// Runs a program to its end, and returns what it wrote on stdout. What it wrote on stderr is seen there.
    ///
    /// # Errors
    /// It does not start, or ends with another status than success.
    pub(super) fn output(self, command: &mut Command) -> anyhow::Result<Vec<u8>> {
        command.stdout(Stdio::piped());
        let Output { status, stdout, .. } = self.end(command)?;
        check(command, status).map(|()| stdout)
    }

    fn end(self, command: &mut Command) -> anyhow::Result<Output> {
        self.say(&format!("> {}", line(command)));
        // Some of the tools are written in Rust, and where in them an author's mistake was found helps nobody.
        command.env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null()).stderr(if self.quiet {
            Stdio::piped()
        } else {
            Stdio::inherit()
        });
        let output = command
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .with_context(|| format!("{} does not run", program(command)))?;
        if !output.status.success() {
            Self::show(&output.stderr);
        }
        Ok(output)
    }

    /// Shows what was held back.
    #[expect(
        clippy::print_stderr,
        reason = "what a program has to say about its failure"
    )]
    fn show(held_back: &[u8]) {
        eprint!("{}", String::from_utf8_lossy(held_back));
    }

    /// Installs packages of the system, if that was asked for.
    ///
    /// # Errors
    /// It was not asked for: `missing` says what is missing, and the error what would install it. Or apt-get fails.
    pub(super) fn install(self, missing: &str, packages: &[&str]) -> anyhow::Result<()> {
        let names = packages.join(" ");
        if !self.install {
            bail!(
                "{missing}; on Debian or Ubuntu, `apt-get install {names}` as root installs it, and so does --install"
            );
        }
        if find("apt-get").is_none() {
            bail!("{missing}, and there is no apt-get to install it with");
        }
        let apt = |action: &str| {
            let mut command = Command::new("apt-get");
            command
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args([action, "--yes"]);
            command
        };
        self.run(&mut apt("update"))
            .and_then(|()| self.run(apt("install").arg("--no-install-recommends").args(packages)))
            .with_context(|| {
                format!("{missing}, and installing {names} did not work; only root can")
            })
    }
}

/// Whether apt knows a package of this name.
pub(super) fn packaged(name: &str) -> bool {
    let output = Command::new("apt-cache").args(["show", name]).output();
    output.is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}

/// Where a program is, by the environment's `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// What a program writes on stdout if asked, without the line's end. None if it fails or is not there.
pub(super) fn ask<I, S>(command: &mut Command, arguments: I) -> Option<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let output = command.args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}

fn check(command: &Command, status: ExitStatus) -> anyhow::Result<()> {
    ensure!(
        status.success(),
        "{} failed ({status}), and said above why",
        program(command)
    );
    Ok(())
}

fn program(command: &Command) -> String {
    let path = PathBuf::from(command.get_program());
    let name = path.file_name().unwrap_or(command.get_program());
    name.to_string_lossy().into_owned()
}

/// The command as one would type it, so that it can be repeated by hand.
fn line(command: &Command) -> String {
    let words = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))))
        .chain([quoted(command.get_program())])
        .chain(command.get_args().map(quoted));
    words.collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_./=:,@+%".contains(&octet);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Tools = Tools {
        quiet: true,
        install: false,
    };

    #[test]
    fn a_failure_names_the_program_and_its_status() {
        let error = QUIET.run(&mut Command::new("false")).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "false failed (exit status: 1), and said above why"
        );
        let error = QUIET.run(&mut Command::new("no-such-program")).unwrap_err();
        assert!(format!("{error:#}").starts_with("no-such-program does not run: "));
    }

    #[test]
    fn what_a_program_writes_is_returned() {
        let output = QUIET.output(Command::new("echo").arg("a b"));
        assert_eq!(output.unwrap(), b"a b\n");
    }

    #[test]
    fn what_is_missing_is_named_with_its_cure() {
        let error = QUIET.install("there is no clang", &["clang", "lld"]);
        assert_eq!(
            format!("{:#}", error.unwrap_err()),
            "there is no clang; on Debian or Ubuntu, `apt-get install clang lld` as root installs it, and so does --install"
        );
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("cc");
        command.env("LANG", "C x").args(["-o", "it's"]);
        assert_eq!(line(&command), r"LANG='C x' cc -o 'it'\''s'");
    }
}
