//! The HTTP port's thread: it accepts connections and answers one request on each, all of it within bounds.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::routes::Routes;

/// Connections at once. Prometheus needs one, an orchestrator's probes a few.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// How long a client may take to send the head of its request.
pub(super) const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// The longest head of a request, in bytes.
pub(super) const MAX_HEAD_BYTES: usize = 16 << 10;

/// How long a connection may live, whatever the client does with it.
pub(super) const EXCHANGE_WITHIN: Duration = Duration::from_secs(15);

/// The pause after a failed accept, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What is gone once the HTTP port's thread is: it ends by a panic only.
pub(crate) type Alive = oneshot::Receiver<Infallible>;

/// Serves `routes` on a thread of its own, which lives as long as the process.
///
/// # Errors
///
/// When the operating system gives no thread, or the socket cannot be used.
pub(crate) fn start(listener: TcpListener, routes: Routes) -> io::Result<Alive> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _runtime = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let (until_the_end, alive) = oneshot::channel();
    std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        let _until_the_end: oneshot::Sender<Infallible> = until_the_end;
        runtime.block_on(accept(listener, routes))
    })?;
    Ok(alive)
}

async fn accept(listener: tokio::net::TcpListener, routes: Routes) -> Infallible {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
                    tokio::spawn(serve(stream, peer, routes.clone(), slot));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "cannot take an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, routes: Routes, _slot: OwnedSemaphorePermit) {
    let service = service_fn(|request: Request<Incoming>| {
        let routes = routes.clone();
        async move {
            tracing::debug!(%peer, method = %request.method(), path = request.uri().path(), "HTTP request");
            let mut answer = routes.answer(peer, request).await;
            answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            Ok::<_, Infallible>(answer)
        }
    });
    let exchange = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(EXCHANGE_WITHIN, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "HTTP connection closed"),
        Err(_) => tracing::debug!(%peer, "HTTP connection closed: the client is too slow"),
    }
}
