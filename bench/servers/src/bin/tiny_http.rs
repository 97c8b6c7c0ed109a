//! `tiny_http PORT THREADS`: besides THREADS, which answer, it has a thread for each connection.

use std::{io, thread};

use httpling_bench_servers::arguments;
use tiny_http::{Header, Method, Request, Response, Server};

fn answer(mut request: Request, server: &Header, html: &Header) -> io::Result<()> {
    if *request.method() == Method::Post {
        let mut content = Vec::new();
        request.as_reader().read_to_end(&mut content)?;
        // With a length, like the others, and not in chunks.
        let response = Response::from_data(content).with_chunked_threshold(usize::MAX);
        return request.respond(response.with_header(server.clone()));
    }
    request.respond(Response::from_data("Hello there").with_header(server.clone()).with_header(html.clone()))
}

fn main() -> io::Result<()> {
    let (address, threads) = arguments()?;
    let server = Server::http(address).map_err(io::Error::other)?;
    let field = |name, value| Header::from_bytes(name, value).map_err(|()| io::Error::other("not a field"));
    let (name, html) = (field("Server", "tiny_http")?, field("Content-Type", "text/html")?);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for request in server.incoming_requests() {
                    // An error is the client's, which checks what it gets.
                    _ = answer(request, &name, &html);
                }
            });
        }
    });
    Ok(())
}
