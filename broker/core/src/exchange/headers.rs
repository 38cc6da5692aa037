//! The headers exchange: bindings match by the message's headers, not by its routing key (AMQP 0-9-1, 3.1.3.4).
//!
//! A binding's `x-match` says whether `all` (the default) or `any` of its other arguments must be among the headers.
//! Arguments whose name begins with `x-` do not count, except with `all-with-x` and `any-with-x`. An argument without a
//! value asks for the header's presence; any other for a header of the same type class and value, where all numbers and
//! times are one class, and texts and bytes another. `all` without arguments matches every message, `any` without arguments none.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use amphora_protocol::wire::error::WireError;
use amphora_protocol::wire::table::{FieldValue, RawFields};
use amphora_protocol::wire::types::ShortString;
use foldhash::fast::RandomState;
use slab::Slab;
use smallvec::SmallVec;

use super::field_value::Compared;
use super::targets::{Target, Targets};
use crate::binding::BindingArguments;
use crate::topology::reply_text::Term;

const X_MATCH: &str = "x-match";

/// The bindings of a headers exchange.
///
/// # Cost
/// Bindings with equal arguments are one *rule*. A publish looks only at the rules that it finds under one of its own
/// headers: a rule for `all` stands under the one of its arguments that the fewest others stand under, a rule for `any`
/// under each of its arguments. So 10,000 bindings that differ in one header's value cost a publish one lookup per header.
/// Of headers with one name only the last counts, and the others cost no lookup. A rule is collected once, however many headers it stands
/// under.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    rules: Slab<Rule>,
    by_arguments: HashMap<BindingArguments, usize, RandomState>,
    /// Rules by what they ask of a header, as a hash; a rule that is found is compared in full.
    candidates: HashMap<u64, SmallVec<[usize; 1]>, RandomState>,
    /// The destinations of the rules that match every message.
    always: Targets,
    hasher: RandomState,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) any: bool,
    pub(super) conditions: Box<[Condition]>,
    /// Where the rule stands in `candidates`.
    places: SmallVec<[u64; 1]>,
    targets: Targets,
}

#[derive(Debug)]
pub(super) struct Condition {
    pub(super) name: ShortString,
    /// `None` asks for presence.
    pub(super) value: Option<FieldValue>,
}

impl Headers {
    /// Why these arguments cannot be a binding's, in RabbitMQ's words.
    pub(crate) fn check(arguments: &BindingArguments) -> Result<(), String> {
        let reason = match arguments.find(X_MATCH) {
            None => return Ok(()),
            Some(FieldValue::LongString(mode)) => match mode.as_ref() {
                b"all" | b"any" | b"all-with-x" | b"any-with-x" => return Ok(()),
                mode => format!(
                    "Invalid x-match field value <<\"{}\">>; expected all, any, all-with-x, or any-with-x",
                    String::from_utf8_lossy(mode)
                ),
            },
            Some(other) => format!(
                "Invalid x-match field type {} (value {}); expected longstr",
                other.type_name(),
                Term(other)
            ),
        };
        Err(reason)
    }

    pub(crate) fn bind(&mut self, arguments: &BindingArguments, target: Target) {
        let rule = Rule::new(arguments);
        if rule.matches_always() {
            self.always.add(target);
            return;
        }
        if let Some(rule) = self
            .by_arguments
            .get(arguments)
            .and_then(|slot| self.rules.get_mut(*slot))
        {
            rule.targets.add(target);
            return;
        }
        let slot = self.insert(rule);
        if let Some(rule) = self.rules.get_mut(slot) {
            rule.targets.add(target);
        }
        self.by_arguments.insert(arguments.clone(), slot);
    }

