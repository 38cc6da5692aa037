//! What a publisher is answered.

use std::hint::black_box;

use amphora_core::channel::Confirms;

use crate::rounds::Bench;

/// How many publishes one read brings, and how many reads a group covers.
const PUBLISHES: u32 = 4;
const READS: u32 = 25;

pub(crate) fn cases(bench: &Bench) {
    bench.case("note a publish and confirm it", || {
        let (mut confirms, mut epoch) = (Confirms::default(), 0);
        move || {
            epoch += 1;
            for _ in 0..READS {
                confirms.published(PUBLISHES.into(), epoch);
            }
            let mut frames = 0;
            confirms.release(epoch, |release| {
                black_box(release);
                frames += 1;
            });
            assert_eq!((frames, confirms.unconfirmed()), (1, 0));
            READS * PUBLISHES
        }
    });
}
