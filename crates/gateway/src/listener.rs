//! One port: accepts connections up to a limit, and ends them in order when the service stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::Error;
use crate::connection::{self, Bounds};
use crate::edge::Connected;
use crate::panics::noticed;
use crate::threads::Threads;

/// Pause after a failed accept, which means that the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port that is bound.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// What every connection of a port has.
#[derive(Clone)]
pub(crate) struct Terms {
    /// One for each thread that carries connections.
    pub(crate) threads: Threads<Connected>,
    pub(crate) bounds: Bounds,
    /// The certificate of now; its files may be replaced.
    pub(crate) tls: Option<watch::Receiver<TlsAcceptor>>,
}

impl Listener {
    /// Binds a port; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |cause| Error::Bind { address, cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Serves until it is told to stop; then no connection is accepted, and those that are open end after what they have
    /// begun.
    pub(crate) async fn serve(self, terms: Terms, connections_max: usize, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(connections_max));
        let open = TaskTracker::new();
        while let Some(permit) = next_place(&room, &stop).await {
            match stop.run_until_cancelled(self.listener.accept()).await {
                None => break,
                Some(Ok((stream, _))) => {
                    let Some((connected, place)) = terms.threads.place() else { break };
                    let tls = terms.tls.as_ref().map(|tls| tls.borrow().clone());
                    let (bounds, stop) = (terms.bounds, stop.clone());
                    let runtime = connected.edge.workers.runtime();
                    let carried = noticed(one(stream, (connected, bounds, tls), stop));
                    open.spawn_on(
                        async move {
                            carried.await;
                            drop((permit, place));
                        },
                        &runtime,
                    );
                }
                Some(Err(error)) => {
                    warn!(%error, address = %self.address, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        open.close();
        open.wait().await;
    }
}

async fn next_place(room: &Arc<Semaphore>, stop: &CancellationToken) -> Option<OwnedSemaphorePermit> {
    stop.run_until_cancelled(room.clone().acquire_owned()).await?.ok()
}

/// Carries one connection, on the thread where this runs.
async fn one(
    stream: TcpStream,
    (connected, bounds, tls): (Connected, Bounds, Option<TlsAcceptor>),
    stop: CancellationToken,
) {
    let _present = connected.edge.metrics.connection();
    // A socket is woken by the runtime that made it; this makes it this thread's.
    let Ok(stream) = stream.into_std().and_then(TcpStream::from_std) else {
        return debug!("a connection was gone at once");
    };
    // Replies are written whole: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection was gone at once");
    }
    let Some(tls) = tls else { return connection::serve(stream, connected, bounds, stop).await };
    match tokio::time::timeout(bounds.header_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => connection::serve(stream, connected, bounds, stop).await,
        Ok(Err(error)) => debug!(%error, "a client did not get through TLS"),
        Err(_) => debug!("a client was too slow in TLS"),
    }
}
