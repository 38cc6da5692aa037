//! A folder with a plugin's source: what it is, and what `plugin.toml` says about it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use serde::Deserialize;

use super::super::contract::{GRANTS, WORLDS};
use crate::nearest::nearest;

/// The languages that there are tools for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum Language {
    /// Rust, by cargo.
    Rust,
    /// C, by clang.
    C,
    /// JavaScript, by `QuickJS`.
    Js,
    /// Python, by `CPython`.
    Python,
}

impl Language {
    const ALL: [Self; 4] = [Self::Rust, Self::C, Self::Js, Self::Python];

    /// What `plugin.toml` calls it.
    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Js => "js",
            Self::Python => "python",
        }
    }

    fn is_shown_by(self, file: &Path) -> bool {
        let extension = file.extension().and_then(|extension| extension.to_str());
        match self {
            Self::Rust => file.file_name().is_some_and(|name| name == "Cargo.toml"),
            Self::C => extension == Some("c"),
            Self::Js => extension == Some("js"),
            Self::Python => extension == Some("py"),
        }
    }

    /// The file that is built if there are several: those beside it are what it imports.
    fn main(self) -> Option<&'static str> {
        match self {
            Self::Rust | Self::C => None,
            Self::Js => Some("plugin.js"),
            Self::Python => Some("plugin.py"),
        }
    }
}

/// `plugin.toml`, all of which may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    language: Option<Language>,
    sources: Option<Vec<PathBuf>>,
    world: Option<String>,
    grants: Vec<String>,
}

/// A plugin's source.
#[derive(Debug)]
pub(super) struct Project {
    /// The folder, as a path that does not depend on the current one.
    pub(super) folder: PathBuf,
    /// What the component's file is called.
    pub(super) name: String,
    /// What it is written in.
    pub(super) language: Language,
    /// What is compiled, in order of names; for languages with one main file, that file. Empty for Rust.
    pub(super) sources: Vec<PathBuf>,
    /// The contract's world that the plugin implements. For Rust, its bindings say that.
    pub(super) world: String,
    /// What it imports.
    pub(super) grants: Vec<String>,
}

impl Project {
    /// Finds out what a folder is.
    ///
    /// # Errors
    /// There is no such folder, it holds no source that is known, source in two languages, or a wrong `plugin.toml`.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let folder = fs::canonicalize(folder)?;
        ensure!(folder.is_dir(), "it is a file, and must be a folder");
        let settings = Settings::read(&folder.join("plugin.toml"))?;
        let files = files(&folder)?;
        let language = match settings.language {
            Some(language) => language,
            None => detect(&files)?,
        };
        ensure!(
            language != Language::Rust || settings.names_only_the_language(),
            "plugin.toml: `sources`, `world` and `grants` are nothing that a crate needs to say here: its code does"
        );
        let sources = match settings.sources {
            Some(sources) => named(&folder, sources)?,
            None => sources(language, files)?,
        };
        let world = settings.world.unwrap_or_else(|| WORLDS[0].to_owned());
        let name = name(&folder, language)?;
        Ok(Self {
            folder,
            name,
            language,
            sources,
            world,
            grants: settings.grants,
        })
    }

    /// Waits until nobody else builds in the folder. They would write the same files; what is returned lets the next one go on when it is dropped.
    ///
    /// # Errors
    /// The folder cannot be locked.
    pub(super) fn turn(&self) -> anyhow::Result<File> {
        let folder = File::open(&self.folder)?;
        folder.lock().context("the folder cannot be locked")?;
        Ok(folder)
    }

    /// Where the component is written if nothing else is asked for.
    pub(super) fn default_output(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name))
    }

    /// A folder for what is made on the way.
    pub(super) fn scratch(&self) -> PathBuf {
        self.folder.join("target").join("plugin")
    }

    /// The one file that the language begins with.
    ///
    /// # Errors
    /// `plugin.toml` names more or fewer.
    pub(super) fn main(&self) -> anyhow::Result<&Path> {
        match self.sources.as_slice() {
            [main] => Ok(main),
            _ => bail!(
                "plugin.toml: `sources` must name one file for {}: the one that exports the plugin",
                self.language.name()
            ),
        }
    }
}

impl Settings {
    fn read(file: &Path) -> anyhow::Result<Self> {
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(file).context("plugin.toml")?;
        let settings: Self = toml::from_str(&text)
            .map_err(|error| anyhow::anyhow!("plugin.toml: {}", error.to_string().trim_end()))?;
        for grant in &settings.grants {
            one_of("grant", grant, &GRANTS)?;
        }
        if let Some(world) = &settings.world {
            one_of("world", world, &WORLDS)?;
        }
        Ok(settings)
    }

    fn names_only_the_language(&self) -> bool {
        self.sources.is_none() && self.world.is_none() && self.grants.is_empty()
    }
}

