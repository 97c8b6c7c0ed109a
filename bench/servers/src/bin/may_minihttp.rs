//! `may_minihttp PORT THREADS`.

use std::io;

use bytes::BufMut;
use httpling_bench_servers::arguments;
use may_minihttp::{HttpServer, HttpService, Request, Response};

#[derive(Clone)]
struct Service;

impl HttpService for Service {
    fn call(&mut self, request: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        if request.method() == "POST" {
            io::copy(&mut request.body(), &mut response.body_mut().writer())?;
        } else {
            response.header("Content-Type: text/html");
            response.body("Hello there");
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let (address, threads) = arguments()?;
    may::config().set_workers(threads);
    let server = HttpServer(Service).start(address)?;
    server.join().map_err(|_| io::Error::other("it panicked"))
}
