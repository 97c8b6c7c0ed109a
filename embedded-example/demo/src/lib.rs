//! What a device serves: its state, a lamp, and a few things that show how content moves.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /` | a page that shows the figures, and switches the LED |
//! | `GET /metrics` | the figures, for Prometheus and for the page |
//! | `GET /led` | `on` or `off` |
//! | `PUT /led` | switches it: `on` or `off` |
//! | `POST /echo` | the content, as it comes |
//! | `GET /big` | a mebibyte that is nowhere in memory |
//! | `GET /hello_from_browser` | `Hello there` |
//!
//! Nothing here knows where it runs: what differs is behind [`Board`]. There is no `core::fmt`, which costs kilobytes.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use httpling_core::{
    Body, LogEntry, Methods, Request, RequestHandler, RequestHead, Response, SendError, Sent, status,
};

/// The page: it asks for `/metrics`, and puts the figures where they belong.
pub const PAGE: &[u8] = include_bytes!("page.html");
/// Octets of `/big`.
pub const BIG_BYTES: u32 = 1 << 20;

/// What the demo wants from the device that it runs on.
pub trait Board {
    /// Since the start.
    fn uptime_seconds(&self) -> u32;

    /// The least that the stack has ever had left.
    fn free_stack_bytes(&self) -> u32;

    /// Is the LED on?
    fn led(&self) -> bool;

    /// Switches the LED.
    fn set_led(&mut self, on: bool);

    /// Counts an answered request.
    fn add_request(&mut self);

    /// How many were counted.
    fn requests(&self) -> u32;
}

/// The handler.
#[derive(Debug)]
pub struct Demo<B> {
    board: B,
}

/// What a path stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resource {
    Page,
    Metrics,
    Led,
    Echo,
    Big,
    Hello,
}

impl Resource {
    fn at(path: &[u8]) -> Option<Self> {
        Some(match path {
            b"/" => Self::Page,
            b"/metrics" => Self::Metrics,
            b"/led" => Self::Led,
            b"/echo" => Self::Echo,
            b"/big" => Self::Big,
            b"/hello_from_browser" => Self::Hello,
            _ => return None,
        })
    }

    fn methods(self) -> Methods {
        match self {
            Self::Led => Methods::NONE.get().put(),
            Self::Echo => Methods::NONE.post(),
            Self::Page | Self::Metrics | Self::Big | Self::Hello => Methods::NONE.get(),
        }
    }
}

impl<B: Board> Demo<B> {
    /// The demo on this board.
    pub fn new(board: B) -> Self {
        Self { board }
    }

    fn metrics(&self, response: Response<'_>) -> Result<Sent, SendError> {
        let head =
            response.send_response(status::OK).send_header("Content-Type", "text/plain; version=0.0.4");
        let mut body = head.end_headers()?;
        let board = &self.board;
        figure(&mut body, "counter", "uptime_seconds", board.uptime_seconds())?;
        figure(&mut body, "counter", "requests_total", board.requests())?;
        figure(&mut body, "gauge", "free_stack_bytes", board.free_stack_bytes())?;
        figure(&mut body, "gauge", "led", board.led().into())?;
        body.finish()
    }
}

