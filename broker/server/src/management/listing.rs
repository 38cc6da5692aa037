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
use super::in_turn;
use super::refused::Refused;

const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 500;

/// How many items of a long list are made in one go.
const PART: usize = 200;

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
        items: impl FnOnce() -> Vec<T>,
        name: impl Fn(&T) -> &str,
        views: impl FnOnce(&[T]) -> Vec<V>,
    ) -> Option<Result<Many<V>, Refused>> {
        let page = self.page.as_ref()?;
        if !self.is_by_name() {
            return None;
        }
        let mut items = items();
        let total_count = items.len();
        match page.pattern() {
            Ok(None) => {}
            Ok(Some(pattern)) => items.retain(|item| pattern.is_match(name(item))),
            Err(refused) => return Some(Err(refused)),
        }
        self.order_by_name(&mut items, name);
        Some(page.within(items.len()).and_then(|within| {
            let shown = views(items.get(within).unwrap_or_default());
            Ok(self.answer(page, (total_count, items.len()), values(shown)?))
        }))
    }

    /// Whether all things are asked for, in the order of their places or names.
    pub(super) fn is_whole_by_name(&self) -> bool {
        self.page.is_none() && self.is_by_name()
    }

    /// Answers so ([`Listing::is_whole_by_name`]). Of a long list, a few things at a time are looked at, when the client takes them.
    pub(super) fn whole_by_name<T, V>(
        self,
        mut items: Vec<T>,
        name: impl Fn(&T) -> &str,
        mut views: impl FnMut(&Self, &[T]) -> Vec<V> + Send + Unpin + 'static,
    ) -> Result<Many<V>, Refused>
    where
        T: Ord + Send + Unpin + 'static,
        V: Serialize,
    {
        self.order_by_name(&mut items, name);
        let mut written = move |items: &[T]| {
            let views = views(&self, items).into_iter();
            views
                .map(|view| to_value(view).map(|item| self.cut(item)))
                .collect::<Result<Vec<Value>, _>>()
        };
        if items.len() <= PAGE_SIZE_MAX {
            let shown = written(&items).map_err(|error| Refused::untold(&error));
            return shown.map(|shown| Many::written(Json(shown)));
        }
        let mut items = items.into_iter();
        let parts = std::iter::from_fn(move || {
            let part: Vec<T> = items.by_ref().take(PART).collect();
            (!part.is_empty()).then(|| written(&part))
        });
        Ok(Many::written(in_turn::array(parts)))
    }

    /// As [`Listing::page_of_names`], of things that are sorted by another column and then by their place. `key` knows the value of the columns
    /// that are asked for most, without making all the others.
    pub(super) fn page_by_column<T, V: Serialize>(
        &self,
        items: &[T],
        key: impl Fn(&T, &str) -> Option<Value>,
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
        let found: Vec<&T> = items.iter().filter(passes).collect();
        let keys: Option<Vec<Value>> = found.iter().map(|item| key(item, sort)).collect();
        // Of each view only this one value is kept.
        let by_view = || {
            let views = found.iter().map(|item| to_value(view(item)));
            let keys =
                views.map(|view| view.map(|view| at(&view, sort).cloned().unwrap_or_default()));
            keys.collect::<Result<Vec<Value>, _>>()
        };
        let keys = match keys.map_or_else(by_view, Ok) {
            Ok(keys) => keys,
            Err(error) => return Some(Err(Refused::untold(&error))),
        };
        let mut sorted: Vec<_> = keys.iter().zip(found).collect();
        sorted.sort_by(|a, b| {
            let by_key = compare(Some(a.0), Some(b.0));
            by_key.then_with(|| place(a.1).cmp(&place(b.1)))
        });
        if self.reverse {
            sorted.reverse();
        }
        Some(page.within(sorted.len()).and_then(|within| {
            let shown = sorted.get(within).unwrap_or_default();
            let shown = values(shown.iter().map(|(_, item)| view(item)))?;
            Ok(self.answer(page, (items.len(), sorted.len()), shown))
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

    fn is_by_name(&self) -> bool {
        self.sort.as_deref().is_none_or(|sort| sort == "name")
    }

    fn order_by_name<T: Ord>(&self, items: &mut [T], name: impl Fn(&T) -> &str) {
        items.sort_unstable_by(|a, b| match self.sort {
            None => a.cmp(b),
            Some(_) => name(a).cmp(name(b)).then_with(|| a.cmp(b)),
        });
        if self.reverse {
            items.reverse();
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
mod tests;
