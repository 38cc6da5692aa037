//! What a list may be asked for: a page of it, a filter by name, an order, and which columns.

use std::cmp::Ordering;
use std::collections::HashMap;

use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use regex::RegexBuilder;
use serde_json::{Map, Value, json};

use super::refused::Refused;

const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 500;

/// The query of a request, as far as it is about the shape of the answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    page: Option<Page>,
    sort: Option<String>,
    reverse: bool,
    columns: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Page {
    /// Counted from 1.
    number: usize,
    size: usize,
    name: Option<String>,
    by_regex: bool,
}

impl Listing {
    /// Answers with a list, ordered by these columns unless another is asked for.
    pub(super) fn list(&self, mut items: Vec<Value>, order: &[&str]) -> Result<Response, Refused> {
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
        let body = match &self.page {
            Some(page) => self.paged(page, items)?,
            None => Value::Array(items.into_iter().map(|item| self.cut(item)).collect()),
        };
        Ok(Json(body).into_response())
    }

    /// Answers with a single thing.
    pub(super) fn one(&self, item: Value) -> Response {
        Json(self.cut(item)).into_response()
    }

    fn paged(&self, page: &Page, mut items: Vec<Value>) -> Result<Value, Refused> {
        let total_count = items.len();
        page.filter(&mut items)?;
        let filtered_count = items.len();
        let page_count = filtered_count.div_ceil(page.size).max(1);
        if page.number > page_count {
            return Err(Refused::invalid(
                "page_out_of_range",
                format!(
                    "Page out of range, page: {} page size: {}, len: {filtered_count}",
                    page.number, page.size
                ),
            ));
        }
        let skipped = (page.number - 1) * page.size;
        let items: Vec<_> = items
            .into_iter()
            .skip(skipped)
            .take(page.size)
            .map(|item| self.cut(item))
            .collect();
        Ok(json!({
            "total_count": total_count,
            "filtered_count": filtered_count,
            "item_count": items.len(),
            "page": page.number,
            "page_size": page.size,
            "page_count": page_count,
            "items": items,
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
            page: Page::read(query, is_true("use_regex"))?,
            sort: query.get("sort").filter(|path| !path.is_empty()).cloned(),
            reverse: is_true("sort_reverse"),
            columns: columns.into_iter().flatten().map(str::to_owned).collect(),
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

impl Page {
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

    /// Keeps what has the name somewhere in its own, in whichever case.
    fn filter(&self, items: &mut Vec<Value>) -> Result<(), Refused> {
        let Some(name) = &self.name else {
            return Ok(());
        };
        let pattern = if self.by_regex {
            name.clone()
        } else {
            regex::escape(name)
        };
        let regex = RegexBuilder::new(&pattern).case_insensitive(true).build();
        let regex = regex.map_err(|_| Refused::bad_request("Pagination parameters are invalid"))?;
        items.retain(|item| {
            item.get("name")
                .and_then(Value::as_str)
                .is_some_and(|name| regex.is_match(name))
        });
        Ok(())
    }
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