impl<B: Board> RequestHandler for Demo<B> {
    fn allowed_methods(&mut self, request: &RequestHead<'_>) -> Option<Methods> {
        Resource::at(request.path()).map(Resource::methods)
    }

    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let Some(resource) = Resource::at(request.path()) else {
            return response.send_error(status::NOT_FOUND);
        };
        let (media_type, content): (&str, &'static [u8]) = match resource {
            Resource::Metrics => return self.metrics(response),
            Resource::Page => ("text/html;charset=utf-8", PAGE),
            Resource::Hello => ("text/html", b"Hello there"),
            Resource::Led => ("text/plain", if self.board.led() { b"on" } else { b"off" }),
            Resource::Big | Resource::Echo => ("application/octet-stream", b""),
        };
        let head = response.send_response(status::OK).send_header("Content-Type", media_type);
        if resource == Resource::Big {
            head.end_with_producer(BIG_BYTES.into(), 0)
        } else {
            head.end_with_static(content)
        }
    }

    fn do_put(&mut self, mut request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        if Resource::at(request.path()) != Some(Resource::Led) {
            return response.send_error(status::NOT_FOUND);
        }
        // "off" is the longest word that makes sense; more is 413.
        let on = match request.read_to_end(&mut [0; 3])? {
            b"on" => true,
            b"off" => false,
            _ => return response.send_error(status::BAD_REQUEST),
        };
        self.board.set_led(on);
        response.send_response(status::NO_CONTENT).end()
    }

    fn do_post(&mut self, mut request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        if Resource::at(request.path()) != Some(Resource::Echo) {
            return response.send_error(status::NOT_FOUND);
        }
        let head = response.send_response(status::OK).send_header("Content-Type", "application/octet-stream");
        let mut body = head.streamed().end_headers()?;
        let mut buffer = [0; 64];
        loop {
            let count = request.read(&mut buffer)?;
            if count == 0 {
                return body.finish();
            }
            body.write_all(buffer.get(..count).unwrap_or_default())?;
            // Who sends on only when the last piece has come back is not left waiting.
            body.flush()?;
        }
    }

    fn produce(&mut self, _key: u32, position: u64, out: &mut [u8]) -> Result<(), SendError> {
        let [mut low, ..] = position.to_le_bytes();
        for octet in out {
            *octet = big(low);
            low = low.wrapping_add(1);
        }
        Ok(())
    }

    fn log_request(&mut self, _entry: &LogEntry<'_>) {
        self.board.add_request();
    }
}

/// The octet of `/big` at a position, of which the lowest eight bits are enough.
pub fn big(position: u8) -> u8 {
    b' ' + (position & 63)
}

/// One figure, as Prometheus reads it.
fn figure(body: &mut Body<'_>, kind: &str, name: &str, value: u32) -> Result<(), SendError> {
    let mut digits = [0; 10];
    for piece in ["# TYPE ", name, " ", kind, "\n", name, " "] {
        body.write_all(piece.as_bytes())?;
    }
    body.write_all(decimal(value, &mut digits))?;
    body.write_all(b"\n")
}

fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        let [ones, ..] = (number % 10).to_le_bytes();
        *digit = b'0' | ones;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Board, Demo, decimal};
    use httpling_core::testing::ScriptedStream;
    use httpling_core::{Config, Session};

    #[derive(Default)]
    struct Table {
        led: bool,
        requests: u32,
    }

    impl Board for Table {
        fn uptime_seconds(&self) -> u32 {
            7
        }

        fn free_stack_bytes(&self) -> u32 {
            4096
        }

        fn led(&self) -> bool {
            self.led
        }

        fn set_led(&mut self, on: bool) {
            self.led = on;
        }

        fn add_request(&mut self) {
            self.requests += 1;
        }

        fn requests(&self) -> u32 {
            self.requests
        }
    }

    fn answers(requests: &[u8]) -> String {
        let pieces = [requests];
        let mut stream = ScriptedStream::<8192>::new(&pieces);
        let (mut input, mut output) = ([0; 512], [0; 512]);
        let mut demo = Demo::new(Table::default());
        Session::new(&mut input, &mut output, &Config::DEFAULT).handle(&mut stream, &mut demo);
        String::from_utf8(stream.written().to_vec()).expect("ASCII")
    }

    #[test]
    fn the_led_is_switched_and_counted() {
        let put = b"PUT /led HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\non";
        let get = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        let answers = answers(&[&put[..], &get[..]].concat());
        assert!(answers.starts_with("HTTP/1.1 204 No Content\r\n"), "{answers}");
        assert!(answers.contains("\nled 1\n"), "{answers}");
        assert!(answers.contains("\nrequests_total 1\n"), "{answers}");
    }

    #[test]
    fn only_what_is_there_is_served() {
        for (request, status) in [
            ("GET /none", "404 Not Found"),
            ("DELETE /", "405 Method Not Allowed"),
            ("BREW /", "501 Not Implemented"),
            ("GET /echo", "405 Method Not Allowed"),
            ("OPTIONS /led", "204 No Content"),
        ] {
            let answers = answers(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
            assert!(answers.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answers}");
        }
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 9, 10, 4_294_967_295] {
            assert_eq!(decimal(number, &mut [0; 10]), number.to_string().as_bytes());
        }
    }
}
