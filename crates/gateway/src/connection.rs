//! One connection of HTTP/1.1 or HTTP/2: whatever its client does, it ends.

mod written;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::Settings;
use crate::edge::{Body, Connected};
use crate::panics::noticed;
use written::Written;

/// Bytes of headers of one request.
const HEADER_BYTES_MAX: u32 = 32 * 1024;
/// Bytes read ahead of one HTTP/1 request; more than its headers may have.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one HTTP/2 stream, and of all streams of a connection, that may come unasked.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// A peer that does not answer a ping within this time is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What a connection that was told to end may still take, once nothing runs on it.
const GRACE: Duration = Duration::from_secs(1);
/// What requests may still take when the service stops; streams that never end are cut off then.
const DRAIN: Duration = Duration::from_secs(12);

/// What bounds one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) header_timeout: Duration,
    idle_timeout: Duration,
    streams_max: u32,
}

impl Bounds {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            header_timeout: Duration::from_millis(settings.header_timeout_ms),
            idle_timeout: Duration::from_millis(settings.idle_timeout_ms),
            streams_max: settings.streams_max,
        }
    }
}

/// How much a connection does. A connection on which nothing was asked for a while is closed.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    /// Whether anything was asked at all.
    was_asked: AtomicBool,
    running: AtomicU64,
    /// Milliseconds from the beginning to the last sign of life.
    last: AtomicU64,
}

/// One request on its connection, until it is dropped. A stream of gRPC keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    started: Arc<Started>,
}

#[derive(Debug)]
struct Started(Arc<Activity>);

impl Running {
    /// For how long nothing was asked, answered or written on the connection.
    pub(crate) fn quiet_for(&self) -> Duration {
        self.started.0.last_sign().elapsed()
    }
}

impl Activity {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            was_asked: AtomicBool::new(false),
            running: AtomicU64::new(0),
            last: AtomicU64::new(0),
        })
    }

    fn start(self: &Arc<Self>) -> Running {
        self.was_asked.store(true, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Running { started: Arc::new(Started(self.clone())) }
    }

    fn touch(&self) {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(since, Ordering::Relaxed);
    }

    /// The last sign of life: something was asked, answered, or written.
    fn last_sign(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Whether a connection that was told to end is to be cut off now: at the latest at `last`, and before when nothing runs any more and
    /// nothing of an answer could be written for a while.
    fn is_over(&self, last: Instant) -> bool {
        let now = Instant::now();
        let is_quiet = self.running.load(Ordering::Relaxed) == 0;
        last <= now || is_quiet && self.last_sign() + GRACE <= now
    }

    /// When the connection will have been idle for too long; not before that while a request runs. Until something was asked it may
    /// take no longer than headers may, because a client that never says anything keeps others out.
    fn idle_at(&self, bounds: Bounds) -> Instant {
        if !self.was_asked.load(Ordering::Relaxed) {
            return self.begun + bounds.header_timeout.min(bounds.idle_timeout);
        }
        let is_busy = self.running.load(Ordering::Relaxed) > 0;
        let last = if is_busy { Instant::now() } else { self.last_sign() };
        last + bounds.idle_timeout
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.0.touch();
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve<S>(stream: S, connected: Connected, bounds: Bounds, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    carry(stream, move |request| connected.clone().answer(request), bounds, stop).await;
}

/// Serves one connection to its end, whatever its requests are answered with.
async fn carry<S, A, F>(stream: S, answer: A, bounds: Bounds, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    let activity = Activity::new();
    let watched = activity.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let held = watched.start();
        request.extensions_mut().insert(held.clone());
        let answer = answer(request);
        async move {
            let answered = answer.await;
            drop(held);
            answered
        }
    });
    let builder = builder(bounds);
    let stream = Written { stream, activity: activity.clone() };
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut ending: Option<Instant> = None;
    loop {
        let idle_at = activity.idle_at(bounds);
        let look_at = Instant::now() + GRACE;
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%error, "a connection broke off");
                }
                return;
            }
            () = stop.cancelled(), if ending.is_none() => {
                connection.as_mut().graceful_shutdown();
                activity.touch();
                ending = Some(Instant::now() + DRAIN);
            }
            () = sleep_until(look_at), if ending.is_some() => {
                if ending.is_some_and(|last| activity.is_over(last)) {
                    return debug!("a connection was cut off");
                }
            }
            () = sleep_until(idle_at), if ending.is_none() => {
                if activity.idle_at(bounds) <= Instant::now() {
                    connection.as_mut().graceful_shutdown();
                    // A client that reads nothing would keep even a connection that has ended.
                    let _ = tokio::time::timeout(GRACE, connection.as_mut()).await;
                    return debug!("a connection was idle for too long");
                }
            }
        }
    }
}

