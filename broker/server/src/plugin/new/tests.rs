//! What a new project has, as far as that can be seen without building it.

use super::super::cases::Cases;
use super::*;

const LANGUAGES: [Language; 4] = [Language::Rust, Language::C, Language::Js, Language::Python];
const KINDS: [Kind; 2] = [Kind::Exchange, Kind::Transform];

fn args(name: &str, lang: Language, kind: Kind) -> Args {
    Args {
        lang,
        kind,
        name: name.to_owned(),
    }
}

#[test]
fn a_project_is_recognised_and_its_cases_are_read() {
    for lang in LANGUAGES {
        for kind in KINDS {
            let parent = tempfile::tempdir().unwrap();
            let folder = create(parent.path(), &args("my-plugin", lang, kind)).unwrap();
            assert_eq!(
                super::super::build::recognise(&folder).unwrap(),
                (lang, "my-plugin".to_owned())
            );
            Cases::read(&folder.join("cases.toml")).unwrap();
            let readme = fs::read_to_string(folder.join("README.md")).unwrap();
            assert!(readme.starts_with("# my-plugin\n"), "{readme}");
            assert!(readme.contains("CASES.md"), "{readme}");
            assert!(folder.join("CASES.md").is_file());
        }
    }
}

#[test]
fn nothing_is_left_to_fill_in() {
    for lang in LANGUAGES {
        for kind in KINDS {
            for (path, text) in files::all(lang, kind, "my-plugin").unwrap() {
                assert!(!text.contains("{{"), "{path}: {text}");
            }
        }
    }
}

#[test]
fn an_existing_folder_is_not_touched() {
    let parent = tempfile::tempdir().unwrap();
    fs::create_dir(parent.path().join("taken")).unwrap();
    let error = create(parent.path(), &args("taken", Language::C, Kind::Exchange)).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("taken exists already; nothing in it was changed")
    );
    assert_eq!(
        fs::read_dir(parent.path().join("taken")).unwrap().count(),
        0
    );
}

#[test]
fn names_are_those_of_crates_and_folders() {
    for name in ["a", "content-router", "v2"] {
        check_name(name).unwrap();
    }
    for name in ["", "A", "2x", "-x", "a_b", "a/b", "..", "ä"] {
        let error = check_name(name).unwrap_err().to_string();
        assert!(
            error.contains(&format!("'{name}' is no name for a plugin")),
            "{error}"
        );
    }
    assert!(check_name(&"a".repeat(65)).is_err());
}

/// The examples have the SDK's files as a project has them.
#[test]
fn the_examples_have_the_sdk_as_it_is() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins");
    for (folder, lang) in [
        ("c", Language::C),
        ("javascript", Language::Js),
        ("python", Language::Python),
    ] {
        let all = files::all(lang, Kind::Exchange, "x").unwrap();
        let sdk: Vec<_> = all
            .iter()
            .filter(|(path, _)| path.starts_with("amphora."))
            .collect();
        assert!(!sdk.is_empty());
        for (path, text) in sdk {
            let file = examples.join(folder).join(path);
            assert_eq!(
                &fs::read_to_string(&file).unwrap(),
                text,
                "{}",
                file.display()
            );
        }
    }
}
