//! The HTTP port's thread: it accepts connections and answers one request on each, all of it within bounds.

use std::convert::Infallible;
use std::io::{self, Cursor};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::head::{self, MAX_HEAD_BYTES};
use super::routes::{AnyError, Routes};
use super::slots::{Slot, Slots};

/// How long a client may take to send the head of its request.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection may live, whatever the client does with it.
pub(crate) const EXCHANGE_WITHIN: Duration = Duration::from_secs(15);

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
    let slots = Slots::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                slots.turn().await;
                slots.spawn(|slot| serve(stream, peer, routes.clone(), slot));
                // So that the request is read, if it is there, before others come and may put its connection out.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::debug!(%error, "cannot take an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, routes: Routes, slot: Slot) {
    match tokio::time::timeout(EXCHANGE_WITHIN, exchange(stream, peer, routes, slot)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "HTTP connection closed"),
        Err(_) => tracing::debug!(%peer, "HTTP connection closed: the client is too slow"),
    }
}

/// Reads one request and answers it.
async fn exchange(stream: TcpStream, peer: SocketAddr, routes: Routes, slot: Slot) -> Result<(), AnyError> {
    let (mut read, mut write) = stream.into_split();
    let head = match tokio::time::timeout(HEAD_WITHIN, head::read(&mut read)).await? {
        Ok(head) => head,
        Err(error) => {
            if let Some(status) = error.status() {
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n{error}\n"
                );
                write.write_all(answer.as_bytes()).await?;
                write.shutdown().await?;
            }
            return Err(error.into());
        }
    };
    let service = service_fn(|request: Request<Incoming>| {
        let (routes, slot) = (routes.clone(), &slot);
        async move {
            tracing::debug!(%peer, method = %request.method(), path = request.uri().path(), "HTTP request");
            if *request.method() != Method::PUT {
                slot.has_asked();
            }
            let mut answer = routes.answer(peer, request).await;
            slot.has_asked();
            answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            Ok::<_, Infallible>(answer)
        }
    });
    let stream = tokio::io::join(Cursor::new(head).chain(read), write);
    let exchange = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    Ok(exchange.await?)
}
