//! Rust: cargo builds a core module for `wasm32-unknown-unknown`, which becomes a component here.
//!
//! The target's standard library comes from rustup, from a package of the system, or is built from its source. All plugins of one cargo
//! workspace, or with one `CARGO_TARGET_DIR`, share what was built.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use super::component;
use super::project::Project;
use super::tools::{self, Tools, find};

const TARGET: &str = "wasm32-unknown-unknown";

/// Tells cargo the target's linker.
const LINKER: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER";

/// Builds it.
///
/// # Errors
/// There is no cargo that can build for WebAssembly, or it does not accept the source.
pub(super) fn build(tools: Tools, project: &Project) -> anyhow::Result<Vec<u8>> {
    let toolchain = Toolchain::choose(tools, &project.folder)?;
    let output = tools
        .output(&mut toolchain.cargo(&project.folder))
        .context("the crate does not build")?;
    let module = module(&String::from_utf8(output).context("cargo's messages are not UTF-8")?)?;
    component::encode(&fs::read(&module).with_context(|| module.display().to_string())?)
}

/// A cargo and a rustc that can build for WebAssembly.
#[derive(Debug, PartialEq, Eq)]
struct Toolchain {
    home: Home,
    std: Std,
}

/// Whose cargo and rustc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// Those that `PATH` and the environment say.
    Active,
    /// Those of the system's packages, whatever else is installed.
    System,
}

/// Where the target's standard library comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Std {
    Installed,
    Source,
}

impl Toolchain {
    fn choose(tools: Tools, folder: &Path) -> anyhow::Result<Self> {
        let installed = |home: Home| {
            (home.std(folder) == Some(Std::Installed)).then_some(Self {
                home,
                std: Std::Installed,
            })
        };
        if let Some(toolchain) = installed(Home::Active) {
            return Ok(toolchain);
        }
        if add_target(tools, folder)
            && let Some(toolchain) = installed(Home::Active)
        {
            return Ok(toolchain);
        }
        let any = |home: Home| {
            Some(Self {
                home,
                std: home.std(folder)?,
            })
        };
        let found = || {
            installed(Home::System)
                .or_else(|| any(Home::System))
                .or_else(|| any(Home::Active))
        };
        if let Some(toolchain) = found() {
            return Ok(toolchain);
        }
        let missing = format!(
            "building Rust needs the target {TARGET}, which `rustup target add {TARGET}` installs where rustup is"
        );
        tools.install(&missing, packages())?;
        found()
            .with_context(|| format!("{missing}; the packages of the system have no such target"))
    }

    /// The command that builds the crate in `folder`, and tells on stdout what it made.
    fn cargo(&self, folder: &Path) -> Command {
        let mut command = self.home.command("cargo");
        command.current_dir(folder).args([
            "build",
            "--release",
            "--lib",
            "--target",
            TARGET,
            "--message-format=json-render-diagnostics",
        ]);
        // What a cargo that runs this program says of its own package would have dependencies built again.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        if self.home == Home::System {
            command.env("RUSTC", Home::SYSTEM_BIN.to_owned() + "/rustc");
        }
        if self.std == Std::Source {
            command
                .env("RUSTC_BOOTSTRAP", "1")
                .arg("-Zbuild-std=std,panic_abort");
        }
        // Distributions' compilers come without the linker that rustc would use for this target.
        if env::var_os(LINKER).is_none()
            && !self.home.has_own_linker(folder)
            && let Some(linker) = system_linker()
        {
            command.env(LINKER, linker);
        }
        command
    }
}

impl Home {
    const SYSTEM_BIN: &str = "/usr/bin";

    fn command(self, program: &str) -> Command {
        if self == Self::Active {
            return Command::new(program);
        }
        let bin = PathBuf::from(Self::SYSTEM_BIN);
        let mut command = Command::new(bin.join(program));
        // cargo looks for some of its tools there.
        let rest = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([bin].into_iter().chain(env::split_paths(&rest)));
        command.env(
            "PATH",
            path.unwrap_or_else(|_| OsString::from(Self::SYSTEM_BIN)),
        );
        command
    }

