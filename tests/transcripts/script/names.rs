//! Names that the broker makes up are different in every run; in a script they are numbered.

/// What such names begin with; the last is what a script asks for.
const PREFIXES: [&str; 4] = ["amq.gen-", "amq.ctag-", "amq.rabbitmq.reply-to.", "orders-"];

/// The names so far.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// What the first, second … have behind their prefix.
    made_up: Vec<String>,
}

impl Names {
    /// A line of the broker's, with numbers.
    pub(crate) fn shown(&mut self, line: &str) -> String {
        let mut line = line.to_owned();
        for prefix in PREFIXES {
            let mut from = 0;
            while let Some(found) = line.get(from..).and_then(|rest| rest.find(prefix)) {
                let start = from + found + prefix.len();
                let rest = line.get(start..).unwrap_or_default();
                let end = start + rest.find(|letter| !is_token(letter)).unwrap_or(rest.len());
                let number = self.number(line.get(start..end).unwrap_or_default());
                line.replace_range(start..end, &format!("${number}"));
                from = start;
            }
        }
        line
    }

    /// A line of a script, with names.
    pub(crate) fn actual(&self, line: &str) -> String {
        let numbered = self.made_up.iter().enumerate();
        numbered.fold(line.to_owned(), |line, (index, name)| {
            line.replace(&format!("${}", index + 1), name)
        })
    }

    fn number(&mut self, name: &str) -> usize {
        let known = self.made_up.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.made_up.push(name.to_owned());
            self.made_up.len() - 1
        });
        index + 1
    }
}

fn is_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_=+/.".contains(letter)
}
