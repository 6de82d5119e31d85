//! A TCP connection on which many small writes become few.
//!
//! Each answer of a call wakes its connection, which runs next and writes it. So every answer of a
//! batch went out by a system call of its own or by two, as did every request of a client that
//! sends many, and each woke whoever reads it: of all that was done at some thousand calls a
//! second an eighth. Here what is written is carried to the socket by a task that lets whatever
//! else is ready go first, and then carries all that has come. It waits for no time: where nothing
//! else is ready it goes on.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::FutureExt;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    net::{TcpStream, tcp::OwnedReadHalf},
    runtime::Handle,
    task::yield_now,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::{
    Channel, Endpoint,
    server::{Connected, TcpConnectInfo},
};
use tower::ServiceExt;

/// How much waits to be carried at the most, and as much is carried at once; then whoever writes
/// waits.
const ROOM: usize = 64 * 1024;
/// How long a dropped connection's last bytes are carried to one who does not read: for ever would
/// keep the socket.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connection. What is written to it is on its way, as with the kernel's own buffer; that it
/// could not be sent is told to the next who writes. To shut it down waits for what is on its way;
/// of a dropped one it goes on without anybody.
#[derive(Debug)]
pub struct Gathering {
    reads: OwnedReadHalf,
    writes: DuplexStream,
    /// Nothing once it has ended.
    carrier: Option<AbortOnDropHandle<io::Result<()>>>,
    info: TcpConnectInfo,
    patience: Duration,
}

impl Gathering {
    /// Gathers what is written to a connection. To be called within a runtime.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self::patient(stream, PATIENCE)
    }

    fn patient(stream: TcpStream, patience: Duration) -> Self {
        let info = stream.connect_info();
        let (reads, socket) = stream.into_split();
        let (writes, written) = duplex(ROOM);
        let carrier = tokio::spawn(carry(written, socket));
        Self {
            reads,
            writes,
            carrier: Some(AbortOnDropHandle::new(carrier)),
            info,
            patience,
        }
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        if let (Some(carrier), Ok(runtime)) = (self.carrier.take(), Handle::try_current()) {
            runtime.spawn(timeout(self.patience, carrier));
        }
    }
}

/// A client's connection that gathers what it sends, by HTTP over TCP. Of the endpoint's settings
/// those of a socket are not looked at.
///
/// # Errors
/// When the endpoint cannot be reached.
pub async fn connect(endpoint: &Endpoint) -> Result<Channel, tonic::transport::Error> {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    let gathered = tcp.map_response(|stream| TokioIo::new(Gathering::new(stream.into_inner())));
    endpoint.connect_with_connector(gathered).await
}

/// Carries what is written to the socket until nobody writes any more.
async fn carry(mut written: DuplexStream, mut socket: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut gathered = Vec::with_capacity(ROOM);
    while written.read_buf(&mut gathered).await? > 0 {
        yield_now().await;
        // Nothing more is no end: that is met above. A full one would grow.
        if gathered.len() < gathered.capacity()
            && let Some(more) = written.read_buf(&mut gathered).now_or_never()
        {
            more?;
        }
        socket.write_all(&gathered).await?;
        gathered.clear();
    }
    socket.shutdown().await
}

impl AsyncWrite for Gathering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writes).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writes).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.writes.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.writes).poll_shutdown(context))?;
        let Some(carrier) = &mut self.carrier else {
            return Poll::Ready(Ok(()));
        };
        let carried = ready!(carrier.poll_unpin(context));
        self.carrier = None;
        Poll::Ready(carried?)
    }
}

impl AsyncRead for Gathering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reads).poll_read(context, buffer)
    }
}

impl Connected for Gathering {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.info.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        net::TcpListener,
        sync::{Arc, mpsc},
    };

    use tokio::{runtime::Builder, sync::Mutex};

    use super::*;

    /// Tells what each write brings.
    struct Socket(mpsc::Sender<usize>);

    impl AsyncWrite for Socket {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.send(bytes.len()).unwrap();
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A connection to a listener, and the other end of it.
    async fn connected(bytes: usize) -> (Gathering, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (other, _) = listener.accept().unwrap();
        let mut gathering = Gathering::patient(stream.unwrap(), Duration::from_millis(100));
        gathering.write_all(&vec![7; bytes]).await.unwrap();
        (gathering, other)
    }

    /// One worker, as a busy server's: whoever is woken runs next there.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_ready_together_is_one_write() {
        let (ours, written) = duplex(ROOM);
        let (tell, writes) = mpsc::channel();
        let carrier = tokio::spawn(carry(written, Socket(tell)));
        tokio::spawn(async move {
            let ours = Arc::new(Mutex::new(ours));
            for _ in 0..20 {
                let ours = Arc::clone(&ours);
                tokio::spawn(async move { ours.lock().await.write_all(b"answer").await.unwrap() });
            }
        });
        carrier.await.unwrap().unwrap();
        let written: Vec<usize> = writes.iter().collect();
        assert_eq!(written, [20 * b"answer".len()]);
    }

    #[test]
    fn to_shut_down_waits_for_what_is_on_its_way() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut other = runtime.block_on(async {
            let (mut gathering, other) = connected(10_000).await;
            gathering.shutdown().await.unwrap();
            // A second time there is nothing to wait for.
            gathering.shutdown().await.unwrap();
            other
        });
        // Whatever was not sent goes with its tasks.
        drop(runtime);
        let mut read = Vec::new();
        other.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), 10_000);
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_told() {
        let (mut gathering, other) = connected(1).await;
        drop(other);
        let failed = async {
            loop {
                if let Err(error) = gathering.write_all(&[7; 1_000]).await {
                    return error;
                }
                yield_now().await;
            }
        };
        let failed = timeout(Duration::from_secs(10), failed).await;
        assert_eq!(failed.unwrap().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_carried_when_nobody_waits() {
        let (gathering, mut other) = connected(10_000).await;
        drop(gathering);
        let read = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            other.read_to_end(&mut read).map(|_| read.len())
        });
        assert_eq!(read.await.unwrap().unwrap(), 10_000);
    }

    #[tokio::test]
    async fn whoever_does_not_read_is_waited_for_and_keeps_nothing() {
        let (mut gathering, _does_not_read) = connected(1).await;
        let mut written = 0;
        let second = Duration::from_secs(1);
        while timeout(second, gathering.write_all(&[7; ROOM]))
            .await
            .is_ok()
        {
            written += 1;
            assert!(written < 1_000, "more than both ends' buffers take");
        }
        let tasks = || Handle::current().metrics().num_alive_tasks();
        assert_eq!(tasks(), 1);
        drop(gathering);
        let ended = async {
            while tasks() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), ended).await.unwrap();
    }
}
