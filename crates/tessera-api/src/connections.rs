//! Connections: how many there may be, and how long one may take to say what it wants.
//!
//! Whoever is slow costs a connection and nothing else: a request begins to be worked on when its head is there, and
//! a body that does not come is given up. One connection too many is answered so and closed.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep};
use tower::ServiceExt;

/// Bounds of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Open at the same time. One more is answered `503` and closed.
    pub most: usize,
    /// How long the head of a request may take, counted from the end of the one before: idle connections go too.
    pub head_within: Duration,
    /// How long a body may take, and the next piece of a stream.
    pub body_within: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { most: 8_192, head_within: Duration::from_secs(30), body_within: Duration::from_secs(30) }
    }
}

/// Nobody reads what we write: after this the caller is taken for gone.
const WRITE_STALLED: Duration = Duration::from_secs(60);
/// Connections that are being told that they are one too many; further ones are closed without a word.
const TURNED_AWAY_MAX: usize = 64;
/// How long such a one has to read it.
const TURNED_AWAY_WITHIN: Duration = Duration::from_secs(1);
/// How long to wait before taking a call again when the system has no room for one.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Headers of a request, together; the usual limit of proxies, four times.
const HEAD_MAX: usize = 64 * 1024;

const ONE_TOO_MANY: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n",
    "Connection: close\r\nContent-Length: 187\r\n\r\n",
    r#"{"type":"https://tessera.example/problems/too-many-connections","title":"Too many connections","status":503,"#,
    r#""detail":"too many connections are open: close some, or try again in a second"}"#
);

/// Serves until `stop` holds true; then takes no more calls and ends when every request under way is answered.
///
/// # Errors
/// None yet: a call that cannot be taken is tried again.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(limits.most));
    let turning_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    // Every connection holds one; when the last is dropped, all have ended.
    let (alive, mut all_ended) = tokio::sync::mpsc::channel::<Infallible>(1);
    let mut ended = stop.clone();
    let mut stopped = pin!(ended.wait_for(|told| *told));
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            _ = &mut stopped => break,
        };
        let (stream, peer) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        // Answers are small and whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        match room.clone().try_acquire_owned() {
            Ok(place) => {
                metrics::gauge!("tessera_connections").set((limits.most - room.available_permits()) as f64);
                let (router, stop, alive, room) = (router.clone(), stop.clone(), alive.clone(), room.clone());
                tokio::spawn(async move {
                    one(stream, peer, router, limits, stop).await;
                    drop((place, alive));
                    metrics::gauge!("tessera_connections").set((limits.most - room.available_permits()) as f64);
                });
            }
            Err(_) => {
                metrics::counter!("tessera_connections_turned_away_total").increment(1);
                if let Ok(place) = turning_away.clone().try_acquire_owned() {
                    tokio::spawn(async move {
                        turn_away(stream).await;
                        drop(place);
                    });
                }
            }
        }
    }
    drop((listener, alive));
    let _ = all_ended.recv().await;
    Ok(())
}

async fn one(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.head_within).max_buf_size(HEAD_MAX);
    let mut connection = pin!(server.serve_connection(TokioIo::new(Watched::new(stream)), service));
    let told = async {
        let _ = stop.wait_for(|told| *told).await;
    };
    let outcome = tokio::select! {
        outcome = &mut connection => Some(outcome),
        () = told => None,
    };
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Says so, and reads on for a moment: closing on bytes that nobody read would take the answer back.
async fn turn_away(mut stream: TcpStream) {
    let tell = async {
        stream.write_all(ONE_TOO_MANY.as_bytes()).await?;
        stream.shutdown().await?;
        let mut ignored = [0; 1024];
        while stream.read(&mut ignored).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // Whoever does not listen does not learn it.
    let _ = tokio::time::timeout(TURNED_AWAY_WITHIN, tell).await;
}

/// A stream whose writing fails when nothing of it is taken for [`WRITE_STALLED`].
struct Watched {
    stream: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    fn new(stream: TcpStream) -> Self {
        Self { stream, stalled: None }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let until = || Box::pin(tokio::time::sleep_until(Instant::now() + WRITE_STALLED));
        ready!(self.stalled.get_or_insert_with(until).as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::ONE_TOO_MANY;

    #[test]
    fn the_answer_to_one_too_many_is_as_long_as_it_says() {
        let (head, body) = ONE_TOO_MANY.split_once("\r\n\r\n").unwrap();
        let length: usize = head.rsplit_once(": ").unwrap().1.parse().unwrap();
        assert_eq!(length, body.len());
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"], 503);
    }
}
