//! What every file says, and what none does.

use crate::files::{self, File};

/// Places of single machines, which a reader does not have. Written so that this file does not contain them.
const FOREIGN: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("../sh", "ared"),
];

/// What is left to be done is an issue, and what is switched off is no test.
const UNFINISHED: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[ig", "nore"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

#[test]
fn every_module_says_what_it_is_for() -> anyhow::Result<()> {
    let silent: Vec<String> = files::all()?
        .into_iter()
        .filter(|file| file.is("rs") && !file.text.starts_with("//! "))
        .map(|file| file.path)
        .collect();
    assert!(silent.is_empty(), "no `//!` at the top of {silent:#?}");
    Ok(())
}

#[test]
fn no_file_knows_the_machine_that_it_was_written_on() -> anyhow::Result<()> {
    assert_nowhere(FOREIGN, |_| true)
}

#[test]
fn nothing_is_left_open_in_the_code() -> anyhow::Result<()> {
    assert_nowhere(UNFINISHED, |file| file.is("rs"))
}

fn assert_nowhere(words: &[&str], concerned: impl Fn(&File) -> bool) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for file in files::all()?.iter().filter(|file| concerned(file)) {
        for (number, line) in file.text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                found.push(format!("{}:{}: {word}", file.path, number + 1));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    Ok(())
}
