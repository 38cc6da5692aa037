//! Places in a document, where the step `*` stands for all elements of an array, and all fields of an object.

use json_pointer::index;
use serde_json::{Map, Value};

const ALL: &str = "*";

/// Behind the last element of an array.
const END: &str = "-";

/// What happened to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    Changed,
    /// It is to be removed from what it is in.
    Remove,
}

/// Changes every value that is there. Answers nothing, or that something within the document changed.
pub(crate) fn change(
    value: &mut Value,
    steps: &[String],
    act: &dyn Fn(&mut Value) -> Change,
) -> Change {
    let Some((step, rest)) = steps.split_first() else {
        return act(value);
    };
    let mut changed = false;
    let mut inner = |value: &mut Value| {
        let change = change(value, rest, act);
        changed |= change != Change::Nothing;
        change != Change::Remove
    };
    match value {
        Value::Object(fields) if step == ALL => fields.retain(|_, value| inner(value)),
        Value::Array(elements) if step == ALL => elements.retain_mut(inner),
        Value::Object(fields) => {
            if let Some(value) = fields.get_mut(step)
                && !inner(value)
            {
                fields.shift_remove(step);
            }
        }
        Value::Array(elements) => {
            if let Some(index) = index(step)
                && let Some(value) = elements.get_mut(index)
                && !inner(value)
            {
                elements.remove(index);
            }
        }
        _ => {}
    }
    if changed {
        Change::Changed
    } else {
        Change::Nothing
    }
}

/// Sets a value, and makes the objects that lead to it. What is no object and no array stays as it is, and so does what is there already
/// without `overwrite`. Says whether anything changed.
pub(crate) fn set(value: &mut Value, steps: &[String], new: &Value, overwrite: bool) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        let changes = overwrite && value != new;
        if changes {
            value.clone_from(new);
        }
        return changes;
    };
    let inner = |value: &mut Value| set(value, rest, new, overwrite);
    match value {
        Value::Object(fields) if step == ALL => {
            // Each of them, whatever the one before answers.
            fields
                .values_mut()
                .fold(false, |changed, value| inner(value) | changed)
        }
        Value::Array(elements) if step == ALL => elements
            .iter_mut()
            .fold(false, |changed, value| inner(value) | changed),
        Value::Object(fields) => match fields.get_mut(step) {
            Some(value) => inner(value),
            None => match made(rest, new) {
                Some(value) => fields.insert(step.clone(), value).is_none(),
                None => false,
            },
        },
        Value::Array(elements) if step == END => match made(rest, new) {
            Some(value) => {
                elements.push(value);
                true
            }
            None => false,
        },
        Value::Array(elements) => index(step)
            .and_then(|index| elements.get_mut(index))
            .is_some_and(inner),
        _ => false,
    }
}

/// Objects within each other that lead to the new value. None if a step means all of what is there: nothing is.
fn made(steps: &[String], new: &Value) -> Option<Value> {
    steps.iter().rev().try_fold(new.clone(), |value, step| {
        let fields = Map::from_iter([(step.clone(), value)]);
        (step != ALL).then(|| Value::Object(fields))
    })
}
