//! What a list may be asked for: a page of it, a filter by name, an order, and which columns.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use regex::{Regex, RegexBuilder};
use serde::Serialize;
use serde_json::{Map, Value, to_value};

use super::answer::{Many, One, Page};
use super::history::Windows;
use super::refused::Refused;

const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 500;

/// The query of a request, as far as it is about the shape of the answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    page: Option<Asked>,
    sort: Option<String>,
    reverse: bool,
    columns: Vec<String>,
    windows: Windows,
}

#[derive(Debug, PartialEq, Eq)]
struct Asked {
    /// Counted from 1.
    number: usize,
    size: usize,
    name: Option<String>,
    by_regex: bool,
}

impl Listing {
    /// Answers with a list, ordered by these columns unless another is asked for.
    pub(super) fn list<T: Serialize>(
        &self,
        items: impl IntoIterator<Item = T>,
        order: &[&str],
    ) -> Result<Many<T>, Refused> {
        let mut items = values(items)?;
        let asked = self.sort.as_deref();
        items.sort_by(|a, b| {
            let by = |path: &str| compare(at(a, path), at(b, path));
            asked
                .into_iter()
                .chain(order.iter().copied())
                .fold(Ordering::Equal, |so_far, path| {
                    so_far.then_with(|| by(path))
                })
        });
        if self.reverse {
            items.reverse();
        }
        if let Some(page) = &self.page {
            return self.paged(page, items);
        }
        let shown: Vec<Value> = items.into_iter().map(|item| self.cut(item)).collect();
        Ok(Many::written(Json(shown)))
    }

    /// Answers with a page of things that have a place in an order and a name, if that is all that the page is made by: then only what is
    /// on it has to be looked at. Nothing if it is not so.
    pub(super) fn page_of_names<T: Ord, V: Serialize>(
        &self,
        mut items: Vec<T>,
        name: impl Fn(&T) -> &str,
        views: impl FnOnce(&[T]) -> Vec<V>,
    ) -> Option<Result<Many<V>, Refused>> {
        let page = self.page.as_ref()?;
        if self.sort.as_deref().is_some_and(|sort| sort != "name") {
            return None;
        }
        let total_count = items.len();
        match page.pattern() {
            Ok(None) => {}
            Ok(Some(pattern)) => items.retain(|item| pattern.is_match(name(item))),
            Err(refused) => return Some(Err(refused)),
        }
        items.sort_unstable_by(|a, b| match self.sort {
            None => a.cmp(b),
            Some(_) => name(a).cmp(name(b)).then_with(|| a.cmp(b)),
        });
        if self.reverse {
            items.reverse();
        }
        Some(page.within(items.len()).and_then(|within| {
            let shown = views(items.get(within).unwrap_or_default());
            Ok(self.answer(page, (total_count, items.len()), values(shown)?))
        }))
    }

