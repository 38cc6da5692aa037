//! A type of exchange that does harm, of the kind that its configuration names.

use std::hint::black_box;

use amphora_sdk::exchange::{Answer, Binding, BindingId, Bindings, Declaration, Exchange, Message};
use amphora_sdk::transform::{self, Transform, Verdict};
use amphora_sdk::{Description, Needs, config, log};

/// Numbers in an enormous answer: 64 MiB.
const ENORMOUS: usize = 16 << 20;

/// How often the bindings are named: 4 MiB for one message, so that a whole batch has no room in the memory and fails.
const REPEATED: usize = 1 << 20;

/// Turns of a loop that takes some tenths of a second.
const SLOW_START: u64 = 200_000_000;

/// The exchange.
#[derive(Debug)]
pub struct Hostile {
    harm: String,
    /// All bindings that there ever were.
    seen: Vec<BindingId>,
}

impl Exchange for Hostile {
    type Rule = ();

    fn describe() -> Description {
        match harm().as_str() {
            "panic in describe" => panic!("as it was told"),
            "never starts" => forever(),
            "slow start" => {
                for turn in 0..SLOW_START {
                    black_box(turn);
                }
            }
            _ => {}
        }
        Description::new("hostile", "1.0.0", Needs::new().routing_key())
    }

    fn create(_: &Declaration) -> Result<Self, String> {
        let harm = harm();
        assert_ne!(harm, "panic in create", "as it was told");
        let seen = Vec::new();
        Ok(Self { harm, seen })
    }

    fn rule(&self, _: Binding) -> Result<(), String> {
        assert_ne!(self.harm, "panic in rebind", "as it was told");
        Ok(())
    }

    fn index(&mut self, bindings: &Bindings<()>) {
        self.seen.extend(bindings.iter().map(|(id, ())| id));
    }

    fn route(&mut self, bindings: &Bindings<()>, message: &Message<'_>, answer: &mut Answer<'_>) {
        match self.harm.as_str() {
            "loop" => forever(),
            "memory" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 1 << 20]);
                }
            }
            "stack" => {
                black_box(deeper(1));
            }
            "panic" => panic!("as it was told"),
            "panic at some" if message.routing_key().ends_with('7') => panic!("as it was told"),
            "wrong ids" => {
                for id in &self.seen {
                    answer.to(*id);
                }
            }
            "enormous answer" => {
                for id in self.seen.iter().cycle().take(ENORMOUS) {
                    answer.to(*id);
                }
            }
            "repeated ids" => {
                let ids = || bindings.iter().map(|(id, ())| id);
                for _ in 0..REPEATED {
                    ids().for_each(|id| answer.to(id));
                }
            }
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

impl Drop for Hostile {
    fn drop(&mut self) {
        assert_ne!(self.harm, "panic in delete", "as it was told");
    }
}

fn harm() -> String {
    config::get("harm").unwrap_or_default()
}

fn forever() -> ! {
    loop {
        black_box(0);
    }
}

fn deeper(depth: u64) -> u64 {
    if black_box(depth) == 0 {
        return depth;
    }
    let here = [black_box(depth); 64];
    deeper(depth + 1) + here[63]
}

/// A transform in the same component, which rejects what has the routing key `stop`.
#[derive(Debug)]
pub struct Stop;

impl Transform for Stop {
    fn configure() -> Result<Self, String> {
        Ok(Self)
    }

    fn describe(&self) -> Description {
        Hostile::describe()
    }

    fn apply(&mut self, message: &transform::Message, _: Option<&str>) -> Verdict {
        if message.routing_key == "stop" {
            Verdict::Reject("as it was told".to_owned())
        } else {
            Verdict::Pass
        }
    }
}

amphora_sdk::export_exchange_and_transform!(Hostile, Stop);