    pub(crate) fn unbind(&mut self, arguments: &BindingArguments, target: Target) {
        let Some(slot) = self.by_arguments.get(arguments).copied() else {
            if Rule::new(arguments).matches_always() {
                self.always.remove(target);
            }
            return;
        };
        let Some(rule) = self.rules.get_mut(slot) else {
            return;
        };
        rule.targets.remove(target);
        if !rule.targets.is_empty() {
            return;
        }
        let rule = self.rules.remove(slot);
        self.by_arguments.remove(arguments);
        for place in rule.places {
            if let Some(candidates) = self.candidates.get_mut(&place) {
                candidates.retain(|candidate| *candidate != slot);
                if candidates.is_empty() {
                    self.candidates.remove(&place);
                }
            }
        }
    }

    /// Appends the destinations of all bindings that match; one that several of them lead to may come repeatedly.
    /// `headers` are the fields as they lie on the wire: texts and numbers are compared where they are.
    /// Returns how many rules were compared.
    ///
    /// # Errors
    /// The headers are damaged.
    pub(crate) fn route(
        &self,
        headers: &[u8],
        matched: &mut Vec<Target>,
    ) -> Result<usize, WireError> {
        self.always.append_to(matched);
        if self.candidates.is_empty() {
            return Ok(0);
        }
        let message = ByName::new(headers, &self.hasher)?;
        let mut compared = 0;
        for field in message.counting() {
            let value = self.place(field.hash, Some(&field.value));
            let presence = self.place(field.hash, None);
            for (place, by_value) in [(value, true), (presence, false)] {
                for slot in self.candidates.get(&place).into_iter().flatten() {
                    compared += 1;
                    if let Some(rule) = self.rules.get(*slot)
                        && rule.counts_at(field, by_value, &message)
                    {
                        rule.targets.append_to(matched);
                    }
                }
            }
        }
        Ok(compared)
    }

    fn insert(&mut self, mut rule: Rule) -> usize {
        let mut places: SmallVec<[u64; 1]> = rule
            .conditions
            .iter()
            .map(|condition| {
                let name = self.hasher.hash_one(condition.name.as_bytes());
                let value = condition.value.as_ref().map(Compared::from);
                self.place(name, value.as_ref())
            })
            .collect();
        if rule.any {
            places.sort_unstable();
            places.dedup();
        } else {
            let rarest = places
                .iter()
                .copied()
                .min_by_key(|place| self.candidates.get(place).map_or(0, SmallVec::len));
            places = rarest.into_iter().collect();
        }
        rule.places.clone_from(&places);
        let slot = self.rules.insert(rule);
        for place in places {
            self.candidates.entry(place).or_default().push(slot);
        }
        slot
    }

    fn place(&self, name: u64, value: Option<&Compared<'_>>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(name);
        match value {
            Some(value) => value.hash(&mut hasher),
            None => hasher.write_u8(u8::MAX),
        }
        hasher.finish()
    }
}

impl Rule {
    pub(super) fn new(arguments: &BindingArguments) -> Self {
        let mode: &[u8] = match arguments.find(X_MATCH) {
            Some(FieldValue::LongString(mode)) => mode,
            _ => b"all",
        };
        let with_x = mode.ends_with(b"-with-x");
        let conditions = arguments
            .table()
            .iter()
            .filter(|(name, _)| {
                if with_x {
                    name.as_str() != X_MATCH
                } else {
                    !name.starts_with("x-")
                }
            })
            .map(|(name, value)| Condition {
                name: name.clone(),
                value: (*value != FieldValue::Void).then(|| value.clone()),
            });
        Self {
            any: mode.starts_with(b"any"),
            conditions: conditions.collect(),
            places: SmallVec::new(),
            targets: Targets::default(),
        }
    }

    fn matches_always(&self) -> bool {
        !self.any && self.conditions.is_empty()
    }

    /// Whether the rule matches, and is to be collected where it was found: under this field's value or its presence.
    fn counts_at(&self, field: &Field<'_>, by_value: bool, message: &ByName<'_>) -> bool {
        let holds = |condition: &Condition| match (message.find(&condition.name), &condition.value)
        {
            (Some(_), None) => true,
            (Some(header), Some(value)) => header.is_same(&value.into()),
            (None, _) => false,
        };
        if !self.any {
            return self.conditions.iter().all(holds);
        }
        // It is found under each of its conditions that holds, and counts at the first.
        let first = self.conditions.iter().find(|condition| holds(condition));
        first.is_some_and(|first| {
            first.value.is_some() == by_value && first.name.as_bytes() == field.name
        })
    }
}

