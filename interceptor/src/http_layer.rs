//! Requests to an HTTP service of the user's own, as spans that runs lie under: a layer for `tower`, and so
//! for axum, hyper and tonic.
//!
//! Invariant: request and response pass through unchanged, and nothing is awaited. Of a request its method,
//! the headers `traceparent`, `tracestate` and `content-length`, baggage that is passed on, and the route that
//! the user names are read; its path, its query and its body never are.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Instant;

use http::header::CONTENT_LENGTH;
use http::{Extensions, HeaderMap, Method, Request, Response};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tower_layer::Layer;
use tower_service::Service;

use crate::metrics::Metrics;
use crate::metrics::names::UNKNOWN;
use crate::omnitrace::Recording;
use crate::propagation::{self, BAGGAGE, Carrier};
use crate::queue::{Observation, Subject};
use crate::switches::{Beginning, Switchboard};
use crate::telemetry::{Answer, RequestSeen};

/// Bytes of an observation beside its route.
const OVERHEAD: usize = 512;

/// Routes are cut here.
const MAX_ROUTE_BYTES: usize = 256;

/// Tells the route that a request matched.
type RouteOf = Arc<dyn Fn(&Extensions) -> Option<String> + Send + Sync>;

/// A layer for `tower`: while a request is served, its span is current for OpenTelemetry, so what the service
/// starts with a client that has the plugin lies under it. See
/// [`OmniTrace::http_layer`](crate::OmniTrace::http_layer).
#[derive(Clone)]
pub struct HttpLayer {
    recording: Option<Recording>,
    metrics: Metrics,
    route: RouteOf,
}

impl HttpLayer {
    pub(crate) fn new(recording: Option<Recording>, metrics: Metrics) -> Self {
        Self {
            recording,
            metrics,
            route: Arc::new(|_| None),
        }
    }

    /// Tells which route a request matched, as a pattern (`/orders/{id}`), from its extensions; of axum that
    /// is `MatchedPath`. Without it a span is named by its method alone. A path is no route: it may hold
    /// names and ids.
    pub fn with_route(
        mut self,
        route: impl Fn(&Extensions) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.route = Arc::new(route);
        self
    }

    /// Begins to watch a request; nothing where nothing is recorded.
    fn watch<B>(&self, request: &Request<B>) -> Option<Watch> {
        let recording = self.recording.clone()?;
        let current = Context::current();
        let around = current.span().span_context().clone();
        // A span that is around it already stands for whoever called.
        let parent = Some(around)
            .filter(SpanContext::is_valid)
            .or_else(|| propagation::extract(&carrier(request.headers())));
        let span = match recording.exports {
            true => own_span(&recording.switches, parent.as_ref()),
            // Nothing would lie under a span that is never sent, but under whoever called.
            false => parent.clone().unwrap_or(SpanContext::NONE),
        };
        let route = (self.route)(request.extensions()).map(|mut route| {
            route.truncate(route.floor_char_boundary(MAX_ROUTE_BYTES));
            route
        });
        let context = match span.is_valid() {
            true => current.with_remote_span_context(span.clone()),
            false => current,
        };
        let keys = recording.switches.baggage();
        let baggage = request.headers().get(BAGGAGE).filter(|_| !keys.is_empty());
        let baggage = baggage.and_then(|baggage| keys.filter(baggage.to_str().ok()?));
        Some(Watch {
            context: propagation::with_baggage(context, baggage),
            seen: Some(RequestSeen {
                span,
                parent: parent.map(|parent| parent.span_id()),
                method: method(request.method()),
                route,
                bytes: length(request.headers()),
                started_at: recording.queue.now(),
                latency: std::time::Duration::ZERO,
                answer: Answer::Gone,
            }),
            began: Instant::now(),
            recording,
            metrics: self.metrics.clone(),
        })
    }
}

impl fmt::Debug for HttpLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpService {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service with [`HttpLayer`] around it.
#[derive(Clone, Debug)]
pub struct HttpService<S> {
    inner: S,
    layer: HttpLayer,
}

impl<S, B, R> Service<Request<B>> for HttpService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HttpFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let watch = self.layer.watch(&request);
        let attached = watch.as_ref().map(|watch| watch.context.clone().attach());
        let inner = self.inner.call(request);
        drop(attached);
        HttpFuture { inner, watch }
    }
}

pin_project_lite::pin_project! {
    /// The answer to a request.
    #[derive(Debug)]
    pub struct HttpFuture<F> {
        #[pin]
        inner: F,
        watch: Option<Watch>,
    }
}

impl<F, R, E> Future for HttpFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let attached = (this.watch.as_ref()).map(|watch| watch.context.clone().attach());
        let polled = this.inner.poll(task);
        drop(attached);
        let result = ready!(polled);
        if let Some(mut watch) = this.watch.take() {
            watch.end(match &result {
                Ok(response) => Answer::Status(response.status().as_u16()),
                Err(_) => Answer::Error,
            });
        }
        Poll::Ready(result)
    }
}

/// Tells how a request ended, also if its future is dropped.
#[derive(Debug)]
struct Watch {
    recording: Recording,
    metrics: Metrics,
    context: Context,
    began: Instant,
    seen: Option<RequestSeen>,
}

