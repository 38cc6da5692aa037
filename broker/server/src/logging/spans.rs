//! Spans for a collector: what connections, requests, plugins and commits took, exported by OTLP over HTTP.
//!
//! Spans have a target of their own, which the log knows nothing of; without a collector nobody asks for them, and they cost a comparison.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::config::Tracing;

/// The target of spans.
pub(crate) const TARGET: &str = "amphora::spans";

/// How long the collector may take for a request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What holds spans until they are exported.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// One commit in so many has a span; 0 if none has.
static COMMITS_EVERY: AtomicU32 = AtomicU32::new(0);

/// What takes spans, if there is a collector. To be called once.
pub(super) fn layer<S>(config: &Tracing) -> Option<impl Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let endpoint = config.endpoint.as_ref()?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(Collector::of(endpoint))
        .with_endpoint(endpoint)
        .with_timeout(TIMEOUT)
        .build();
    let exporter = match exporter {
        Ok(exporter) => exporter,
        Err(error) => {
            tracing::error!(endpoint, %error, "spans are not exported");
            return None;
        }
    };
    let about = Resource::builder_empty().with_attributes([
        KeyValue::new("service.name", config.service_name.clone()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", std::process::id().to_string()),
    ]);
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(about.build())
        .build();
    let tracer = provider.tracer("amphora");
    PROVIDER.get_or_init(|| provider);
    COMMITS_EVERY.store(config.commits_every, Ordering::Relaxed);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    Some(layer.with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO)))
}

/// Exports what there is. Blocks for as long as the collector may take.
pub(super) fn flush() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown()
    {
        tracing::warn!(%error, "the last spans were not exported");
    }
}

/// Whether the commit of this number has a span.
pub(crate) fn has_commit(number: u64) -> bool {
    match COMMITS_EVERY.load(Ordering::Relaxed) {
        0 => false,
        every => number.is_multiple_of(every.into()),
    }
}

/// The span of somebody else's that a request is part of, as its `traceparent` says.
pub(crate) fn parent(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract(&HeaderExtractor(headers))
}

/// The collector, and whether it took what it was sent last.
#[derive(Debug)]
struct Collector {
    endpoint: String,
    agent: ureq::Agent,
    is_failing: AtomicBool,
}

impl Collector {
    fn of(endpoint: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT));
        Self {
            endpoint: endpoint.to_owned(),
            agent: config.build().new_agent(),
            is_failing: AtomicBool::new(false),
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let request = request.map(|body| body.to_vec());
        let (parts, mut body) = self.agent.run(request)?.into_parts();
        Ok(Response::from_parts(parts, body.read_to_vec()?.into()))
    }

    /// Tells the log when it begins to fail, and when it is over.
    fn told(&self, failure: Option<String>) {
        let endpoint = &self.endpoint;
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(reason) if !was_failing => {
                tracing::warn!(
                    endpoint,
                    reason,
                    "spans cannot be exported; they are dropped"
                );
            }
            None if was_failing => tracing::info!(endpoint, "spans are exported again"),
            _ => {}
        }
    }
}

/// Called by the exporter's own thread, which may wait.
#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request);
        self.told(match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answers {}", response.status())),
            Err(error) => Some(error.to_string()),
        });
        Ok(sent?)
    }
}
