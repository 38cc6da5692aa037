//! The README's promises.

use amphora_tests::workspace;

use crate::files::{self, File};

/// The two commands that someone needs who has just cloned the repository.
const COMMANDS: [&str; 2] = [
    "plugins/build && cargo run --release -p amphora -- serve --config plugins/stock.toml",
    ".ci/test",
];

#[test]
fn the_readme_has_the_two_commands_and_the_second_is_what_ci_runs() -> anyhow::Result<()> {
    let readme = File::read("README.md")?;
    let commands: Vec<&str> = code(&readme.text).collect();
    for command in COMMANDS {
        assert!(
            commands.contains(&command),
            "`{command}` has no line of its own"
        );
    }
    let ci = File::read(".ci/run")?;
    assert!(ci.text.contains(COMMANDS[1]), ".ci/run: {}", ci.text);
    Ok(())
}

#[test]
fn links_between_pages_lead_somewhere() -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for page in files::all()?.iter().filter(|file| file.is("md")) {
        let folder = workspace().join(&page.path);
        for link in links(&page.text) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !folder.with_file_name("").join(file).exists() {
                broken.push(format!("{}: {link}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    Ok(())
}

/// The lines between fences.
fn code(page: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    page.lines().filter(move |line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        inside && !fence
    })
}

/// The targets of links to other files of the repository.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .filter(|target| !target.contains("://"))
}
