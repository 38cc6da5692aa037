//! A type of exchange that does harm, of the kind that its configuration names.

use amphora_sdk::exchange::{Answer, Binding, Bindings, Declaration, Exchange, Message};
use amphora_sdk::{Description, Needs, config, log};

/// The exchange.
#[derive(Debug)]
pub struct Hostile {
    harm: String,
}

impl Exchange for Hostile {
    type Rule = ();

    fn describe() -> Description {
        Description::new("hostile", "1.0.0", Needs::new().routing_key())
    }

    fn create(_: &Declaration) -> Result<Self, String> {
        Ok(Self {
            harm: config::get("harm").unwrap_or_default(),
        })
    }

    fn rule(&self, _: Binding) -> Result<(), String> {
        Ok(())
    }

    fn route(&mut self, bindings: &Bindings<()>, _: &Message<'_>, answer: &mut Answer<'_>) {
        match self.harm.as_str() {
            "loop" => loop {
                std::hint::black_box(0);
            },
            "memory" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 1 << 20]);
                }
            }
            "stack" => {
                std::hint::black_box(deeper(1));
            }
            "panic" => panic!("as it was told"),
            "log" => {
                for line in 0..1000 {
                    log::info!("line {line}");
                }
            }
            _ => {}
        }
        for (id, ()) in bindings {
            answer.to(id);
        }
    }
}

fn deeper(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 {
        return depth;
    }
    let here = [std::hint::black_box(depth); 64];
    deeper(depth + 1) + here[63]
}

amphora_sdk::export_exchange!(Hostile);
