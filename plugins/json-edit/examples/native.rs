//! What enriching an order of 1 KiB costs without WebAssembly: the measure for `amphora plugin bench` with `enrich.toml`.

#![expect(clippy::print_stdout, reason = "the figure is what it is for")]

use std::time::{Duration, Instant};

use amphora_sdk::testing::grants::configure;
use amphora_sdk::testing::{Transforming, message};
use amphora_sdk::transform::Verdict;
use json_edit::JsonEdit;

const ORDER: &str = include_str!("order.json");

/// The same as in `enrich.toml`.
const EDITS: &str = r#"[
    {"at": "/meta/tenant", "action": "set", "header": "tenant"},
    {"at": "/meta/published-by", "action": "set", "from": "user"},
    {"at": "/customer/card", "action": "mask", "keep": 4}
]"#;

fn main() -> Result<(), String> {
    configure([("edit", EDITS)]);
    let mut plugin = Transforming::<JsonEdit>::configure()?;
    let message = message().header("tenant", "acme").body(ORDER);
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < Duration::from_secs(2) {
        for _ in 0..100 {
            let verdict = plugin.apply(&message);
            if !matches!(std::hint::black_box(verdict), Verdict::Replace(_)) {
                return Err("the order is not changed".to_owned());
            }
        }
        count += 100;
    }
    println!(
        "{:.0} ns/message",
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(count)
    );
    Ok(())
}
