//! Which request gets which answer.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::health;
use super::lifecycle::Lifecycle;
use super::same_machine;
use crate::logging::{LogFilter, LogFilterError};
use crate::metrics::Scraper;

/// The longest body that is read: a log filter.
pub(crate) const MAX_BODY_BYTES: usize = 4 << 10;

/// How long a client may take to send the body of its request.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(5);

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
/// What Prometheus' text format is called, version included.
const METRICS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

const INDEX: &str = "/metrics\n/health/live\n/health/ready\n/log\n";

/// What requests are answered from.
#[derive(Clone)]
pub(crate) struct Routes {
    inner: Arc<Inner>,
}

struct Inner {
    lifecycle: Lifecycle,
    scraper: Scraper,
    log: LogFilter,
    /// The name of the HTTP port's own address, which may be an IP address.
    own_name: String,
}

/// What a body may fail with.
pub(super) type AnyError = Box<dyn Error + Send + Sync>;

/// An answer, whole.
pub(super) type Answer = Response<Full<Bytes>>;

impl Routes {
    /// Answers for the node of `lifecycle` whose HTTP port listens at `own_name`.
    pub(crate) fn new(lifecycle: Lifecycle, scraper: Scraper, log: LogFilter, own_name: String) -> Self {
        Self { inner: Arc::new(Inner { lifecycle, scraper, log, own_name }) }
    }

    /// Answers one request of the client at `peer`.
    pub(super) async fn answer<B>(&self, peer: SocketAddr, request: Request<B>) -> Answer
    where
        B: Body<Error: Into<AnyError>>,
    {
        let Inner { lifecycle, scraper, log, own_name } = &*self.inner;
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/" if reads => text(StatusCode::OK, INDEX),
            "/metrics" if reads => {
                with_type(StatusCode::OK, METRICS_TEXT, scraper.scrape(lifecycle.node()).await)
            }
            "/health/live" if reads => verdict("live", health::not_live(lifecycle).as_slice()),
            "/health/ready" if reads => verdict("ready", &health::not_ready(lifecycle)),
            "/log" if reads => told(log.current()),
            "/log" if *request.method() == Method::PUT => set_log(log, own_name, peer, request).await,
            "/log" => not_allowed("GET, HEAD, PUT"),
            "/" | "/metrics" | "/health/live" | "/health/ready" => not_allowed("GET, HEAD"),
            _ => text(StatusCode::NOT_FOUND, INDEX),
        }
    }
}

/// What a probe is told: the state, or each reason why it is not so in a line.
fn verdict(state: &str, reasons: &[String]) -> Answer {
    if reasons.is_empty() {
        return text(StatusCode::OK, format!("{state}\n"));
    }
    let lines: String = reasons.iter().map(|reason| format!("not {state}: {reason}\n")).collect();
    text(StatusCode::SERVICE_UNAVAILABLE, lines)
}

/// Changes what is logged. Nobody on another machine may: the port has no passwords, and a log of everything fills disks.
async fn set_log<B>(log: &LogFilter, own_name: &str, peer: SocketAddr, request: Request<B>) -> Answer
where
    B: Body<Error: Into<AnyError>>,
{
    if !peer.ip().to_canonical().is_loopback() {
        return text(StatusCode::FORBIDDEN, "the log is changed from the node's own machine only\n");
    }
    if let Some(refusal) = same_machine::refusal(request.headers(), own_name) {
        return text(StatusCode::FORBIDDEN, refusal);
    }
    let body = Limited::new(Box::pin(request.into_body()), MAX_BODY_BYTES).collect();
    // Whatever goes wrong, the body is too long or its sender has left.
    let body = match tokio::time::timeout(BODY_WITHIN, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return text(StatusCode::PAYLOAD_TOO_LARGE, "a filter has at most 4096 bytes\n"),
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the filter did not come within 5 seconds\n"),
    };
    let filter = String::from_utf8_lossy(&body).trim().to_owned();
    if filter.is_empty() {
        let wanted = "the body is to be a filter, such as info or info,trilog=debug; off logs nothing\n";
        return text(StatusCode::BAD_REQUEST, wanted);
    }
    told(log.set(&filter).and_then(|()| log.current()))
}

fn told(outcome: Result<String, LogFilterError>) -> Answer {
    match outcome {
        Ok(filter) => text(StatusCode::OK, format!("{filter}\n")),
        Err(error @ (LogFilterError::Wrong(_) | LogFilterError::NoLevel(_))) => {
            text(StatusCode::BAD_REQUEST, format!("{error}\n"))
        }
        Err(error @ LogFilterError::Ended(_)) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, format!("{allowed}\n"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, PLAIN_TEXT, body)
}

fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use hyper::header::HOST;

    use super::*;
    use crate::logging;
    use crate::metrics::Metrics;

    const HERE: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    /// Asks a node that has not started yet.
    async fn ask(
        log: &LogFilter,
        from: IpAddr,
        method: Method,
        path: &str,
        body: &str,
    ) -> (StatusCode, String) {
        let scraper = Scraper::new(Metrics::default(), "no such directory".into());
        let routes = Routes::new(Lifecycle::default(), scraper, log.clone(), String::new());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost:1")
            .body(Full::new(Bytes::from(body.to_owned())));
        let answer = routes.answer((from, 1).into(), request.unwrap()).await;
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn paths_and_methods_are_told_apart() {
        let (log, _layer) = logging::unseen("info");
        for (method, path, expected) in [
            (Method::GET, "/", StatusCode::OK),
            (Method::GET, "/metrics", StatusCode::OK),
            (Method::HEAD, "/metrics", StatusCode::OK),
            (Method::POST, "/metrics", StatusCode::METHOD_NOT_ALLOWED),
            (Method::GET, "/health/live", StatusCode::OK),
            (Method::GET, "/health/ready", StatusCode::SERVICE_UNAVAILABLE),
            (Method::DELETE, "/log", StatusCode::METHOD_NOT_ALLOWED),
            (Method::GET, "/metrics/", StatusCode::NOT_FOUND),
        ] {
            let (status, body) = ask(&log, HERE, method.clone(), path, "").await;
            assert_eq!(status, expected, "{method} {path}: {body}");
        }
    }

    #[tokio::test]
    async fn the_log_is_changed_from_the_same_machine_only() {
        let (log, _layer) = logging::unseen("info");
        let (status, _) = ask(&log, ELSEWHERE, Method::PUT, "/log", "debug").await;
        assert_eq!((status, log.current().unwrap().as_str()), (StatusCode::FORBIDDEN, "info"));
        let (status, body) = ask(&log, HERE, Method::PUT, "/log", "debug\n").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "debug\n"));
        let (status, body) = ask(&log, HERE, Method::PUT, "/log", "trilog=loud").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let (status, body) = ask(&log, HERE, Method::PUT, "/log", " \n").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let (status, _) = ask(&log, HERE, Method::PUT, "/log", &"x".repeat(MAX_BODY_BYTES + 1)).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(log.current().unwrap(), "debug");
    }
}
