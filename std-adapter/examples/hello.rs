//! The smallest server: says `Hello there` to every GET, on `localhost:2017`.
//!
//! `hello [PORT] [THREADS]`: port 0 takes a free one. Without THREADS it prints each request line, as the server that this
//! project grew from did; with THREADS it is quiet, for measurements.

use httpling::{HttpServer, Request, RequestHandler, Response, SendError, Sent, status};
use std::io::{self, Write};

struct MyHandler {
    prints: bool,
}

impl RequestHandler for MyHandler {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        if self.prints {
            // Not `println!`, which panics when nobody reads stdout any more.
            _ = writeln!(io::stdout(), "{}", request.raw_request_line().escape_ascii());
        }
        response.send_response(status::OK).send_header("Content-Type", "text/html").end_with(b"Hello there")
    }
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(2017), |port| port.parse()).map_err(io::Error::other)?;
    let threads: Option<usize> =
        arguments.next().map(|threads| threads.parse()).transpose().map_err(io::Error::other)?;
    let prints = threads.is_none();

    let mut builder = HttpServer::builder().log(prints);
    if let Some(threads) = threads {
        builder = builder.threads(threads);
    }
    let server = builder.bind(("localhost", port))?;
    println!("{}", server.banner());
    server.serve_forever(move |_peer| MyHandler { prints })
}