fn one_of(kind: &str, name: &str, known: &[&str]) -> anyhow::Result<()> {
    if known.contains(&name) {
        return Ok(());
    }
    match nearest(name, known) {
        Some(meant) => bail!("plugin.toml: there is no {kind} '{name}'; is it '{meant}'?"),
        None => bail!(
            "plugin.toml: there is no {kind} '{name}', only {}",
            known.join(", ")
        ),
    }
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn detect(files: &[PathBuf]) -> anyhow::Result<Language> {
    let found: Vec<Language> = Language::ALL
        .into_iter()
        .filter(|language| files.iter().any(|file| language.is_shown_by(file)))
        .collect();
    match found.as_slice() {
        [language] => Ok(*language),
        [] => bail!(
            "there is no Cargo.toml, *.c, *.js or *.py in it; `amphora plugin new` makes a folder that has what is needed"
        ),
        several => {
            let names: Vec<&str> = several.iter().map(|language| language.name()).collect();
            bail!(
                "it has source in {}; plugin.toml must say which counts: language = \"{}\"",
                names.join(" and "),
                names[0]
            )
        }
    }
}

fn sources(language: Language, files: Vec<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
    if language == Language::Rust {
        return Ok(Vec::new());
    }
    let found: Vec<PathBuf> = files
        .into_iter()
        .filter(|file| language.is_shown_by(file))
        .collect();
    let Some(main) = language.main() else {
        return Ok(found);
    };
    let is_main = |file: &&PathBuf| file.file_name().is_some_and(|name| name == main);
    match (found.iter().find(is_main), found.as_slice()) {
        (Some(file), _) => Ok(vec![file.clone()]),
        (None, [only]) => Ok(vec![only.clone()]),
        (None, []) => bail!("there is no {main} in it"),
        (None, _) => bail!(
            "none of its files is called {main}; plugin.toml must say which exports the plugin: sources = [\"…\"]"
        ),
    }
}

fn named(folder: &Path, sources: Vec<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
    let sources: Vec<PathBuf> = sources.into_iter().map(|file| folder.join(file)).collect();
    for file in &sources {
        ensure!(
            file.is_file(),
            "plugin.toml: `sources` names {}, which is not there",
            file.display()
        );
    }
    Ok(sources)
}

/// Rust packages have a name; others are called as their folder is.
fn name(folder: &Path, language: Language) -> anyhow::Result<String> {
    if language == Language::Rust {
        let text = fs::read_to_string(folder.join("Cargo.toml")).context("Cargo.toml")?;
        let manifest: toml::Table = text
            .parse()
            .map_err(|error| anyhow::anyhow!("Cargo.toml: {error}"))?;
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name"));
        let name = name.and_then(|name| name.as_str());
        return name.map(ToOwned::to_owned).context(
            "its Cargo.toml has no [package]: name the folder of one of the workspace's plugins",
        );
    }
    let name = folder.file_name().and_then(|name| name.to_str());
    name.map(ToOwned::to_owned)
        .context("the folder's name is not UTF-8; say with --output what the component is called")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens a folder `router` with these files.
    fn open(files: &[(&str, &str)]) -> Result<Project, String> {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("router");
        fs::create_dir(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        Project::open(&folder).map_err(|error| format!("{error:#}"))
    }

    fn sources(project: &Project) -> Vec<&str> {
        let names = project.sources.iter().map(|file| file.file_name().unwrap());
        names.map(|name| name.to_str().unwrap()).collect()
    }

    #[test]
    fn a_folder_is_what_its_files_are() {
        let rust = open(&[("Cargo.toml", "[package]\nname = \"my-router\"")]).unwrap();
        assert_eq!(
            (rust.language, rust.name.as_str()),
            (Language::Rust, "my-router")
        );

        let c = open(&[("b.c", ""), ("a.c", ""), ("a.h", "")]).unwrap();
        assert_eq!((c.language, c.name.as_str()), (Language::C, "router"));
        assert_eq!(sources(&c), ["a.c", "b.c"]);
        assert_eq!(c.world, "exchange-plugin");

        let js = open(&[("amphora.js", ""), ("plugin.js", "")]).unwrap();
        assert_eq!(
            (js.language, sources(&js)),
            (Language::Js, vec!["plugin.js"])
        );

        let python = open(&[("router.py", ""), ("README.md", "")]).unwrap();
        assert_eq!(python.language, Language::Python);
        assert_eq!(sources(&python), ["router.py"]);
    }

    #[test]
    fn plugin_toml_says_the_rest() {
        let text = "language = \"python\"\nsources = [\"b.py\"]\nworld = \"transform-plugin\"\ngrants = [\"kv\"]\n";
        let files = [
            ("plugin.toml", text),
            ("a.py", ""),
            ("b.py", ""),
            ("c.js", ""),
        ];
        let project = open(&files).unwrap();
        assert_eq!(project.language, Language::Python);
        assert_eq!(sources(&project), ["b.py"]);
        assert_eq!(project.world, "transform-plugin");
        assert_eq!(project.grants, ["kv"]);
    }

    #[test]
    fn what_cannot_be_built_is_refused_with_the_reason() {
        let refused = |files: &[(&str, &str)]| open(files).unwrap_err();
        assert!(refused(&[("README.md", "")]).contains("no Cargo.toml, *.c, *.js or *.py"));
        assert!(refused(&[("a.c", ""), ("b.py", "")]).contains("source in c and python"));
        assert!(refused(&[("a.py", ""), ("b.py", "")]).contains("called plugin.py"));
        assert!(refused(&[("Cargo.toml", "[workspace]")]).contains("no [package]"));
        assert!(
            refused(&[("Cargo.toml", ""), ("plugin.toml", "grants = [\"log\"]")])
                .contains("nothing that a crate needs to say")
        );
        assert!(
            refused(&[("a.c", ""), ("plugin.toml", "grants = [\"logs\"]")])
                .contains("no grant 'logs'; is it 'log'?")
        );
        assert!(
            refused(&[("a.c", ""), ("plugin.toml", "world = \"filter\"")])
                .contains("no world 'filter', only exchange-plugin, ")
        );
        assert!(
            refused(&[("a.c", ""), ("plugin.toml", "sources = [\"x.c\"]")])
                .contains("x.c, which is not there")
        );
        assert!(refused(&[("a.c", ""), ("plugin.toml", "lang = \"c\"")]).contains("unknown field"));
    }
}