/// Runs the streams of HTTP/2 on the thread of their connection.
#[derive(Debug, Clone, Copy)]
struct Streams;

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(noticed(stream));
    }
}

fn builder(bounds: Bounds) -> Builder<Streams> {
    let mut builder = Builder::new(Streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_buf_size(BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams_max)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(Some(bounds.idle_timeout.min(PING_TIMEOUT)))
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

#[cfg(test)]
mod tests {
    use http_body_util::Either;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const BOUNDS: Bounds = Bounds {
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        streams_max: 8,
    };

    const ANSWERING: Duration = Duration::from_secs(100);

    fn connect() -> DuplexStream {
        let (client, server) = duplex(4096);
        let answer = async |_| {
            tokio::time::sleep(ANSWERING).await;
            Ok(Response::new(Either::Left("here".into())))
        };
        tokio::spawn(carry(server, answer, BOUNDS, CancellationToken::new()));
        client
    }

    /// Seconds until the connection is closed, and what was received before.
    async fn until_closed(mut client: DuplexStream) -> (u64, String) {
        let (began, mut received) = (Instant::now(), String::new());
        client.read_to_string(&mut received).await.unwrap();
        (began.elapsed().as_secs(), received)
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_may_take_as_long_as_headers() {
        assert_eq!(until_closed(connect()).await, (10, String::new()));
        let mut begun = connect();
        tokio::time::sleep(Duration::from_secs(8)).await;
        begun.write_all(b"G").await.unwrap();
        assert!(until_closed(begun).await.0 <= 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_is_answered_however_long_it_takes() {
        let mut client = connect();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let (seconds, received) = until_closed(client).await;
        assert!(received.ends_with("here"), "{received}");
        assert!(seconds > ANSWERING.as_secs(), "{seconds}");
    }

    /// A client that has asked for so many bytes, and what stops the service.
    async fn asked_for(bytes: usize) -> (DuplexStream, CancellationToken) {
        let (mut client, server) = duplex(4096);
        let stop = CancellationToken::new();
        let answer = move |_| std::future::ready(Ok(Response::new(Either::Left(vec![b'x'; bytes].into()))));
        tokio::spawn(carry(server, answer, BOUNDS, stop.clone()));
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        (client, stop)
    }

    /// How many bytes come when there is a pause after each 4096.
    async fn read_slowly(mut client: DuplexStream, pause: Duration) -> usize {
        let (mut buffer, mut total) = ([0; 4096], 0);
        while let Ok(bytes @ 1..) = client.read(&mut buffer).await {
            total += bytes;
            tokio::time::sleep(pause).await;
        }
        total
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gets_the_whole_answer_and_one_that_stops_reading_does_not() {
        let (client, _) = asked_for(1 << 20).await;
        assert!(read_slowly(client, Duration::from_secs(1)).await > 1 << 20);
        let (client, _) = asked_for(1 << 20).await;
        assert!(read_slowly(client, Duration::from_secs(100)).await < 1 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_being_read_outlives_the_order_to_stop() {
        let (mut client, stop) = asked_for(100 * 4096).await;
        client.read_exact(&mut [0; 4096]).await.unwrap();
        stop.cancel();
        // Ten seconds in all, of the twelve that there are.
        assert!(read_slowly(client, Duration::from_millis(100)).await >= 99 * 4096);
    }
}
