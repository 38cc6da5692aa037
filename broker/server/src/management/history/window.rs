//! Which stretch of the past is asked for: `lengths_age=600&lengths_incr=5` and the like.

use std::collections::HashMap;

use crate::management::refused::Refused;

/// How many moments of one figure are told at a time.
const SAMPLES_MAX: u64 = 500;

/// What a figure is about, and so which of the query's windows it falls in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Counts of messages, and of what clients open and close.
    Messages,
    /// How much there is.
    Lengths,
    /// Counts of bytes.
    Data,
    /// Of the machine.
    Node,
}

/// The stretches that were asked for, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::management) struct Windows {
    messages: Option<Window>,
    lengths: Option<Window>,
    data: Option<Window>,
    node: Option<Window>,
}

/// A stretch of the past up to now, and how far apart its moments are, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) age: u64,
    pub(super) apart: u64,
}

impl Kind {
    /// Whether the figures only rise.
    pub(super) fn is_counter(self) -> bool {
        matches!(self, Self::Messages | Self::Data)
    }
}

impl Windows {
    /// Reads a query. Nothing is a window that has only one of its two numbers.
    ///
    /// # Errors
    /// A number is none, or so many moments are not told at a time.
    pub(in crate::management) fn read(query: &HashMap<String, String>) -> Result<Self, Refused> {
        Ok(Self {
            messages: window(query, "msg_rates")?,
            lengths: window(query, "lengths")?,
            data: window(query, "data_rates")?,
            node: window(query, "node_stats")?,
        })
    }

    pub(super) fn of(&self, kind: Kind) -> Option<Window> {
        match kind {
            Kind::Messages => self.messages,
            Kind::Lengths => self.lengths,
            Kind::Data => self.data,
            Kind::Node => self.node,
        }
    }
}

fn window(query: &HashMap<String, String>, name: &str) -> Result<Option<Window>, Refused> {
    let seconds = |ending: &str| {
        let Some(text) = query.get(&format!("{name}_{ending}")) else {
            return Ok(None);
        };
        let parsed = text.parse::<u32>().ok().filter(|seconds| *seconds > 0);
        let refusal = || Refused::bad_request(format!("{name}_{ending}: {text:?} are no seconds"));
        parsed.map(u64::from).map(Some).ok_or_else(refusal)
    };
    let (Some(age), Some(apart)) = (seconds("age")?, seconds("incr")?) else {
        return Ok(None);
    };
    if age / apart > SAMPLES_MAX {
        return Err(Refused::bad_request(format!(
            "{name}_age and {name}_incr ask for more than {SAMPLES_MAX} samples"
        )));
    }
    Ok(Some(Window {
        age: age * 1000,
        apart: apart * 1000,
    }))
}
