//! Calls as bytes: what a generated client would never send, and answers as they
//! stand on the wire.

use std::net::SocketAddr;

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pledgebook::grpc::pb::ErrorReason;
use prost::bytes::{Buf, BufMut, Bytes};
use tokio::net::TcpStream;
use tonic::{
    Status,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use tonic_types::StatusExt;

/// Messages as they are.
#[derive(Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length).to_vec()))
    }
}

/// Calls a method by its path with the bytes of a message.
pub async fn call(
    channel: Channel,
    path: &str,
    authorization: Option<&str>,
    message: Vec<u8>,
    compressed: bool,
) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    if compressed {
        client = client
            .send_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Gzip);
    }
    client
        .ready()
        .await
        .map_err(|error| Status::unknown(error.to_string()))?;
    let mut request = tonic::Request::new(message);
    if let Some(authorization) = authorization {
        request
            .metadata_mut()
            .insert("authorization", authorization.parse().unwrap());
    }
    let answer = client.unary(request, path.parse().unwrap(), Plain).await?;
    Ok(answer.into_inner())
}

/// A message in its frame: not compressed, and its length.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.extend_from_slice(message);
    frame
}

/// What came back over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub http: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

impl Answer {
    /// The gRPC status, from wherever it stands.
    pub fn status(&self) -> Status {
        let of = [&self.headers, &self.trailers].into_iter();
        let mut found = of.filter(|headers| headers.contains_key("grpc-status"));
        let headers = found.next().unwrap_or_else(|| panic!("{self:?}"));
        Status::from_header_map(headers).unwrap()
    }
}

fn request(
    method: Method,
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Request<Full<Bytes>> {
    let uri = format!("http://{address}{path}");
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

async fn answer(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    Answer {
        http: parts.status,
        headers: parts.headers,
        body: body.to_bytes().to_vec(),
        trailers,
    }
}

/// Posts a body over HTTP/2 with prior knowledge, as gRPC clients do.
pub async fn http2(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut all = vec![("content-type", "application/grpc"), ("te", "trailers")];
    all.extend_from_slice(headers);
    let request = request(Method::POST, address, path, &all, body);
    answer(sender.send_request(request).await.unwrap()).await
}

/// Posts a body over HTTP/1.1, as browsers behind old proxies do.
pub async fn http1(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    over_http1(Method::POST, address, path, headers, body).await
}

/// Gets a page.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    over_http1(Method::GET, address, path, &[], Vec::new()).await
}

/// Asks, as a browser does before it calls from a page of another origin.
pub async fn preflight(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    over_http1(Method::OPTIONS, address, path, headers, Vec::new()).await
}

async fn over_http1(
    method: Method,
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let host = address.to_string();
    let mut all = vec![("host", host.as_str())];
    all.extend_from_slice(headers);
    let request = request(method, address, path, &all, body);
    answer(sender.send_request(request).await.unwrap()).await
}

/// The reason of an error; fails unless it is one that is published.
pub fn published_reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("without a reason: {status:?}"));
    assert_eq!(info.domain, "pledgebook", "{status:?}");
    let name = format!("ERROR_REASON_{}", info.reason);
    assert!(ErrorReason::from_str_name(&name).is_some(), "{status:?}");
    info.reason
}
