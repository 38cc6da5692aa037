//! C: bindings are generated from the contract, clang compiles, wasm-ld links. There is no libc; a small file stands in for its memory
//! functions, so that a plugin imports nothing and its component has a few KiB.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use super::component;
use super::project::Project;
use super::tools::{self, Tools, find};
use crate::plugin::contract::{self, GUEST};

/// What stands in for a libc.
const FREESTANDING: [(&str, &str); 3] = [
    (
        "stdlib.h",
        include_str!("../../../../../plugins/sdk/c/freestanding/stdlib.h"),
    ),
    (
        "string.h",
        include_str!("../../../../../plugins/sdk/c/freestanding/string.h"),
    ),
    (
        "memory.c",
        include_str!("../../../../../plugins/sdk/c/freestanding/memory.c"),
    ),
];

/// What the name of clang may end in: the newest first, but what the user chose as the default before that.
const SUFFIXES: [&str; 12] = [
    "", "-24", "-23", "-22", "-21", "-20", "-19", "-18", "-17", "-16", "-15", "-14",
];

const STACK_BYTES: u32 = 256 * 1024;

/// Builds it.
///
/// # Errors
/// There is no clang for WebAssembly, or it does not accept the source.
pub(super) fn build(tools: Tools, project: &Project) -> anyhow::Result<Vec<u8>> {
    ensure!(!project.sources.is_empty(), "there is no *.c in it");
    let mut compiler = Compiler::find();
    if compiler.is_none() {
        tools.install(
            "building C needs clang with the target wasm32, and wasm-ld of the same version",
            &newest_packages(),
        )?;
        compiler = Compiler::find();
    }
    let compiler = compiler.context("clang was installed and is not found in PATH")?;
    let scratch = project.scratch();
    let bindings = scratch.join("bindings");
    let freestanding = scratch.join("freestanding");
    for folder in [&bindings, &freestanding] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    for (name, text) in FREESTANDING {
        fs::write(freestanding.join(name), text).context(name)?;
    }
    generate(project, &scratch.join("wit"), &bindings)?;

    let include = [&bindings, &freestanding, &project.folder];
    let mut objects = vec![bindings.join(format!("{GUEST}_component_type.o"))];
    let supplied = [
        bindings.join(format!("{GUEST}.c")),
        freestanding.join("memory.c"),
    ];
    let own = project.sources.iter().map(|source| (source, true));
    for (source, warn) in supplied.iter().map(|source| (source, false)).chain(own) {
        let object = scratch.join(format!("{}.o", objects.len()));
        let mut command = compiler.compile(source, &object, warn);
        command.args(
            include
                .iter()
                .flat_map(|folder| ["-I".as_ref(), folder.as_os_str()]),
        );
        tools.run(&mut command).with_context(|| {
            let (source, world) = (source.display(), &project.world);
            format!("{source} does not compile for the contract's world '{world}'")
        })?;
        objects.push(object);
    }
    let module = scratch.join("module.wasm");
    tools.run(&mut compiler.link(&objects, &module)).with_context(|| format!(
        "it does not link; an undefined symbol may be a function of the contract's world '{}' that is not written, or one of a libc, which is not there",
        project.world
    ))?;
    component::encode(&fs::read(&module).with_context(|| module.display().to_string())?)
}

/// Writes `guest.h`, `guest.c` and an object that says what they bind.
fn generate(project: &Project, wit: &Path, folder: &Path) -> anyhow::Result<()> {
    let own = project.folder.join("wit");
    contract::lay_out(wit, &own, &project.world, &project.grants)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], None)?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(&mut resolve, world, &mut files)
        .context("the contract has no bindings in C")?;
    for (name, bytes) in files.iter() {
        let file = folder.join(name);
        fs::write(&file, bytes).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// A clang and a linker that fit together.
struct Compiler {
    clang: PathBuf,
    linker: PathBuf,
}

impl Compiler {
    fn find() -> Option<Self> {
        SUFFIXES.iter().find_map(|suffix| {
            let clang = find(&format!("clang{suffix}"))?;
            let targets = tools::ask(&mut Command::new(&clang), ["--print-targets"])?;
            if !targets.contains("wasm32") {
                return None;
            }
            let version = tools::ask(&mut Command::new(&clang), ["-dumpversion"])?;
            let major = version.split('.').next()?;
            let linker =
                find(&format!("wasm-ld-{major}")).or_else(|| find(&format!("wasm-ld{suffix}")))?;
            Some(Self { clang, linker })
        })
    }

    fn compile(&self, source: &Path, object: &Path, warn: bool) -> Command {
        let mut command = Command::new(&self.clang);
        command.args([
            "--target=wasm32-unknown-unknown",
            "-std=c11",
            "-O3",
            "-ffreestanding",
            // Freestanding code may still have its small copies inlined.
            "-fbuiltin",
            "-mbulk-memory",
            if warn { "-Wall" } else { "-w" },
            "-c",
        ]);
        command.arg(source).arg("-o").arg(object);
        command
    }

    fn link(&self, objects: &[PathBuf], module: &Path) -> Command {
        let mut command = Command::new(&self.linker);
        // With the stack first, an overflow leaves the memory and traps, and overwrites nothing.
        command
            .args(["--no-entry", "--stack-first", "-z"])
            .arg(format!("stack-size={STACK_BYTES}"))
            .args(objects)
            .arg("-o")
            .arg(module);
        command
    }
}

fn newest_packages() -> [&'static str; 2] {
    if tools::packaged("clang-19") {
        ["clang-19", "lld-19"]
    } else {
        ["clang", "lld"]
    }
}
