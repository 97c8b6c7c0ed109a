//! The handler that all conversations are with. Its resources are described in `conversations/README.md`.

use httpling_core::{
    Escaped, Head, LogEntry, Methods, ReadError, Request, RequestError, RequestHandler, RequestHead,
    Response, SendError, Sent, Status, Target, response::Offered, status,
};

#[derive(Debug, Default)]
pub struct Demo {
    pub log: Vec<String>,
    pub finished: usize,
}

pub static STATIC_CONTENT: &[u8] = b"This text lives as long as the program does.\n";

/// What `/produced` makes at `position`.
pub fn produced(position: u64) -> u8 {
    b'a' + u8::try_from(position % 26).expect("less than 26")
}

fn produced_up_to(end: usize) -> Vec<u8> {
    (0..end).map(|at| produced(at as u64)).collect()
}

/// `there` of `n` octets, for the stream to send.
fn offer(n: usize, there: usize, head: Head<'_>) -> Result<Sent, SendError> {
    match head.end_with_offered(n as u64, &mut produced_up_to(there))? {
        Offered::Taken(sent) => Ok(sent),
        Offered::Declined(_) => panic!("the stream knows octets"),
    }
}

fn number(request: &Request<'_>) -> usize {
    let digits = request.query().and_then(|query| query.strip_prefix(b"n="));
    digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

fn describe(target: Target<'_>) -> String {
    let text = |octets: &[u8]| octets.escape_ascii().to_string();
    let query = target.query().map_or(String::new(), |query| format!(" query {}", text(query)));
    match target {
        Target::Origin { path, .. } => format!("origin path {}{query}", text(path)),
        Target::Absolute { scheme, authority, path, .. } => {
            format!("absolute {} {} path {}{query}", text(scheme), text(authority), text(path))
        }
        Target::Authority(authority) => format!("authority {}", text(authority)),
        Target::Asterisk => "asterisk".to_owned(),
    }
}

impl Demo {
    // One arm for each resource; and a handler has a self.
    #[allow(clippy::too_many_lines, clippy::unused_self)]
    fn serve(&mut self, mut request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let n = number(&request);
        match request.path() {
            b"/" => response
                .send_response(status::OK)
                .send_header("Content-Type", "text/plain")
                .end_with(b"Hello there"),
            b"/target" => response.send_response(status::OK).end_with(describe(request.target()).as_bytes()),
            b"/field" => {
                let values: Vec<_> = request.headers().values("X-Field").map(<[u8]>::escape_ascii).collect();
                let text = values.iter().fold(String::new(), |text, value| text + &format!("[{value}]"));
                response.send_response(status::OK).end_with(text.as_bytes())
            }
            b"/fields" => {
                let text = request.headers().iter().fold(String::new(), |text, line| {
                    text + &format!("{}={};", line.name.escape_ascii(), line.value.escape_ascii())
                });
                response.send_response(status::OK).end_with(text.as_bytes())
            }
            // ---- content in ----
            b"/echo" | b"/small" => {
                let mut content = Vec::new();
                let mut buffer = [0; 16];
                loop {
                    match request.read(&mut buffer)? {
                        0 => break,
                        count => content.extend_from_slice(&buffer[..count]),
                    }
                }
                assert_eq!(request.read(&mut buffer), Ok(0), "the end stays the end");
                response.send_response(status::OK).end_with(&content)
            }
            b"/echo-to-end" => {
                let mut buffer = [0; 64];
                let content = request.read_to_end(&mut buffer)?;
                response.send_response(status::OK).end_with(content)
            }
            b"/stream-echo" => {
                let mut body = response.send_response(status::OK).end_headers()?;
                let mut buffer = [0; 16];
                loop {
                    match request.read(&mut buffer)? {
                        0 => return body.finish(),
                        count => body.write_all(&buffer[..count])?,
                    }
                }
            }
            b"/converse" => {
                let mut body = response.send_response(status::OK).streamed().end_headers()?;
                let mut buffer = [0; 1];
                loop {
                    if request.read(&mut buffer)? == 0 {
                        return body.finish();
                    }
                    body.write_all(&buffer)?;
                    body.flush()?;
                }
            }
            b"/ignore" => response.send_response(status::OK).end_with(b"ignored"),
            b"/peek" => {
                let mut buffer = [0; 1];
                let count = request.read(&mut buffer)?;
                response.send_response(status::OK).end_with(&buffer[..count])
            }
            b"/swallow" => {
                let mut buffer = [0; 16];
                let error = loop {
                    match request.read(&mut buffer) {
                        Ok(0) => break "none",
                        Ok(_) => {}
                        Err(ReadError::Refused(error)) => break RequestError::message(error),
                        Err(ReadError::Transport(_)) => break "transport",
                    }
                };
                response.send_response(status::OK).end_with(error.as_bytes())
            }
            // ---- content out ----
            b"/empty" => response.send_response(status::OK).end(),
            b"/long" => {
                let mut body = response.send_response(status::OK).end_headers()?;
                for at in 0..n {
                    body.write_all(&[produced(at as u64)])?;
                }
                body.finish()
            }
            b"/pieces" => {
                let mut body = response.send_response(status::OK).end_headers()?;
                let piece = vec![b'p'; n];
                body.write_all(&piece)?;
                body.write_all(b"")?;
                body.write_all(&piece)?;
                body.finish()
            }
            b"/stream" => {
                let mut body = response.send_response(status::OK).streamed().end_headers()?;
                for line in 0..n {
                    body.write_all(format!("line {line}\n").as_bytes())?;
                }
                body.finish()
            }
            b"/events" => {
                let mut body = response.send_response(status::OK).end_headers()?;
                for _ in 0..n {
                    body.write_all(b"event\n")?;
                    body.flush()?;
                }
                body.finish()
            }
            b"/counted" => {
                let mut body = response.send_response(status::OK).content_length(n as u64).end_headers()?;
                for at in 0..n {
                    body.write_all(&[produced(at as u64)])?;
                }
                body.finish()
            }
            // Does not hear what goes wrong.
            b"/deaf" => {
                let mut body = response.send_response(status::OK).streamed().end_headers()?;
                for _ in 0..n {
                    let _ = body.write_all(b"Do you hear me?\n");
                    let _ = body.flush();
                }
                body.finish()
            }
            b"/static" => response.send_response(status::OK).end_with_static(STATIC_CONTENT),
            b"/produced" => response.send_response(status::OK).end_with_producer(n as u64, 1),
            b"/produced-badly" => response.send_response(status::OK).end_with_producer(n as u64, 2),
            b"/offered" => offer(n, n, response.send_response(status::OK)),
            b"/offered-badly" => offer(n, 20, response.send_response(status::OK)),
            b"/offered-in-vain" => {
                match response.send_response(status::OK).end_with_offered(n as u64, &mut "what is that?")? {
                    Offered::Taken(sent) => Ok(sent),
                    Offered::Declined(mut body) => {
                        body.write_all(&produced_up_to(n))?;
                        body.finish()
                    }
                }
            }
            // ---- statuses ----
            b"/204" => response.send_response(status::NO_CONTENT).end(),
            b"/205" => response.send_response(status::RESET_CONTENT).end(),
            b"/304" => response.send_response(status::NOT_MODIFIED).send_header("ETag", "\"a\"").end(),
            b"/early" => {
                let link = [("Link", "</style.css>; rel=preload")];
                let response = response.send_interim(status::EARLY_HINTS, &link)?;
                response.send_response(status::OK).end_with(b"late")
            }
            b"/reason" => response.send_response_with_reason(status::OK, "Fine, thank you").end(),
            b"/teapot" => response.send_response_only(status::IM_A_TEAPOT).end_with(b"short and stout"),
            b"/799" => response.send_response(Status::new(799).expect("any code is one")).end(),
            b"/close" => response.send_response(status::OK).send_header("Connection", "close").end(),
            b"/length" => {
                response.send_response(status::OK).send_header("Content-Length", "5").end_with(b"12345")
            }
            b"/upgrade" => {
                use embedded_io::{Read, Write};
                let mut stream =
                    response.switch_protocols("shout").send_header("X-Loud", "1").end_headers()?;
                let mut octet = [0; 1];
                loop {
                    if stream.read(&mut octet).map_err(SendError::Transport)? == 0 {
                        return stream.finish();
                    }
                    stream
                        .write_all(&octet.map(|octet| octet.to_ascii_uppercase()))
                        .map_err(SendError::Transport)?;
                    if octet == *b"." {
                        return stream.finish();
                    }
                }
            }
            // ---- errors ----
            b"/missing" => response.send_error(status::NOT_FOUND),
            b"/full" => response.send_error_with(status::INSUFFICIENT_STORAGE, "Disk <full>", "a & b < c"),
            b"/fail" => Err(SendError::Failed),
            b"/fail-in-head" => {
                let _ = response.send_response(status::OK).send_header("X-Half", "1");
                Err(SendError::Failed)
            }
            b"/fail-after" => {
                let _ = response.send_response(status::OK).end_with(b"all of it")?;
                Err(SendError::Failed)
            }
            b"/fail-late" => {
                let mut body = response.send_response(status::OK).end_headers()?;
                body.write_all(b"half")?;
                body.flush()?;
                Err(SendError::Failed)
            }
            b"/mismatch" => {
                let mut body = response.send_response(status::OK).content_length(5).end_headers()?;
                body.write_all(b"123")?;
                body.finish()
            }
            b"/too-much" => {
                let mut body = response.send_response(status::OK).content_length(2).end_headers()?;
                body.write_all(b"123")?;
                body.finish()
            }
            b"/two-lengths" => {
                response.send_response(status::OK).send_header("Content-Length", "4").end_with(b"12345")
            }
            b"/inject-value" => {
                response.send_response(status::OK).send_header("X-A", "b\r\nX-Injected: 1").end()
            }
            b"/inject-name" => response.send_response(status::OK).send_header("X-A: b\r\nX-B", "1").end(),
            b"/inject-reason" => response.send_response_with_reason(status::OK, "OK\r\nX-Injected: 1").end(),
            b"/own-coding" => {
                response.send_response(status::OK).send_header("Transfer-Encoding", "chunked").end()
            }
            b"/own-connection" => {
                response.send_response(status::OK).send_header("Connection", "upgrade").end()
            }
            b"/204-with" => {
                response.send_response(Status::new(204).expect("a final code")).end_with(b"content")
            }
            b"/304-with" => {
                response.send_response(Status::new(304).expect("a final code")).end_with_static(b"content")
            }
            _ => response.send_error(status::NOT_FOUND),
        }
    }
}

impl RequestHandler for Demo {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        self.serve(request, response)
    }

    fn do_post(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        self.serve(request, response)
    }

    fn do_put(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        self.serve(request, response)
    }

    fn do_options(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_response(status::OK).end_with(describe(request.target()).as_bytes())
    }

    fn do_connect(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        match request.path() {
            b"tunnel:443" => response.send_response(status::OK).end(),
            b"content:443" => response.send_response(status::OK).end_with(b"content"),
            _ => response.send_error(status::FORBIDDEN),
        }
    }

    fn do_extension(
        &mut self,
        method: &[u8],
        request: Request<'_>,
        response: Response<'_>,
    ) -> Result<Sent, SendError> {
        match method {
            b"SPAM" => response.send_response(status::OK).end_with(b"spam"),
            _ => response.send_unsupported_method(request.method().as_bytes()),
        }
    }

    fn allowed_methods(&mut self, request: &RequestHead<'_>) -> Option<Methods> {
        (request.path() == b"/resource").then_some(Methods::NONE.get().put())
    }

    fn content_bytes_max(&mut self, request: &RequestHead<'_>, default: u64) -> u64 {
        if request.path() == b"/small" { 10 } else { default }
    }

    fn produce(&mut self, key: u32, position: u64, out: &mut [u8]) -> Result<(), SendError> {
        assert!(!out.is_empty(), "who asks for nothing asks for ever");
        for (place, at) in out.iter_mut().zip(position..) {
            if key == 2 && at >= 20 {
                return Err(SendError::Failed);
            }
            *place = produced(at);
        }
        Ok(())
    }

    fn log_request(&mut self, entry: &LogEntry<'_>) {
        let status = entry.status.map_or(0, Status::code);
        self.log.push(format!("{status} {} {}", entry.content_bytes, Escaped(entry.request_line)));
    }

    fn log_message(&mut self, _entry: &LogEntry<'_>, message: &str) {
        self.log.push(message.to_owned());
    }

    fn finish(&mut self) {
        self.finished += 1;
    }
}