    /// As [`Listing::page_of_names`], of things that are sorted by a number and then in their own order. `number` knows that of a column.
    pub(super) fn page_by_number<T, V: Serialize>(
        &self,
        items: &[T],
        number: impl Fn(&T, &str) -> Option<u64>,
        place: impl Fn(&T) -> (&str, &str),
        view: impl Fn(&T) -> V,
    ) -> Option<Result<Many<V>, Refused>> {
        let (page, sort) = (self.page.as_ref()?, self.sort.as_deref()?);
        let pattern = match page.pattern() {
            Ok(pattern) => pattern,
            Err(refused) => return Some(Err(refused)),
        };
        let passes = |item: &&T| {
            let (_, name) = place(item);
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(name))
        };
        let numbered = items.iter().filter(passes);
        let numbered: Option<Vec<_>> = numbered
            .map(|item| Some((number(item, sort)?, place(item), item)))
            .collect();
        let mut numbered = numbered?;
        numbered.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        if self.reverse {
            numbered.reverse();
        }
        Some(page.within(numbered.len()).and_then(|within| {
            let shown = numbered.get(within).unwrap_or_default();
            let shown = values(shown.iter().map(|(.., item)| view(item)))?;
            Ok(self.answer(page, (items.len(), numbered.len()), shown))
        }))
    }

    /// Which past is asked for.
    pub(super) fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Answers with a single thing.
    pub(super) fn one<T: Serialize>(&self, item: T) -> One<T> {
        match to_value(item) {
            Ok(item) => One::written(Json(self.cut(item))),
            Err(error) => One::written(Refused::untold(&error)),
        }
    }

    fn paged<T>(&self, page: &Asked, mut items: Vec<Value>) -> Result<Many<T>, Refused> {
        let total_count = items.len();
        if let Some(pattern) = page.pattern()? {
            items.retain(|item| {
                item.get("name")
                    .and_then(Value::as_str)
                    .is_some_and(|name| pattern.is_match(name))
            });
        }
        let filtered_count = items.len();
        let within = page.within(filtered_count)?;
        let shown = items.into_iter().skip(within.start).take(within.len());
        Ok(self.answer(page, (total_count, filtered_count), shown.collect()))
    }

    fn answer<T>(
        &self,
        page: &Asked,
        (total, filtered): (usize, usize),
        shown: Vec<Value>,
    ) -> Many<T> {
        let items: Vec<Value> = shown.into_iter().map(|item| self.cut(item)).collect();
        Many::written(Json(Page {
            total_count: total,
            filtered_count: filtered,
            item_count: items.len(),
            page: page.number,
            page_size: page.size,
            page_count: filtered.div_ceil(page.size).max(1),
            items,
        }))
    }

    /// Leaves only the columns that were asked for.
    fn cut(&self, item: Value) -> Value {
        if self.columns.is_empty() {
            return item;
        }
        let mut kept = Map::new();
        for column in &self.columns {
            if let Some(value) = at(&item, column) {
                put(&mut kept, column, value.clone());
            }
        }
        Value::Object(kept)
    }

    fn read(query: &HashMap<String, String>) -> Result<Self, Refused> {
        let is_true = |name: &str| query.get(name).is_some_and(|value| value == "true");
        let columns = query
            .get("columns")
            .map(|list| list.split(',').map(str::trim).filter(|c| !c.is_empty()));
        Ok(Self {
            page: Asked::read(query, is_true("use_regex"))?,
            sort: query.get("sort").filter(|path| !path.is_empty()).cloned(),
            reverse: is_true("sort_reverse"),
            columns: columns.into_iter().flatten().map(str::to_owned).collect(),
            windows: Windows::read(query)?,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Listing {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let query = Query::<HashMap<String, String>>::try_from_uri(&parts.uri);
        let Query(query) = query.map_err(|error| Refused::bad_request(error.body_text()))?;
        Self::read(&query)
    }
}

impl Asked {
    fn read(query: &HashMap<String, String>, by_regex: bool) -> Result<Option<Self>, Refused> {
        let number = |name: &str| match query.get(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => text
                .parse::<usize>()
                .map(Some)
                .map_err(|_| Refused::bad_request("Pagination parameters are invalid")),
        };
        let Some(page) = number("page")? else {
            return Ok(None);
        };
        let size = number("page_size")?;
        if page == 0 || size.is_some_and(|size| size == 0 || size > PAGE_SIZE_MAX) {
            let size = size.map_or_else(|| "undefined".to_owned(), |size| size.to_string());
            return Err(Refused::invalid(
                "invalid_pagination_parameters",
                format!("Invalid pagination parameters: page number {page}, page size {size}"),
            ));
        }
        let name = query.get("name").filter(|name| !name.is_empty()).cloned();
        Ok(Some(Self {
            number: page,
            size: size.unwrap_or(PAGE_SIZE),
            name,
            by_regex,
        }))
    }

    /// What items have to have somewhere in their names, in whichever case.
    fn pattern(&self) -> Result<Option<Regex>, Refused> {
        let Some(name) = &self.name else {
            return Ok(None);
        };
        let pattern = if self.by_regex {
            name.clone()
        } else {
            regex::escape(name)
        };
        let pattern = RegexBuilder::new(&pattern).case_insensitive(true).build();
        pattern
            .map(Some)
            .map_err(|_| Refused::bad_request("Pagination parameters are invalid"))
    }

    /// Which of so many items it shows.
    fn within(&self, count: usize) -> Result<Range<usize>, Refused> {
        if self.number > count.div_ceil(self.size).max(1) {
            return Err(Refused::invalid(
                "page_out_of_range",
                format!(
                    "Page out of range, page: {} page size: {}, len: {count}",
                    self.number, self.size
                ),
            ));
        }
        let first = (self.number - 1) * self.size;
        Ok(first..count.min(first + self.size))
    }
}

fn values<T: Serialize>(items: impl IntoIterator<Item = T>) -> Result<Vec<Value>, Refused> {
    let values = items.into_iter().map(to_value);
    let values: Result<_, _> = values.collect();
    values.map_err(|error| Refused::untold(&error))
}

/// The value at a path such as `message_stats.publish`.
fn at<'a>(item: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(item, |value, key| value.get(key))
}

/// Sets the value at a path, where there is no other value on the way.
fn put(into: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            into.insert(path.to_owned(), value);
        }
        Some((key, rest)) => {
            let inner = into.entry(key).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// Numbers by size before texts by letters; what is absent or has no order comes first.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let rank = |value: Option<&Value>| match value {
        Some(Value::Bool(_)) => 1,
        Some(Value::Number(_)) => 2,
        Some(Value::String(_)) => 3,
        _ => 0,
    };
    match (a, b) {
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Number(a)), Some(Value::Number(b))) => a
            .as_f64()
            .partial_cmp(&b.as_f64())
            .unwrap_or(Ordering::Equal),
        _ => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use serde_json::json;

    use super::*;

    fn listing(query: &[(&str, &str)]) -> Listing {
        let query = query.iter();
        let query: HashMap<String, String> = query
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Listing::read(&query).expect("a query that makes sense")
    }

    fn place((vhost, name, _): &(String, String, u64)) -> (&str, &str) {
        (vhost, name)
    }

    async fn body(answer: Result<Many<Value>, Refused>) -> String {
        let response = answer.into_response();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        String::from_utf8_lossy(&bytes.expect("a body")).into_owned()
    }

    /// The short ways come to the pages that the long one makes.
    #[tokio::test]
    async fn a_page_is_the_same_whichever_way_it_is_made() {
        let items: Vec<(String, String, u64)> = (0..250_u64)
            .map(|number| {
                let mixed = number * 7919 % 250;
                (
                    format!("v{}", mixed % 3),
                    format!("Queue-{mixed}"),
                    mixed % 10,
                )
            })
            .collect();
        let view = |(vhost, name, count): &(String, String, u64)| json!({ "vhost": vhost, "name": name, "count": count });
        for query in [
            &[("page", "1")][..],
            &[("page", "3"), ("sort_reverse", "true")],
            &[("page", "2"), ("page_size", "7"), ("sort", "name")],
            &[
                ("page", "1"),
                ("page_size", "5"),
                ("name", "queue-1"),
                ("columns", "name"),
            ],
            &[("page", "1"), ("name", "5$"), ("use_regex", "true")],
            &[("page", "1"), ("name", "("), ("use_regex", "true")],
            &[("page", "9")],
            &[("page", "1"), ("name", "nothing")],
        ] {
            let listing = listing(query);
            let long = listing.list(items.iter().map(view), &["vhost", "name"]);
            let short = listing.page_of_names(
                items.clone(),
                |(_, name, _)| name,
                |page| page.iter().map(view).collect(),
            );
            let short = short.expect("a page by names");
            assert_eq!(body(short).await, body(long).await, "{query:?}");
        }
        for reverse in ["true", "false"] {
            let listing = listing(&[
                ("page", "2"),
                ("page_size", "9"),
                ("sort", "count"),
                ("sort_reverse", reverse),
            ]);
            let long = listing.list(items.iter().map(view), &["vhost", "name"]);
            let number =
                |item: &(String, String, u64), column: &str| (column == "count").then_some(item.2);
            let short = listing.page_by_number(&items, number, place, view);
            let short = short.expect("a page by a number");
            assert_eq!(body(short).await, body(long).await, "{reverse}");
        }
        let other = listing(&[("page", "1"), ("sort", "state")]);
        assert!(
            other
                .page_of_names(items, |(_, name, _)| name, |_| Vec::<Value>::new())
                .is_none()
        );
    }
}
