//! A long list, written part by part: it never takes the memory that all of it would, and others who ask have their turn in between.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use hyper::body::Frame;
use serde_json::{Error, Value, to_writer};
use tokio::task::yield_now;

/// Answers with an array of what the parts have in them, each of which is made when the client takes it. If one cannot be made, the answer
/// ends before its end, which HTTP tells the client.
pub(super) fn array<P>(parts: P) -> Response
where
    P: Iterator<Item = Result<Vec<Value>, Error>> + Send + Unpin + 'static,
{
    let mut response = Response::new(Body::new(Array {
        parts,
        has_items: false,
        is_over: false,
        is_others_turn: true,
    }));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

struct Array<P> {
    parts: P,
    has_items: bool,
    is_over: bool,
    is_others_turn: bool,
}

impl<P: Iterator<Item = Result<Vec<Value>, Error>>> Array<P> {
    /// The next part as it is written, with what separates it from the one before.
    fn write(&mut self) -> Result<Vec<u8>, Error> {
        let mut written = Vec::new();
        if let Some(items) = self.parts.next() {
            for item in items? {
                written.push(if self.has_items { b',' } else { b'[' });
                self.has_items = true;
                to_writer(&mut written, &item)?;
            }
        } else {
            self.is_over = true;
            written.extend_from_slice(if self.has_items { b"]" } else { b"[]" });
        }
        Ok(written)
    }
}

impl<P: Iterator<Item = Result<Vec<Value>, Error>> + Unpin> HttpBody for Array<P> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.is_others_turn {
            self.is_others_turn = false;
            // Who only wakes itself is asked again before the runtime looks at sockets.
            if pin!(yield_now()).poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        self.is_others_turn = true;
        let written = self.write();
        self.is_over |= written.is_err();
        Poll::Ready(Some(written.map(|written| Frame::data(written.into()))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_slice, json};

    use super::*;

    async fn written(parts: Vec<Vec<Value>>) -> anyhow::Result<Value> {
        let response = array(parts.into_iter().map(Ok));
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
        Ok(from_slice(&body)?)
    }

    #[tokio::test]
    async fn parts_become_one_array() -> anyhow::Result<()> {
        let parts = vec![
            vec![],
            vec![json!(1), json!({ "a": 2 })],
            vec![],
            vec![json!(3)],
        ];
        assert_eq!(written(parts).await?, json!([1, { "a": 2 }, 3]));
        assert_eq!(written(vec![vec![]]).await?, json!([]));
        assert_eq!(written(vec![]).await?, json!([]));
        Ok(())
    }

    #[tokio::test]
    async fn what_cannot_be_made_ends_the_answer() {
        let broken = serde_json::from_str::<Value>("]").expect_err("no JSON");
        let parts = [Ok(vec![json!(1)]), Err(broken), Ok(vec![json!(2)])];
        let response = array(parts.into_iter());
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        assert!(body.is_err(), "{body:?}");
    }

    #[tokio::test]
    async fn others_have_their_turn_before_each_part() {
        let mut body = array([Ok(vec![json!(1)])].into_iter()).into_body();
        let mut context = Context::from_waker(std::task::Waker::noop());
        for part in ["[1", "]"] {
            assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
            match Pin::new(&mut body).poll_frame(&mut context) {
                Poll::Ready(Some(Ok(frame))) => {
                    assert_eq!(frame.into_data().expect("data"), part.as_bytes());
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(
            Pin::new(&mut body).poll_frame(&mut context),
            Poll::Ready(None)
        ));
    }
}
