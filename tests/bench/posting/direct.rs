//! Connections of the load, which works on the cores that it measures: one without what a channel
//! adds to it, a queue before it, ways to connect again, limits; and one without a client of gRPC
//! either, for what is timed call by call.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use h2::client;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use hyper::{
    body::Incoming,
    client::conn::http2::{SendRequest, handshake},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pledgebook::gathering::Gathering;
use prost::{
    Message,
    bytes::{BufMut, Bytes, BytesMut},
};
use tokio::net::TcpStream;
use tonic::{Status, body::Body};

async fn gathered(address: &str) -> Gathering {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Gathering::new(stream)
}

/// One connection, and a key that goes with each call.
#[derive(Clone)]
pub struct Direct {
    calls: SendRequest<Body>,
    key: HeaderValue,
}

impl Direct {
    /// Connects to an address; gives the origin that clients name in their calls beside it.
    pub async fn connect(address: &str, key: &str) -> (Self, Uri) {
        let io = TokioIo::new(gathered(address).await);
        let (calls, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
        // Its calls say what became of it.
        tokio::spawn(connection);
        let key = format!("Bearer {key}").parse().unwrap();
        let origin = format!("http://{address}").parse().unwrap();
        (Self { calls, key }, origin)
    }
}

impl tower::Service<Request<Body>> for Direct {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.calls.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.key.clone());
        Box::pin(self.calls.send_request(request))
    }
}

/// How far one answer may be ahead of who reads it.
const AHEAD: u32 = 1 << 20;
/// And all of a connection's together.
const AHEAD_TOGETHER: u32 = 1 << 24;

/// One connection for calls of one method, whose messages are written already.
#[derive(Clone)]
pub struct Bare {
    calls: client::SendRequest<Bytes>,
    call: Request<()>,
}

impl Bare {
    /// Connects to an address; the method is named as the path of its calls.
    pub async fn connect(address: &str, key: &str, method: &str) -> Self {
        let (calls, connection) = client::Builder::new()
            .initial_window_size(AHEAD)
            .initial_connection_window_size(AHEAD_TOGETHER)
            .handshake(gathered(address).await)
            .await
            .unwrap();
        // Its calls say what became of it.
        tokio::spawn(connection);
        let call = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{address}/{method}"))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .body(())
            .unwrap();
        Self { calls, call }
    }

    /// A message as it goes over the wire.
    pub fn written(message: &impl Message) -> Bytes {
        let length = message.encoded_len();
        let mut bytes = BytesMut::with_capacity(5 + length);
        // It is not compressed.
        bytes.put_u8(0);
        bytes.put_u32(length as u32);
        message.encode(&mut bytes).unwrap();
        bytes.freeze()
    }

    /// Calls, reads the answer to its end, and gives its status. Nobody here answers a call before
    /// it was read, which a client for everybody would have to expect.
    pub async fn call(&self, message: Bytes) -> Status {
        let mut calls = self.calls.clone().ready().await.unwrap();
        let (answer, mut asks) = calls.send_request(self.call.clone(), false).unwrap();
        asks.send_data(message, true).unwrap();
        let (head, mut answer) = answer.await.unwrap().into_parts();
        while let Some(part) = answer.data().await {
            let flow = answer.flow_control();
            flow.release_capacity(part.unwrap().len()).unwrap();
        }
        // A call that is refused has no message, and then its headers are its trailers.
        let trailers = answer.trailers().await.unwrap();
        let status = Status::from_header_map(trailers.as_ref().unwrap_or(&head.headers));
        status.unwrap_or_else(|| panic!("no status: {head:?}"))
    }
}
