//! Schemas that refer to themselves for the same value, and would be applied for ever.

use super::{Id, Keyword, Schema};

/// How far a schema was looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Done,
}

impl Schema {
    pub(super) fn refuse_loops(&self) -> Result<(), String> {
        let mut marks = vec![Mark::New; self.nodes.len()];
        (0..self.nodes.len()).try_for_each(|id| self.visit(id, &mut marks))
    }

    fn visit(&self, id: Id, marks: &mut [Mark]) -> Result<(), String> {
        match marks[id] {
            Mark::Done => return Ok(()),
            Mark::Open => {
                return Err("a $ref leads back to itself without looking into the value".to_owned());
            }
            Mark::New => marks[id] = Mark::Open,
        }
        for keyword in &self.nodes[id] {
            for next in keyword.in_place() {
                self.visit(next, marks)?;
            }
        }
        marks[id] = Mark::Done;
        Ok(())
    }
}

impl Keyword {
    /// The schemas that it applies to the same value.
    fn in_place(&self) -> Vec<Id> {
        match self {
            Self::Reference(id) | Self::Not(id) => vec![*id],
            Self::AllOf(ids) | Self::AnyOf(ids) | Self::OneOf(ids) => ids.clone(),
            Self::DependentSchemas(named) => named.iter().map(|&(_, id)| id).collect(),
            Self::If {
                condition,
                then,
                otherwise,
            } => [Some(*condition), *then, *otherwise]
                .into_iter()
                .flatten()
                .collect(),
            _ => Vec::new(),
        }
    }
}
