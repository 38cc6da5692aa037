//! Collects the SDK for plugins in Rust, which `amphora plugin new` puts into a new project, and says when the web UI is to be embedded anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Relative to this package.
const SDK: &str = "../../plugins/sdk";

/// The web UI as it was built. Files of other names come with each change.
const UI: &str = "../ui/dist";

#[expect(
    clippy::unnecessary_debug_formatting,
    reason = "they are string literals"
)]
fn main() -> io::Result<()> {
    let sdk = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join(SDK);
    let mut files = vec![sdk.join("Cargo.toml")];
    collect(&sdk.join("src"), &mut files)?;
    files.sort();
    let mut list = "&[\n".to_owned();
    for file in &files {
        let name = file.strip_prefix(&sdk).map_err(io::Error::other)?;
        writeln!(list, "    ({name:?}, include_str!({file:?})),").map_err(io::Error::other)?;
    }
    list.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("rust_sdk.in"), list)?;
    println!("cargo::rerun-if-changed={SDK}/Cargo.toml");
    println!("cargo::rerun-if-changed={SDK}/src");
    println!("cargo::rerun-if-changed={UI}");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
