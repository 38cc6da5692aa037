//! Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write};

use crate::management::snapshot::Bucket;

/// What a scrape answers with, as it grows.
#[derive(Debug)]
pub(super) struct Exposition {
    text: String,
    prefix: &'static str,
    /// The family in hand.
    name: String,
}

/// What a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only rises, until the broker is started again. Its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bounds.
    Histogram,
}

impl Exposition {
    /// With names that begin so.
    pub(super) fn new(prefix: &'static str) -> Self {
        Self {
            text: String::new(),
            prefix,
            name: String::new(),
        }
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) -> &mut Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let name = format!("{}{name}", self.prefix);
        self.line(format_args!("# TYPE {name} {kind}\n# HELP {name} {help}\n"));
        self.name = name;
        self
    }

    /// A sample of the family.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.sample_of("", labels, value);
    }

    /// A sample whose name has an ending of its own, as those of histograms.
    pub(super) fn sample_of(&mut self, ending: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(&self.name);
        self.text.push_str(ending);
        let mut before = '{';
        for (name, value) in labels {
            self.text.push(before);
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
            before = ',';
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.line(format_args!(" {value}\n"));
    }

    /// A histogram of the family. `unit` makes of the bounds what the sum is in, too.
    pub(super) fn distribution<T: Display>(
        &mut self,
        labels: &[(&str, &str)],
        buckets: &[Bucket],
        unit: fn(u64) -> T,
        sum: impl Display,
    ) {
        let mut count = 0;
        for bucket in buckets {
            count += bucket.count;
            if let Some(bound) = bucket.at_most {
                let bound = unit(bound).to_string();
                let labels = [labels, &[("le", &bound)]].concat();
                self.sample_of("_bucket", &labels, count);
            }
        }
        let labels_of_all = [labels, &[("le", "+Inf")]].concat();
        self.sample_of("_bucket", &labels_of_all, count);
        self.sample_of("_sum", labels, sum);
        self.sample_of("_count", labels, count);
    }

    /// A family of one sample without labels.
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // A string takes whatever is written to it.
        let _ = self.text.write_fmt(line);
    }
}

fn escape(value: &str, text: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let mut metrics = Exposition::new("rabbitmq_");
        metrics.single("up", Kind::Gauge, "Whether it is there", 1);
        let family = metrics.family("seen_total", Kind::Counter, "What was seen");
        family.sample(&[("queue", "a\"b\\c\nd"), ("vhost", "/")], 7);
        let expected = "# TYPE rabbitmq_up gauge\n# HELP rabbitmq_up Whether it is there\nrabbitmq_up 1\n\
            # TYPE rabbitmq_seen_total counter\n# HELP rabbitmq_seen_total What was seen\n\
            rabbitmq_seen_total{queue=\"a\\\"b\\\\c\\nd\",vhost=\"/\"} 7\n";
        assert_eq!(metrics.into_text(), expected);
    }
}
