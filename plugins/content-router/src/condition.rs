//! What must be true of a part of a message.

use amphora_sdk::Value;

use crate::operator::Operator;
use crate::subject::{Content, Subject};

/// A part of a message, and what must be true of it.
#[derive(Debug)]
pub struct Condition {
    subject: Subject,
    /// All of them.
    operators: Vec<Operator>,
}

impl Condition {
    /// Reads an argument's value: a table of operators, or a value that the part must be equal to.
    ///
    /// # Errors
    /// It is neither; the text says why.
    pub(crate) fn new(subject: Subject, value: &Value) -> Result<Self, String> {
        let operators = match value {
            Value::Table(table) if table.is_empty() => Err("no operator is there".to_owned()),
            Value::Table(table) => {
                let operators = table.iter();
                operators
                    .map(|(name, operand)| Operator::parse(name, operand))
                    .collect()
            }
            operand => Operator::parse("eq", operand).map(|operator| vec![operator]),
        };
        Ok(Self {
            subject,
            operators: operators?,
        })
    }

    pub(crate) fn reads_body(&self) -> bool {
        matches!(self.subject, Subject::Json(_))
    }

    /// Whether it is true of the message.
    pub(crate) fn holds(&self, content: &Content<'_>) -> bool {
        let found = content.find(&self.subject);
        self.operators.iter().all(|operator| operator.holds(found))
    }
}
