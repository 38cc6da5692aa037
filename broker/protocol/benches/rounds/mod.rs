//! Runs the cases of a benchmark: all of them by the clock, or one by itself, of which `tests/measure/instructions.py` counts
//! the instructions.

use std::cell::Cell;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

/// Rounds by the clock, of which the fastest counts, to leave out what else the machine does.
const TIMED: u32 = 500;

/// What is asked of a benchmark.
pub(crate) enum Bench {
    /// To print how long each case takes.
    Times,
    /// To print the cases' names.
    Names,
    /// To run so many rounds of one case, and print how many messages they were about.
    Rounds {
        case: String,
        rounds: u32,
        is_known: Cell<bool>,
    },
}

impl Bench {
    /// Runs those of the cases that the command line asks for. Fails if it names one that is not among them.
    pub(crate) fn run(cases: impl FnOnce(&Self)) -> ExitCode {
        let bench = Self::from_args();
        cases(&bench);
        match bench {
            Self::Rounds { case, is_known, .. } if !is_known.get() => {
                eprintln!("no case is called {case:?}; --list names all of them");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        }
    }

    /// From the command line: nothing, or `--list`, or a case and a number of rounds. Cargo adds `--bench`.
    fn from_args() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let arguments = arguments.iter().map(String::as_str);
        let arguments: Vec<&str> = arguments.filter(|word| *word != "--bench").collect();
        match *arguments {
            [] => Self::Times,
            ["--list"] => Self::Names,
            [case, rounds] => Self::Rounds {
                case: case.to_owned(),
                rounds: rounds.parse().expect("a number of rounds"),
                is_known: Cell::new(false),
            },
            _ => panic!("not one of: nothing, --list, CASE ROUNDS"),
        }
    }

    /// A case whose rounds are all alike. `make` makes what runs one, which returns how many messages it was about.
    pub(crate) fn case<R: FnMut() -> u32>(&self, name: &str, make: impl FnOnce() -> R) {
        self.prepared_case(name, make, |_| (), |round, ()| round());
    }

    /// A case that prepares something for each round, which is not measured. All rounds have what `make` makes.
    pub(crate) fn prepared_case<S, T>(
        &self,
        name: &str,
        make: impl FnOnce() -> S,
        prepare: impl Fn(&mut S) -> T,
        round: impl Fn(&mut S, &mut T) -> u32,
    ) {
        match self {
            Self::Times => {
                let mut state = make();
                let times = (0..TIMED).map(|_| {
                    let mut prepared = prepare(&mut state);
                    let started = Instant::now();
                    let messages = measured_round(&mut state, &mut prepared, &round);
                    started.elapsed().as_secs_f64() * 1e9 / f64::from(messages)
                });
                println!("{name}: {:.1} ns", times.fold(f64::INFINITY, f64::min));
            }
            Self::Names => println!("{name}"),
            Self::Rounds {
                case,
                rounds,
                is_known,
            } if case == name => {
                is_known.set(true);
                let mut state = make();
                // The first round makes what all others use again.
                let mut prepared = prepare(&mut state);
                round(&mut state, &mut prepared);
                let messages = (0..*rounds).map(|_| {
                    let mut prepared = prepare(&mut state);
                    measured_round(&mut state, &mut prepared, &round)
                });
                println!("{}", messages.sum::<u32>());
            }
            Self::Rounds { .. } => {}
        }
    }
}

/// Instructions are counted from its beginning to its end: its name is known to who counts.
#[inline(never)]
fn measured_round<S, T>(
    state: &mut S,
    prepared: &mut T,
    round: &impl Fn(&mut S, &mut T) -> u32,
) -> u32 {
    // What is done with the result keeps the round from being jumped to as the last thing, after which no end would be seen.
    black_box(round(state, prepared))
}