/// One message's headers, found by name in logarithmic time, so that no table of headers makes a comparison slow.
struct ByName<'a> {
    by_hash: SmallVec<[Field<'a>; 8]>,
    hasher: &'a RandomState,
}

struct Field<'a> {
    hash: u64,
    name: &'a [u8],
    value: Compared<'a>,
}

impl<'a> ByName<'a> {
    fn new(headers: &'a [u8], hasher: &'a RandomState) -> Result<Self, WireError> {
        let mut by_hash: SmallVec<[Field<'a>; 8]> = SmallVec::new();
        for field in RawFields::new(headers) {
            let (name, value) = field?;
            by_hash.push(Field {
                hash: hasher.hash_one(name),
                name,
                value: Compared::of_raw(value)?,
            });
        }
        by_hash.sort_by_key(|field| field.hash);
        Ok(Self { by_hash, hasher })
    }

    /// The fields without those that another of the same name follows.
    fn counting(&self) -> impl Iterator<Item = &Field<'a>> {
        // The sort kept the order of those with one hash.
        self.by_hash
            .iter()
            .enumerate()
            .filter_map(|(place, field)| {
                let mut later = self.by_hash.get(place + 1..)?.iter();
                let is_hidden = later
                    .by_ref()
                    .take_while(|later| later.hash == field.hash)
                    .any(|later| later.name == field.name);
                (!is_hidden).then_some(field)
            })
    }

    /// Of a name that occurs several times the last counts.
    fn find(&self, name: &str) -> Option<&Compared<'a>> {
        let name = name.as_bytes();
        let hash = self.hasher.hash_one(name);
        let end = self.by_hash.partition_point(|field| field.hash <= hash);
        let found = self
            .by_hash
            .get(..end)?
            .iter()
            .rev()
            .take_while(|field| field.hash == hash);
        found
            .filter(|field| field.name == name)
            .map(|field| &field.value)
            .next()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::ShortString;

    use super::{Headers, Target};
    use crate::binding::BindingArguments;
    use crate::exchange::naive::headers_match;

    fn name(text: &str) -> ShortString {
        ShortString::new(text).expect("short")
    }

    fn route(exchange: &Headers, headers: &FieldTable) -> (BTreeSet<u32>, usize) {
        let mut matched = Vec::new();
        let fields = crate::exchange::MessageHeaders::fields(headers).expect("whole");
        let compared = exchange.route(&fields, &mut matched).expect("whole");
        let slots = matched.iter().map(|target| match target {
            Target::Queue(slot) | Target::Exchange(slot) => *slot,
        });
        (slots.collect(), compared)
    }

    fn arbitrary_table(
        u: &mut arbtest::arbitrary::Unstructured<'_>,
    ) -> arbtest::arbitrary::Result<FieldTable> {
        let mut table = FieldTable::new();
        for _ in 0..u.int_in_range(0..=4)? {
            let name = name(u.choose(&["a", "b", "c", "x-a", "x-b"])?);
            let value = match u.int_in_range(0..=4)? {
                0 => FieldValue::Void,
                1 => FieldValue::Bool(u.arbitrary()?),
                2 => u.choose(&["one", "two"]).copied()?.into(),
                // Two that no integer here is the same as: the standard's words compare types as well.
                3 => FieldValue::Timestamp(u.int_in_range(11..=12)?),
                _ => FieldValue::I32(u.int_in_range(1..=2)?),
            };
            table.insert(name, value);
        }
        Ok(table)
    }

