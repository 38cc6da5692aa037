//! The web UI's pages and sessions.

use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, ETAG, HOST, IF_NONE_MATCH, ORIGIN,
    SET_COOKIE,
};
use axum::http::{HeaderMap, StatusCode};

use super::*;

/// A browser, which keeps the cookie of the broker.
struct Browser {
    client: Client<Arc<FakeBroker>>,
    cookie: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Browser {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new()?,
            cookie: String::new(),
        })
    }

    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Answer> {
        let request = Request::builder().method(method).uri(path);
        let mut request = request.header(HOST, "broker:15672");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !self.cookie.is_empty() {
            request = request.header(COOKIE, format!("other=1; {}", self.cookie));
        }
        let mut request = request.body(Body::from(body.to_owned()))?;
        request
            .extensions_mut()
            .insert(Peer((self.client.address, 40_000).into()));
        let response = self.client.router.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        if let Some(cookie) = parts.headers.get(SET_COOKIE) {
            let (pair, rest) = cookie.to_str()?.split_once(';').unwrap_or_default();
            self.cookie = pair.to_owned();
            assert!(
                rest.contains("HttpOnly") && rest.contains("SameSite=Strict"),
                "{rest}"
            );
        }
        let body = axum::body::to_bytes(body, 1 << 20).await?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    async fn log_in(&mut self, user: &str, password: &str) -> anyhow::Result<Answer> {
        let form = format!("username={user}&password={password}");
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.ask("POST", "/api/login", &[kind], &form).await
    }

    async fn change(&mut self, headers: &[(&str, &str)]) -> anyhow::Result<StatusCode> {
        let answer = self.ask("PUT", "/api/queues/%2F/q", headers, "{}").await?;
        Ok(answer.status)
    }

    async fn whoami(&mut self) -> anyhow::Result<StatusCode> {
        Ok(self.ask("GET", "/api/whoami", &[], "").await?.status)
    }
}

const OWN: (&str, &str) = ("x-requested-with", "amphora-ui");

#[tokio::test]
async fn a_session_stands_for_the_password() -> anyhow::Result<()> {
    let mut browser = Browser::new()?;
    let refused = browser.log_in("guest", "wrong").await?;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        refused.body,
        r#"{"error":"not_authorized","reason":"Login failed"}"#
    );
    let shut_out = browser.log_in("plain", "secret").await?;
    assert!(
        shut_out.body.contains("Not management user"),
        "{}",
        shut_out.body
    );
    assert!(browser.cookie.is_empty());

    let answer = browser.log_in("guest", "guest").await?;
    assert_eq!(answer.body, r#"{"name":"guest","tags":["administrator"]}"#);
    assert!(
        browser.cookie.starts_with("amphora-session-15672="),
        "{}",
        browser.cookie
    );
    assert_eq!(browser.whoami().await?, StatusCode::OK);
    assert_eq!(browser.change(&[OWN]).await?, StatusCode::CREATED);

    let token = browser.cookie.clone();
    let answer = browser.ask("POST", "/api/logout", &[OWN], "").await?;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(browser.cookie, "amphora-session-15672=");
    browser.cookie = token;
    assert_eq!(browser.whoami().await?, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn a_session_changes_nothing_for_pages_of_others() -> anyhow::Result<()> {
    let mut browser = Browser::new()?;
    browser.log_in("guest", "guest").await?;
    let origin = |origin| (ORIGIN.as_str(), origin);
    for headers in [
        &[][..],
        &[OWN, origin("http://elsewhere:15672")],
        &[OWN, origin("null")],
        &[OWN, ("sec-fetch-site", "cross-site")],
        &[OWN, ("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "same-origin")],
    ] {
        let status = browser.change(headers).await?;
        assert_eq!(status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let own = [
        OWN,
        origin("http://broker:15672"),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(browser.change(&own).await?, StatusCode::CREATED);
    Ok(())
}

#[tokio::test]
async fn nobody_is_logged_in_or_out_by_pages_of_others() -> anyhow::Result<()> {
    let mut browser = Browser::new()?;
    let form = "username=guest&password=guest";
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        (ORIGIN.as_str(), "http://elsewhere"),
    ];
    let answer = browser.ask("POST", "/api/login", &headers, form).await?;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(browser.cookie.is_empty());
    browser.log_in("guest", "guest").await?;
    let answer = browser.ask("POST", "/api/logout", &[], "").await?;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.whoami().await?, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_session_of_this_machine_is_worth_nothing_elsewhere() -> anyhow::Result<()> {
    let mut browser = Browser::new()?;
    browser.log_in("guest", "guest").await?;
    browser.client.address = [192, 0, 2, 1];
    assert_eq!(browser.whoami().await?, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn the_browser_asks_for_a_login_only_where_no_page_does() -> anyhow::Result<()> {
    let mut browser = Browser::new()?;
    let plain = browser.ask("GET", "/api/whoami", &[], "").await?;
    assert!(plain.headers.contains_key(WWW_AUTHENTICATE));
    let own = browser.ask("GET", "/api/whoami", &[OWN], "").await?;
    assert_eq!(own.status, StatusCode::UNAUTHORIZED);
    assert!(!own.headers.contains_key(WWW_AUTHENTICATE));
    Ok(())
}

#[tokio::test]
async fn the_log_is_for_those_who_monitor() -> anyhow::Result<()> {
    let mut client = Client::new()?;
    let answer = client.send("GET", "/logs", "").await?;
    assert!(answer.starts_with(r#"200 {"lines":["#), "{answer}");
    client.login = "reader:secret".to_owned();
    let answer = client.send("GET", "/logs", "").await?;
    assert_eq!(
        answer,
        r#"401 {"error":"not_authorised","reason":"Not monitor user"}"#
    );
    client.login = "monitor:secret".to_owned();
    let answer = client.send("GET", "/logs?since=x", "").await?;
    assert_eq!(
        answer,
        r#"400 {"error":"bad_request","reason":"since is no number: x"}"#
    );
    Ok(())
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere_and_are_cached_by_name() -> anyhow::Result<()> {
    let mut browser = Browser::new()?;
    let page = browser.ask("GET", "/", &[], "").await?;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(page.headers[CACHE_CONTROL], "no-cache");
    let policy = page.headers[CONTENT_SECURITY_POLICY].to_str()?;
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.body.contains("://"), "{}", page.body);

    let names = page
        .body
        .split('"')
        .filter(|part| part.starts_with("/assets/"));
    let names: Vec<_> = names.collect();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        let plain = browser.ask("GET", name, &[], "").await?;
        assert_eq!(plain.status, StatusCode::OK, "{name}");
        let caching = plain.headers[CACHE_CONTROL].to_str()?;
        assert!(caching.ends_with("immutable"), "{caching}");
        let accepts = (ACCEPT_ENCODING.as_str(), "br, gzip");
        let packed = browser.ask("GET", name, &[accepts], "").await?;
        assert_eq!(packed.headers[CONTENT_ENCODING], "gzip");
        assert_eq!(packed.headers[CONTENT_TYPE], plain.headers[CONTENT_TYPE]);
        let etag = plain.headers[ETAG].to_str()?;
        let known = (IF_NONE_MATCH.as_str(), etag);
        let again = browser.ask("GET", name, &[known], "").await?;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{name}");
        assert!(again.body.is_empty());
    }
    let missing = browser.ask("GET", "/assets/nothing.js", &[], "").await?;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    Ok(())
}
