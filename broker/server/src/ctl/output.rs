//! What a command shows: columns for people, JSON for programs.

use std::io::{ErrorKind, Write};

use serde_json::Value;

use super::Format;
use crate::cli::exit::Exit;
use crate::nearest::nearest;

/// Where results go, and how they look there.
pub(super) struct Output<'a> {
    format: Format,
    out: &'a mut dyn Write,
    /// Nothing is said of what was done.
    quiet: bool,
    /// Tables have no line of names.
    headless: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(format: Format, out: &'a mut dyn Write) -> Self {
        Self {
            format,
            out,
            quiet: false,
            headless: false,
        }
    }

    /// Leaves out what was done, and the headers of tables.
    pub(super) fn hide(&mut self, quiet: bool, headless: bool) {
        (self.quiet, self.headless) = (quiet, headless);
    }

    /// Says that something was done. Programs have the exit code.
    pub(super) fn done(&mut self, text: &str) -> Result<(), Exit> {
        match self.format {
            Format::Table if !self.quiet => self.write(&format!("{text}\n")),
            _ => Ok(()),
        }
    }

    /// Shows an answer: itself to programs, and what it means to people.
    pub(super) fn answer(&mut self, answer: &Value, text: &str) -> Result<(), Exit> {
        match self.format {
            Format::Table => self.write(&format!("{text}\n")),
            Format::Json => self.json(answer),
        }
    }

    /// Shows a list with the columns that are asked for; if none are, people get the usual ones, and programs all.
    pub(super) fn list(
        &mut self,
        items: &Value,
        usual: &[&str],
        asked: &[&str],
    ) -> Result<(), Exit> {
        let rows = items.as_array().map(Vec::as_slice).unwrap_or_default();
        for column in asked {
            check_column(items, column)?;
        }
        match self.format {
            Format::Table => {
                let table = table(rows, if asked.is_empty() { usual } else { asked });
                let header = table.find('\n').map_or(0, |end| end + 1);
                self.write(
                    table
                        .get(if self.headless { header } else { 0 }..)
                        .unwrap_or(&table),
                )
            }
            Format::Json if asked.is_empty() => self.json(items),
            Format::Json => self.json(&rows.iter().map(|row| cut(row, asked)).collect()),
        }
    }

    /// Shows names and values, one a line.
    pub(super) fn pairs(&mut self, pairs: &[(&str, String)]) -> Result<(), Exit> {
        let width = pairs
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        let line = |(name, value): &(&str, String)| format!("{name:width$}  {value}\n");
        self.write(&pairs.iter().map(line).collect::<String>())
    }

    /// Shows a text for people, which ends its last line.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Exit> {
        self.write(text)
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn json(&mut self, value: &Value) -> Result<(), Exit> {
        self.write(&format!("{value:#}\n"))
    }

    fn write(&mut self, text: &str) -> Result<(), Exit> {
        match self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())
        {
            // Whoever read has seen enough, as in `amphora ctl list_queues | head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|error| Exit::Failed(format!("standard output: {error}"))),
        }
    }
}

/// Whether an item of the list has the column; also if there is none that could.
pub(super) fn has_column(items: &Value, column: &str) -> bool {
    let key = column.split('.').next().unwrap_or(column);
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    items.is_empty() || items.iter().any(|item| item.get(key).is_some())
}

/// Refuses a column that no item has: most likely a slip.
fn check_column(items: &Value, column: &str) -> Result<(), Exit> {
    if has_column(items, column) {
        return Ok(());
    }
    let key = column.split('.').next().unwrap_or(column);
    let Some(item) = items.get(0).and_then(Value::as_object) else {
        return Ok(());
    };
    let known: Vec<&str> = item.keys().map(String::as_str).collect();
    let hint = match nearest(key, &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the columns are {}", known.join(", ")),
    };
    Err(Exit::Usage(format!("unknown column `{column}`; {hint}")))
}

/// An item with these columns only.
fn cut(item: &Value, columns: &[&str]) -> Value {
    let kept = columns
        .iter()
        .map(|column| ((*column).to_owned(), at(item, column).clone()));
    Value::Object(kept.collect())
}

fn table(items: &[Value], columns: &[&str]) -> String {
    let mut rows = vec![
        columns
            .iter()
            .map(|column| (*column).to_owned())
            .collect::<Vec<_>>(),
    ];
    rows.extend(items.iter().map(|item| {
        columns
            .iter()
            .map(|column| cell(at(item, column)))
            .collect()
    }));
    let mut widths = vec![0; columns.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A value in a table: on one line, whatever a client put in it.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Object(object) if object.is_empty() => String::new(),
        Value::String(text) => text
            .chars()
            .flat_map(|c| {
                if c.is_control() {
                    c.escape_default().collect()
                } else {
                    vec![c]
                }
            })
            .collect(),
        other => other.to_string(),
    }
}

/// The value at a path such as `channel_details.name`.
fn at<'v>(item: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(item, |value, key| &value[key])
}