    #[test]
    fn agrees_with_the_standard_on_random_tables() {
        arbtest::arbtest(|u| {
            let mut exchange = Headers::default();
            let mut bound: Vec<(BindingArguments, u32)> = Vec::new();
            for number in 0..u.int_in_range(1..=40)? {
                let mut arguments = arbitrary_table(u)?;
                if let Some(mode) = u.choose(&[
                    None,
                    Some("all"),
                    Some("any"),
                    Some("all-with-x"),
                    Some("any-with-x"),
                ])? {
                    arguments.insert(name("x-match"), *mode);
                }
                let arguments = BindingArguments::from(arguments);
                exchange.bind(&arguments, Target::Queue(number));
                bound.push((arguments, number));
                if u.ratio(1, 4)? {
                    let (arguments, number) = bound.swap_remove(u.choose_index(bound.len())?);
                    exchange.unbind(&arguments, Target::Queue(number));
                }
                let headers = arbitrary_table(u)?;
                let expected: BTreeSet<u32> = bound
                    .iter()
                    .filter(|(arguments, _)| headers_match(arguments.table(), &headers))
                    .map(|(_, number)| *number)
                    .collect();
                assert_eq!(
                    route(&exchange, &headers).0,
                    expected,
                    "{bound:?} {headers:?}"
                );
            }
            for (arguments, number) in bound {
                exchange.unbind(&arguments, Target::Queue(number));
            }
            assert_eq!(
                (
                    exchange.rules.len(),
                    exchange.by_arguments.len(),
                    exchange.candidates.len()
                ),
                (0, 0, 0)
            );
            assert!(exchange.always.is_empty());
            Ok(())
        });
    }

    /// All bindings share one header; each has another that tells it apart.
    #[test]
    fn a_publish_does_not_look_at_the_other_bindings() {
        let mut exchange = Headers::default();
        for number in 0..10_000_u32 {
            let arguments: FieldTable = [
                (name("kind"), "order".into()),
                (name("id"), FieldValue::I32(number.cast_signed())),
            ]
            .into_iter()
            .collect();
            exchange.bind(&arguments.into(), Target::Queue(number));
        }
        let headers: FieldTable = [
            (name("id"), FieldValue::I64(4711)),
            (name("kind"), "order".into()),
        ]
        .into_iter()
        .collect();
        let (slots, compared) = route(&exchange, &headers);
        assert_eq!(slots, BTreeSet::from([4711]));
        assert!(compared <= 2, "{compared}");
    }

    #[test]
    fn of_a_header_that_occurs_twice_the_last_counts() {
        let mut exchange = Headers::default();
        let arguments: FieldTable = [(name("a"), FieldValue::I32(1))].into_iter().collect();
        exchange.bind(&arguments.into(), Target::Queue(1));
        let twice = |values: [i32; 2]| {
            values
                .map(|value| (name("a"), FieldValue::I32(value)))
                .into_iter()
                .collect()
        };
        assert_eq!(route(&exchange, &twice([2, 1])).0.len(), 1);
        assert_eq!(route(&exchange, &twice([1, 2])).0.len(), 0);
    }

    #[test]
    fn a_rule_is_collected_once() {
        let mut exchange = Headers::default();
        let presence: FieldTable = [(name("a"), FieldValue::Void)].into_iter().collect();
        exchange.bind(&presence.into(), Target::Queue(1));
        let mut any: FieldTable = (0..100_u32)
            .map(|number| {
                let value = match number % 3 {
                    0 => FieldValue::Void,
                    _ => FieldValue::I32(7),
                };
                (name(&format!("h{number}")), value)
            })
            .collect();
        any.insert(name("x-match"), "any");
        exchange.bind(&any.into(), Target::Queue(2));
        let repeated = (0..1000).map(|number| (name("a"), FieldValue::I32(number)));
        let several = (0..100).map(|number| (name(&format!("h{number}")), FieldValue::I32(7)));
        let headers: FieldTable = repeated.chain(several).collect();
        let fields = crate::exchange::MessageHeaders::fields(&headers).expect("whole");
        let mut matched = Vec::new();
        let compared = exchange.route(&fields, &mut matched).expect("whole");
        assert_eq!(matched.len(), 2, "{matched:?}");
        assert_eq!(compared, 101);
    }
}
