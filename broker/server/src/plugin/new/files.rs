//! What is in a new project.

use super::super::build::Language;
use super::super::contract;
use super::{Kind, sdk};

const C_SDK: [(&str, &str); 2] = [
    (
        "amphora.h",
        include_str!("../../../../../plugins/sdk/c/amphora.h"),
    ),
    (
        "amphora.c",
        include_str!("../../../../../plugins/sdk/c/amphora.c"),
    ),
];
const JS_SDK: &str = include_str!("../../../../../plugins/sdk/js/amphora.js");
const PYTHON_SDK: &str = include_str!("../../../../../plugins/sdk/python/amphora.py");

/// How cases are written.
const CASES: &str = include_str!("../../../../../plugins/CASES.md");

/// A template of this kind of plugin.
macro_rules! template {
    ($kind:expr, $file:literal) => {
        match $kind {
            Kind::Exchange => include_str!(concat!("templates/exchange/", $file)),
            Kind::Transform => include_str!(concat!("templates/transform/", $file)),
        }
    };
}

/// Paths within the project, and what is there.
///
/// # Errors
/// The SDK that the program carries along cannot be taken apart.
pub(super) fn all(
    language: Language,
    kind: Kind,
    name: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let own = |file: &str, text: &str| (file.to_owned(), fill(text, language, kind, name));
    let mut files = vec![
        own("README.md", include_str!("templates/README.md")),
        own("cases.toml", template!(kind, "cases.toml")),
        plain(("CASES.md", CASES)),
        own(".gitignore", include_str!("templates/gitignore")),
    ];
    match language {
        Language::Rust => {
            files.push(own("Cargo.toml", include_str!("templates/Cargo.toml.in")));
            files.push(own("src/lib.rs", template!(kind, "lib.rs.in")));
            files.extend(sdk::files("amphora-sdk")?);
            return Ok(files);
        }
        Language::C => {
            files.push(own("plugin.c", template!(kind, "plugin.c")));
            files.extend(C_SDK.map(plain));
        }
        Language::Js => {
            files.push(own("plugin.js", template!(kind, "plugin.js")));
            files.push(plain(("amphora.js", JS_SDK)));
        }
        Language::Python => {
            files.push(own("plugin.py", template!(kind, "plugin.py")));
            files.push(plain(("amphora.py", PYTHON_SDK)));
        }
    }
    files.push(own("plugin.toml", include_str!("templates/plugin.toml")));
    files.extend(contract::FILES.map(|(file, text)| plain((&format!("wit/{file}"), text))));
    Ok(files)
}

fn plain((file, text): (&str, &str)) -> (String, String) {
    (file.to_owned(), text.to_owned())
}

/// Fills in what stands in `{{…}}`.
fn fill(text: &str, language: Language, kind: Kind, name: &str) -> String {
    let (what, attach, world) = match kind {
        Kind::Exchange => ("A type of exchange", EXCHANGE, "exchange-plugin"),
        Kind::Transform => ("A transform of messages", TRANSFORM, "transform-plugin"),
    };
    let (source, needed) = match language {
        Language::Rust => (
            "`src/lib.rs`, with unit tests for `cargo test`; `amphora-sdk` is the SDK, and `amphora-sdk/wit` the contract that it implements",
            "Rust with the target wasm32-unknown-unknown, which is fetched by rustup if it is missing",
        ),
        Language::C => (
            "`plugin.c`; `amphora.h` and `amphora.c` are the SDK, and `wit` is the contract that `guest.h` is generated from when it is built (then in `target/plugin/bindings`). There is no libc but for what `stdlib.h` and `string.h` there have",
            "clang and wasm-ld",
        ),
        Language::Js => (
            "`plugin.js`, which runs in QuickJS; `amphora.js` is the SDK, and `wit` the contract",
            "Node.js with npm",
        ),
        Language::Python => (
            "`plugin.py`; `amphora.py` is the SDK, and `wit` the contract that the modules `wit_world` and `componentize_py_types` are made from",
            "Python 3.10 or newer with venv",
        ),
    };
    // First those that hold others.
    [
        ("{{attach}}", attach),
        ("{{what}}", what),
        ("{{world}}", world),
        ("{{source}}", source),
        ("{{needed}}", needed),
        ("{{name}}", name),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (place, value)| {
        text.replace(place, value)
    })
}

const EXCHANGE: &str = r#"```toml
[[plugin]]
name = "{{name}}"
path = "{{name}}.wasm"
exchange-type = "x-{{name}}"
```

Any AMQP client can then declare an exchange of type `x-{{name}}`, and bind queues to it."#;

const TRANSFORM: &str = r#"```toml
[[plugin]]
name = "{{name}}"
path = "{{name}}.wasm"
```

An exchange or a queue that is declared with the argument `x-transform = "{{name}}"` then has its messages transformed."#;
