//! The answers of both programs that use hyper.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Answers what is asked on a connection, until it closes.
pub async fn serve(stream: TcpStream) {
    // It would be one packet later otherwise, where head and content are written apart.
    _ = stream.set_nodelay(true);
    // An error is the client's, which checks what it gets.
    _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Either<Full<Bytes>, Incoming>>, Infallible> {
    let (content, media_type) = if request.method() == Method::POST {
        (Either::Right(request.into_body()), "application/octet-stream")
    } else {
        (Either::Left(Full::new(Bytes::from_static(b"Hello there"))), "text/html")
    };
    let mut response = Response::new(content);
    response.headers_mut().insert(SERVER, HeaderValue::from_static("hyper"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(response)
}
