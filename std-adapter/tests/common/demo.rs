//! A handler that does something of everything, for tests of what a client sees.

use super::running::Running;
use super::{Gate, PATIENCE};
use httpling::{
    Builder, HttpServer, LogEntry, Request, RequestHandler, RequestHead, Response, SendError, Sent, status,
};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The defaults, without a log, and with little patience for what a test leaves behind.
pub(crate) fn quiet() -> Builder {
    HttpServer::builder().log(false).drain_timeout(Duration::from_secs(3))
}

/// Something of everything.
#[derive(Clone, Default)]
pub(crate) struct Demo {
    pub(crate) gate: Gate,
    /// How handlers ended that noticed.
    pub(crate) outcomes: Arc<Mutex<Vec<SendError>>>,
}

impl Demo {
    /// A server with this handler.
    pub(crate) fn serve(builder: Builder) -> (Running, Self) {
        let demo = Self::default();
        (Running::with(builder, &demo), demo)
    }

    /// Writes until it cannot.
    fn write_on(&self, mut body: httpling::Body<'_>, piece: &[u8]) -> Result<Sent, SendError> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Err(error) = body.write_all(piece).and_then(|()| body.flush()) {
                self.outcomes.lock().unwrap().push(error);
                return Err(error);
            }
        }
        body.finish()
    }

    pub(crate) fn outcomes(&self) -> Vec<SendError> {
        self.outcomes.lock().unwrap().clone()
    }
}

impl RequestHandler for Demo {
    fn content_bytes_max(&mut self, request: &RequestHead<'_>, default: u64) -> u64 {
        match request.path() {
            b"/panic-in-limit" => panic!("as the client asked"),
            b"/echo" | b"/count" => u64::MAX,
            _ => default,
        }
    }

    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let head = response.send_response(status::OK).send_header("Content-Type", "text/plain");
        match request.path() {
            b"/peer" => head.end_with(request.peer().unwrap().ip().to_string().as_bytes()),
            b"/target" => head.end_with(request.query().unwrap_or_default().len().to_string().as_bytes()),
            b"/gate" => {
                self.gate.pass();
                head.end_with(b"Hello at last")
            }
            b"/stream" => {
                let mut body = head.streamed().end_headers()?;
                for piece in [&b"one,"[..], b"two,", b"three"] {
                    body.write_all(piece)?;
                    body.flush()?;
                }
                body.finish()
            }
            b"/large" => head.end_with(&large()),
            b"/endless" => self.write_on(head.streamed().end_headers()?, &[b'x'; 16384]),
            // So little that it never fills a socket: what cuts it is not the write.
            b"/ticking" => {
                let mut body = head.streamed().end_headers()?;
                body.write_all(b"tick")?;
                body.flush()?;
                self.gate.pass();
                body.write_all(b"tock")?;
                body.finish()
            }
            b"/panic" => panic!("as the client asked"),
            b"/panic-late" => {
                let mut body = head.streamed().end_headers()?;
                body.write_all(b"the beginning")?;
                body.flush()?;
                panic!("as the client asked")
            }
            b"/panic-in-log" => head.end_with(b"before the panic"),
            _ => head.end_with(b"Hello there"),
        }
    }

    fn do_post(&mut self, mut request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        if request.path() == b"/unread" {
            return response.send_response(status::OK).end_with(b"not read");
        }
        if request.path() == b"/count" {
            let (mut piece, mut count) = ([0; 8192], 0);
            loop {
                match request.read(&mut piece)? {
                    0 => break,
                    more => count += more,
                }
            }
            return response.send_response(status::OK).end_with(count.to_string().as_bytes());
        }
        let mut content = vec![0; 4 << 20];
        let content = request.read_to_end(&mut content)?;
        response.send_response(status::OK).end_with(content)
    }

    fn log_request(&mut self, entry: &LogEntry<'_>) {
        assert!(!entry.request_line.starts_with(b"GET /panic-in-log"), "as the client asked");
    }
}

/// More than all buffers on the way hold, and no two places alike.
pub(crate) fn large() -> Vec<u8> {
    (0..4_000_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// What `/` answers, and what a test compares with, byte for byte.
pub(crate) const HELLO: &str = "HTTP/1.1 200 OK\r\nServer: httpling\r\nDate: D\r\nContent-Type: text/plain\r\n\
    Content-Length: 11\r\n\r\n";
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// The same, and nothing more on its connection.
pub(crate) const LAST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// For what a machine that stands still for a second can spoil: three times is no accident.
pub(crate) fn one_of_three(attempt: impl Fn() -> Result<(), String>) {
    let failures: Vec<String> = std::iter::repeat_with(attempt).take(3).map_while(Result::err).collect();
    assert!(failures.len() < 3, "{failures:#?}");
}
