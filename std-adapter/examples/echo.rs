//! A server with something of everything: `echo [PORT] [THREADS]`.
//!
//! | request | response |
//! | --- | --- |
//! | GET `/` | 200, `Hello there` |
//! | POST, to any path | 200, the request's content, with its Content-Type |
//! | GET `/slow?ms=N` | 200 after N milliseconds |
//! | GET `/stream?n=N` | 200, N chunks |
//! | GET `/panic` | the handler panics |
//! | OPTIONS | 204, with Allow |
//! | another registered method | 405, with Allow |

use httpling::{
    HttpServer, Methods, ReadError, Request, RequestError, RequestHandler, RequestHead, Response, SendError,
    Sent, status,
};
use std::io;
use std::time::Duration;

struct Echo {
    buffer: Vec<u8>,
}

/// Octets of content that are echoed in one piece, with their length. More is streamed, both ways, in pieces of at most so many: of
/// 1 MiB that came and went in pieces of 64 KiB, each with two calls, the kernel made half as much work again.
const PIECE: usize = 512 * 1024;

#[allow(clippy::panic)] // To show that a handler's panic costs nobody else anything.
impl RequestHandler for Echo {
    fn allowed_methods(&mut self, request: &RequestHead<'_>) -> Option<Methods> {
        Some(match request.path() {
            b"/" | b"/slow" | b"/stream" | b"/panic" => Methods::NONE.get().post(),
            _ => Methods::NONE.post(),
        })
    }

    fn content_bytes_max(&mut self, _request: &RequestHead<'_>, _default: u64) -> u64 {
        // It goes back where it came from: nothing collects.
        u64::MAX
    }

    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let head = response.send_response(status::OK).send_header("Content-Type", "text/plain");
        match request.path() {
            b"/slow" => {
                std::thread::sleep(Duration::from_millis(number(&request, "ms=")?));
                head.end_with(b"Hello at last")
            }
            b"/stream" => {
                let mut body = head.streamed().end_headers()?;
                for count in 1..=number(&request, "n=")? {
                    body.write_all(format!("chunk {count}\n").as_bytes())?;
                    body.flush()?;
                }
                body.finish()
            }
            b"/panic" => panic!("as the client asked"),
            _ => head.end_with(b"Hello there"),
        }
    }

    fn do_post(&mut self, mut request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        // A connection's buffer grows to its longest content, and not beyond a piece.
        let length = request.content_length().and_then(|length| usize::try_from(length).ok());
        let room = length.map_or(PIECE, |length| length.min(PIECE));
        self.buffer.resize(room.max(self.buffer.len()), 0);
        let media_type = request.headers().value("Content-Type").unwrap_or(b"application/octet-stream");
        let head = response.send_response(status::OK).send_header("Content-Type", media_type);
        match request.content_length() {
            Some(length) if length <= PIECE as u64 => head.end_with(request.read_to_end(&mut self.buffer)?),
            length => {
                // Read before the head is sent: a client that waits for `100 Continue` is told to go on.
                let mut count = request.read(&mut self.buffer)?;
                let mut body = match length {
                    Some(length) => head.content_length(length).end_headers()?,
                    None => head.end_headers()?,
                };
                while count > 0 {
                    body.write_all(self.buffer.get(..count).unwrap_or_default())?;
                    count = request.read(&mut self.buffer)?;
                }
                body.finish()
            }
        }
    }
}

/// The number behind `name` in the query. Without one, the request is wrong.
fn number(request: &Request<'_>, name: &str) -> Result<u64, SendError> {
    let digits = request.query().and_then(|query| query.strip_prefix(name.as_bytes()));
    let number =
        digits.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| digits.parse().ok());
    number.ok_or(SendError::Content(ReadError::Refused(RequestError::Target)))
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(2017), |port| port.parse()).map_err(io::Error::other)?;
    let mut builder = HttpServer::builder().log(false);
    if let Some(threads) = arguments.next() {
        builder = builder.threads(threads.parse().map_err(io::Error::other)?);
    }
    let server = builder.bind(("localhost", port))?;
    println!("{}", server.banner());
    server.serve_forever(|_peer| Echo { buffer: Vec::new() })
}