    /// What rustc says of itself. None if there is none.
    fn ask(self, folder: &Path, arguments: &[&str]) -> Option<PathBuf> {
        let mut command = match env::var_os("RUSTC") {
            Some(rustc) if self == Self::Active => Command::new(rustc),
            _ => self.command("rustc"),
        };
        tools::ask(command.current_dir(folder), arguments).map(PathBuf::from)
    }

    fn std(self, folder: &Path) -> Option<Std> {
        let library = self.ask(folder, &["--print", "target-libdir", "--target", TARGET])?;
        if fs::read_dir(library).is_ok_and(|mut files| files.next().is_some()) {
            return Some(Std::Installed);
        }
        let root = self.ask(folder, &["--print", "sysroot"])?;
        let source = root.join("lib/rustlib/src/rust/library/Cargo.lock");
        source.is_file().then_some(Std::Source)
    }

    fn has_own_linker(self, folder: &Path) -> bool {
        // The libraries of the host are in `lib` beside the programs in `bin`.
        let library = self.ask(folder, &["--print", "target-libdir"]);
        library.is_some_and(|library| library.with_file_name("bin").join("rust-lld").is_file())
    }
}

/// Asks rustup for the target, if the active rustc is one of rustup's. Where there is no network, it is not to be had.
fn add_target(tools: Tools, folder: &Path) -> bool {
    if find("rustup").is_none() {
        return false;
    }
    let mut rustup = Command::new("rustup");
    rustup.current_dir(folder).args(["target", "add", TARGET]);
    match tools.run(&mut rustup) {
        Ok(()) => true,
        Err(error) => {
            tools.say(&format!("{error:#}; looking for another way"));
            false
        }
    }
}

fn system_linker() -> Option<PathBuf> {
    let newest_first = (14..=24).rev().map(|version| format!("wasm-ld-{version}"));
    ["wasm-ld".to_owned()]
        .into_iter()
        .chain(newest_first)
        .find_map(|name| find(&name))
}

/// Debian 12 has a newer Rust beside its own for browsers, without the target's library but with its source.
fn packages() -> &'static [&'static str] {
    if tools::packaged("rustc-web") {
        &["rustc-web", "cargo-web", "rust-web-src", "lld-19"]
    } else {
        &["rustc", "cargo", "libstd-rust-dev-wasm32", "lld"]
    }
}

/// Finds the module in what cargo told.
fn module(messages: &str) -> anyhow::Result<PathBuf> {
    let mut modules = Vec::new();
    for line in messages.lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            // A build script of some dependency may print what it likes.
            continue;
        };
        if message["reason"] != "compiler-artifact" {
            continue;
        }
        let files = message["filenames"].as_array().into_iter().flatten();
        let names = files.filter_map(Value::as_str).map(PathBuf::from);
        modules.extend(names.filter(|file| file.extension().is_some_and(|end| end == "wasm")));
    }
    match modules.pop() {
        Some(module) if modules.is_empty() => Ok(module),
        Some(_) => bail!("cargo built several modules; one crate must be one plugin"),
        None => bail!(
            "cargo built no module; Cargo.toml needs [lib] crate-type = [\"cdylib\", \"rlib\"]"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","filenames":["/t/libcore.rlib"]}
a line of something else
{"reason":"compiler-artifact","filenames":["/t/my_plugin.wasm","/t/libmy_plugin.rlib"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(module(messages).unwrap(), Path::new("/t/my_plugin.wasm"));
    }

    #[test]
    fn a_crate_without_a_module_is_told_what_it_lacks() {
        let messages = r#"{"reason":"compiler-artifact","filenames":["/t/libmy_plugin.rlib"]}"#;
        let error = module(messages).unwrap_err().to_string();
        assert!(
            error.contains("crate-type = [\"cdylib\", \"rlib\"]"),
            "{error}"
        );
    }

    #[test]
    fn std_is_built_from_source_only_where_it_must_be() {
        let arguments = |std| {
            let toolchain = Toolchain {
                home: Home::System,
                std,
            };
            let command = toolchain.cargo(Path::new("/"));
            let words = command
                .get_args()
                .map(|word| word.to_string_lossy().into_owned());
            words.collect::<Vec<_>>().join(" ")
        };
        assert!(arguments(Std::Source).ends_with(" -Zbuild-std=std,panic_abort"));
        assert!(!arguments(Std::Installed).contains("-Z"));
    }
}
