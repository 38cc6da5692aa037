//! Pages and whole lists, whichever way they are made.

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

fn name((_, name, _): &(String, String, u64)) -> &str {
    name
}

fn view((vhost, name, count): &(String, String, u64)) -> Value {
    json!({ "vhost": vhost, "name": name, "count": count })
}

/// So many things in three virtual hosts, mixed.
fn items(count: u64) -> Vec<(String, String, u64)> {
    let numbers = (0..count).map(|number| number * 7919 % count);
    numbers
        .map(|mixed| {
            (
                format!("v{}", mixed % 3),
                format!("Queue-{mixed}"),
                mixed % 10,
            )
        })
        .collect()
}

/// The short ways come to the pages that the long one makes.
#[tokio::test]
async fn a_page_is_the_same_whichever_way_it_is_made() {
    let items = items(250);
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
        let views = |page: &[_]| page.iter().map(view).collect();
        let short = listing.page_of_names(|| items.clone(), name, views);
        let short = short.expect("a page by names");
        assert_eq!(body(short).await, body(long).await, "{query:?}");
    }
    let other = listing(&[("page", "1"), ("sort", "state")]);
    let views = |_: &[_]| Vec::<Value>::new();
    assert!(other.page_of_names(|| items, name, views).is_none());
}

#[tokio::test]
async fn a_page_is_sorted_the_same_by_what_is_known_and_by_what_is_looked_at() {
    let items = items(250);
    let known = |item: &(String, String, u64), column: &str| match column {
        "count" => Some(item.2.into()),
        _ => None,
    };
    for sort in ["count", "vhost", "nothing", "name"] {
        for reverse in ["true", "false"] {
            let listing = listing(&[
                ("page", "2"),
                ("page_size", "9"),
                ("name", "1"),
                ("sort", sort),
                ("sort_reverse", reverse),
            ]);
            let long = listing.list(items.iter().map(view), &["vhost", "name"]);
            let short = listing.page_by_column(&items, known, place, view);
            let short = short.expect("a page by a column");
            assert_eq!(body(short).await, body(long).await, "{sort} {reverse}");
        }
    }
    let whole = listing(&[("sort", "count")]);
    assert!(whole.page_by_column(&items, known, place, view).is_none());
}

#[tokio::test]
async fn a_whole_list_is_the_same_however_long_it_is() {
    for count in [0, 1, 250, 501, 1201] {
        for query in [
            &[][..],
            &[("sort", "name")],
            &[("sort_reverse", "true"), ("columns", "vhost,count")],
        ] {
            let items = items(count);
            let listing = listing(query);
            assert!(listing.is_whole_by_name());
            let long = listing.list(items.iter().map(view), &["vhost", "name"]);
            let views = |_: &Listing, part: &[_]| part.iter().map(view).collect();
            let short = listing.whole_by_name(items, name, views);
            assert_eq!(body(short).await, body(long).await, "{count} {query:?}");
        }
    }
    assert!(!listing(&[("sort", "vhost")]).is_whole_by_name());
    assert!(!listing(&[("page", "1")]).is_whole_by_name());
}
