//! A client's connection without what a channel adds to it: a queue before it, ways to connect
//! again, limits. The load has no use for them, and works on the cores that it measures.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, Uri, header};
use hyper::{
    body::Incoming,
    client::conn::http2::{SendRequest, handshake},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pledgebook::gathering::Gathering;
use tokio::net::TcpStream;
use tonic::body::Body;

/// One connection, and a key that goes with each call.
#[derive(Clone)]
pub struct Direct {
    calls: SendRequest<Body>,
    key: HeaderValue,
}

impl Direct {
    /// Connects to an address; gives the origin that clients name in their calls beside it.
    pub async fn connect(address: &str, key: &str) -> (Self, Uri) {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let io = TokioIo::new(Gathering::new(stream));
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