impl Watch {
    fn end(&mut self, answer: Answer) {
        let Some(mut seen) = self.seen.take() else {
            return;
        };
        seen.latency = self.began.elapsed();
        seen.answer = answer;
        let status = match answer {
            Answer::Status(status) => status,
            Answer::Error => 500,
            // Of no class.
            Answer::Gone => 0,
        };
        let route = seen.route.as_deref().unwrap_or(UNKNOWN);
        self.metrics.http_request_of(
            seen.method,
            route,
            status,
            seen.latency,
            seen.bytes,
            &seen.span,
        );
        if self.recording.exports && seen.span.is_sampled() {
            let bytes = OVERHEAD + seen.route.as_ref().map_or(0, String::len);
            let seen = Box::new(seen);
            self.recording
                .queue
                .offer(bytes, Subject::None, || Observation::Request(seen));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(Answer::Gone);
    }
}

/// A new span in the trace of its parent, or in one of its own.
fn own_span(switches: &Switchboard, parent: Option<&SpanContext>) -> SpanContext {
    let ids = RandomIdGenerator::default();
    let trace_id = parent.map_or_else(|| ids.new_trace_id(), SpanContext::trace_id);
    let parent_sampled = parent.map(SpanContext::is_sampled);
    let decided = switches.decide(&trace_id.to_string(), parent_sampled, &Beginning::now());
    let sampled = decided.why().is_some();
    let state = parent.map(propagation::passed_on).unwrap_or_default();
    propagation::context(trace_id, &ids.new_span_id().to_string(), sampled, state)
}

fn carrier(headers: &HeaderMap) -> Carrier {
    ["traceparent", "tracestate"]
        .into_iter()
        .filter_map(|name| {
            let text = headers.get(name)?.to_str().ok()?;
            Some((name.to_owned(), text.to_owned()))
        })
        .collect()
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// As OpenTelemetry names methods: what is none of HTTP's own is one of others.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "CONNECT" => "CONNECT",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        "PATCH" => "PATCH",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready as at_once;

    use super::*;
    use crate::OmniTrace;
    use crate::config::{Backend, DatabaseTarget, Endpoint, Settings};

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// The context that a service finds current.
    async fn seen(layer: &HttpLayer, request: Request<()>) -> SpanContext {
        let service = Echo;
        let mut service = layer.layer(service);
        let answer = service.call(request).await.expect("an answer");
        answer.into_body()
    }

    struct Echo;

    impl Service<Request<()>> for Echo {
        type Response = Response<SpanContext>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            let current = Context::map_current(|context| context.span().span_context().clone());
            at_once(Ok(Response::new(current)))
        }
    }

    fn recording() -> OmniTrace {
        let mut settings = Settings::default().with_database(DatabaseTarget::None);
        settings.telemetry.enabled = true;
        settings.telemetry.backends.insert(Backend::Otel);
        // Where nobody listens.
        settings.telemetry.otlp.endpoint = Endpoint::parse("http://127.0.0.1:1");
        OmniTrace::start(settings)
    }

    #[tokio::test]
    async fn a_request_has_a_span_of_its_own_in_its_callers_trace() {
        let layer = recording().http_layer();
        let request = Request::builder()
            .header("traceparent", PARENT)
            .header("tracestate", "vendor=1")
            .body(())
            .expect("a request");
        let span = seen(&layer, request).await;
        assert_eq!(span.trace_id().to_string(), &PARENT[3..35]);
        assert_eq!(span.trace_state().header(), "vendor=1");
        assert_ne!(span.span_id().to_string(), &PARENT[36..52]);
        assert!(span.is_sampled());
        let alone = seen(&layer, Request::new(())).await;
        assert!(alone.is_valid() && alone.trace_id() != span.trace_id());
    }

    #[tokio::test]
    async fn where_no_spans_are_sent_the_caller_itself_is_current() {
        let settings = Settings::default().with_database(DatabaseTarget::None);
        let layer = OmniTrace::start(settings).http_layer();
        let request = Request::builder()
            .header("traceparent", PARENT)
            .body(())
            .expect("a request");
        let span = seen(&layer, request).await;
        assert_eq!(span.span_id().to_string(), &PARENT[36..52]);
        assert!(!seen(&layer, Request::new(())).await.is_valid());
    }

    #[tokio::test]
    async fn a_span_around_it_goes_before_its_headers() {
        let layer = recording().http_layer();
        let around = propagation::extract(&Carrier::from([(
            "traceparent".to_owned(),
            PARENT.to_owned(),
        )]));
        let context = Context::new().with_remote_span_context(around.clone().expect("valid"));
        let other = PARENT.replace("4bf9", "aaaa");
        let request = Request::builder()
            .header("traceparent", other)
            .body(())
            .expect("a request");
        let span = {
            let _attached = context.attach();
            futures_util::FutureExt::now_or_never(seen(&layer, request)).expect("at once")
        };
        assert_eq!(Some(span.trace_id()), around.map(|span| span.trace_id()));
    }

    #[tokio::test]
    async fn headers_that_are_no_context_begin_a_trace_and_nothing_is_done_where_nothing_is_recorded()
     {
        let request = |text: &[u8]| {
            Request::builder()
                .header("traceparent", text)
                .body(())
                .expect("a request")
        };
        let layer = recording().http_layer();
        assert!(seen(&layer, request(b"00-x")).await.is_valid());
        assert!(seen(&layer, request(&[0xff, 0xfe])).await.is_valid());
        let off = OmniTrace::start(Settings::default().with_enabled(false)).http_layer();
        assert!(!seen(&off, request(PARENT.as_bytes())).await.is_valid());
    }
}
