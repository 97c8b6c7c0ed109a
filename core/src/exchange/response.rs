//! A response, as a handler writes it: a typestate, so that what HTTP does not allow does not compile.
//!
//! ```text
//!   Response ──send_response──► Head ──end_with──────────────────────────────► Sent
//!      │                         │ └─end_headers──► Body ──write_all…──finish─► Sent
//!      │                         └─content_length / streamed──► Head<Framed> ──end_headers──► Body
//!      └──send_error──► Sent
//! ```
//!
//! Each step consumes the one before it, and a handler returns a [`Sent`]: so there is one response, it has one head, and
//! it is ended.

use crate::connection::Maker;
use crate::exchange::shared::{Rest, Shared};
use crate::send::head::is_reason;
use crate::syntax::error::{Problem, SendError};
use crate::syntax::error_page::ErrorWords;
use crate::syntax::method::Methods;
use crate::syntax::status::{self, InterimStatus, NoContentStatus, Status};
use core::any::Any;
use core::cell::RefCell;
use core::fmt;
use core::marker::PhantomData;
use embedded_io::ErrorKind;

/// The response to a request: not begun.
///
/// ```
/// use httpling_core::{Request, RequestHandler, Response, SendError, Sent, status};
///
/// struct Hello;
///
/// impl RequestHandler for Hello {
///     fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
///         response.send_response(status::OK).send_header("Content-Type", "text/plain").end_with(b"Hello there")
///     }
/// }
/// ```
pub struct Response<'a> {
    shared: &'a RefCell<Shared<'a>>,
}

/// Proof that a response was sent as a whole, or handed over to be. Only the engine makes one.
#[derive(Debug)]
#[must_use = "a handler returns it"]
pub struct Sent(());

/// Of a [`Head`]: how the content is framed is open.
#[derive(Debug)]
pub enum Open {}

/// Of a [`Head`]: the content's framing is chosen.
#[derive(Debug)]
pub enum Framed {}

/// Of a [`Head`]: the status allows no content.
#[derive(Debug)]
pub enum NoContent {}

/// A response's head, being written. Fields leave in the order in which they were sent; what is wrong with one is said
/// when the head ends, so that heads can be written in a chain.
///
/// ```compile_fail,E0599
/// # use httpling_core::{Response, SendError, Sent, status};
/// fn field_after_the_head(response: Response<'_>) -> Result<Sent, SendError> {
///     let body = response.send_response(status::OK).end_headers()?;
///     body.send_header("Too", "late").finish()
/// }
/// ```
/// ```
/// # use httpling_core::{Response, SendError, Sent, status};
/// fn field_in_the_head(response: Response<'_>) -> Result<Sent, SendError> {
///     let body = response.send_response(status::OK).send_header("In", "time").end_headers()?;
///     body.finish()
/// }
/// ```
pub struct Head<'a, State = Open> {
    shared: &'a RefCell<Shared<'a>>,
    state: PhantomData<State>,
}

/// What became of content that was [offered](Head::end_with_offered) to the stream.
#[derive(Debug)]
pub enum Offered<'a> {
    /// The stream sends it, or the response has none. Return this.
    Taken(Sent),
    /// The stream knows no such content. Write it, as many octets as were announced.
    Declined(Body<'a>),
}

/// A response's content, being written.
///
/// ```compile_fail,E0308
/// # use httpling_core::{Response, SendError, Sent, status};
/// fn forgotten_end(response: Response<'_>) -> Result<Sent, SendError> {
///     let mut body = response.send_response(status::OK).end_headers()?;
///     body.write_all(b"Hello there")
/// }
/// ```
/// ```
/// # use httpling_core::{Response, SendError, Sent, status};
/// fn ended(response: Response<'_>) -> Result<Sent, SendError> {
///     let mut body = response.send_response(status::OK).end_headers()?;
///     body.write_all(b"Hello there")?;
///     body.finish()
/// }
/// ```
#[doc(alias = "wfile")]
pub struct Body<'a> {
    shared: &'a RefCell<Shared<'a>>,
}

/// The bare stream, after the client was told that the protocol changes.
pub struct RawStream<'a> {
    shared: &'a RefCell<Shared<'a>>,
}

/// A status that begins a final response, and what such a response may have.
///
/// ```compile_fail,E0599
/// # use httpling_core::{Response, SendError, Sent, status};
/// fn content_on_a_204(response: Response<'_>) -> Result<Sent, SendError> {
///     response.send_response(status::NO_CONTENT).end_with(b"but")
/// }
/// ```
/// ```
/// # use httpling_core::{Response, SendError, Sent, status};
/// fn nothing_on_a_204(response: Response<'_>) -> Result<Sent, SendError> {
///     response.send_response(status::NO_CONTENT).end()
/// }
/// ```
pub trait FinalStatus: Into<Status> + sealed::Sealed {
    /// [`Open`] or [`NoContent`].
    type Content;
}

impl FinalStatus for Status {
    type Content = Open;
}

impl FinalStatus for NoContentStatus {
    type Content = NoContent;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Status {}
    impl Sealed for super::NoContentStatus {}
}

/// Borrows what an exchange shares, and says what went wrong. Requests and responses never call each other, so it is always free.
fn with<'a, T>(shared: &RefCell<Shared<'a>>, act: impl FnOnce(&mut Shared<'a>) -> T) -> Result<T, SendError> {
    let Ok(mut shared) = shared.try_borrow_mut() else { return Err(SendError::Failed) };
    let result = act(&mut shared);
    shared.error.map_or(Ok(result), Err)
}

impl<'a> Response<'a> {
    pub(crate) fn new(shared: &'a RefCell<Shared<'a>>) -> Self {
        Self { shared }
    }

    /// Begins the response: the status line, then `Server` and `Date` if the configuration has them.
    ///
    /// ```compile_fail,E0382
    /// # use httpling_core::{Response, SendError, Sent, status};
    /// fn two_responses(response: Response<'_>) -> Result<Sent, SendError> {
    ///     response.send_response(status::OK).end_with(b"one")?;
    ///     response.send_response(status::OK).end_with(b"two")
    /// }
    /// ```
    /// ```
    /// # use httpling_core::{Response, SendError, Sent, status};
    /// fn one_response(response: Response<'_>) -> Result<Sent, SendError> {
    ///     response.send_response(status::OK).end_with(b"one")
    /// }
    /// ```
    pub fn send_response<S: FinalStatus>(self, status: S) -> Head<'a, S::Content> {
        self.begin(status.into(), None, true)
    }

    /// As [`send_response`](Self::send_response), with a reason phrase of the handler's. One with control octets fails the
    /// head: [`SendError::InvalidField`].
    pub fn send_response_with_reason<S: FinalStatus>(self, status: S, reason: &str) -> Head<'a, S::Content> {
        if !is_reason(reason)
            && let Ok(mut shared) = self.shared.try_borrow_mut()
        {
            shared.fail(SendError::InvalidField);
        }
        self.begin(status.into(), Some(reason), true)
    }

    /// Begins the response with the status line alone, without `Server` and `Date`.
    pub fn send_response_only<S: FinalStatus>(self, status: S) -> Head<'a, S::Content> {
        self.begin(status.into(), None, false)
    }

    fn begin<State>(self, status: Status, reason: Option<&str>, with_origin: bool) -> Head<'a, State> {
        if let Ok(mut shared) = self.shared.try_borrow_mut() {
            shared.begin(status, reason, with_origin);
        }
        Head { shared: self.shared, state: PhantomData }
    }

    /// Sends an interim response at once, such as 103 with `Link` fields; the response itself follows. Clients of
    /// HTTP/1.0, which have no interim responses, get nothing.
    ///
    /// # Errors
    /// [`SendError::InvalidField`], or the transport's failure.
    pub fn send_interim(self, status: InterimStatus, fields: &[(&str, &str)]) -> Result<Self, SendError> {
        with(self.shared, |shared| shared.interim(status.into(), fields))?;
        Ok(self)
    }

    /// Sends an error page and closes the connection, as Python's `send_error(code)` does.
    ///
    /// # Errors
    /// The transport's failure.
    #[inline(never)] // Its words are not on the stack of a handler that has nothing to say with them.
    pub fn send_error(self, status: Status) -> Result<Sent, SendError> {
        self.error_page(&ErrorWords::of(status), &|_| ())
    }

    /// As [`send_error`](Self::send_error), with a message and an explanation of the handler's; both are escaped. The
    /// message goes to the log too, when the handler has returned; what varies belongs into the explanation.
    ///
    /// # Errors
    /// The transport's failure.
    pub fn send_error_with(
        self,
        status: Status,
        message: &'static str,
        explanation: &str,
    ) -> Result<Sent, SendError> {
        self.error_page(&said(status, message, explanation), &|_| ())
    }

    /// As [`send_error_with`](Self::send_error_with), with fields of the handler's: `Retry-After` on a 503,
    /// `Content-Range` on a 416.
    ///
    /// # Errors
    /// [`SendError::InvalidField`], or the transport's failure.
    pub fn send_error_with_fields(
        self,
        status: Status,
        message: &'static str,
        explanation: &str,
        fields: &[(&str, &str)],
    ) -> Result<Sent, SendError> {
        self.error_page(&said(status, message, explanation), &|shared| {
            for (name, value) in fields {
                shared.field(name.as_bytes(), value.as_bytes());
            }
        })
    }

    /// 501 for a method that no handler does: `Unsupported method ('BREW')` (spec 61).
    ///
    /// # Errors
    /// The transport's failure.
    pub fn send_unsupported_method(self, method: &[u8]) -> Result<Sent, SendError> {
        let problem = Problem::Text("Unsupported method");
        let words = ErrorWords { problem, quoted: Some(method), ..ErrorWords::of(status::NOT_IMPLEMENTED) };
        self.error_page(&words, &|_| ())
    }

    /// 405, with `Allow` (RFC 9110 §15.5.6).
    ///
    /// # Errors
    /// The transport's failure.
    pub fn send_method_not_allowed(self, allowed: Methods) -> Result<Sent, SendError> {
        self.error_page(&ErrorWords::of(status::METHOD_NOT_ALLOWED), &|shared| send_allow(shared, allowed))
    }

    /// The answer to OPTIONS: 204, with `Allow` (RFC 9110 §9.3.7).
    ///
    /// # Errors
    /// The transport's failure.
    pub fn send_options(self, allowed: Methods) -> Result<Sent, SendError> {
        let head = self.send_response(status::NO_CONTENT);
        with(head.shared, |shared| send_allow(shared, allowed))?;
        head.end()
    }

    fn error_page(
        self,
        words: &ErrorWords<'_>,
        put_fields: &dyn Fn(&mut Shared<'a>),
    ) -> Result<Sent, SendError> {
        with(self.shared, |shared| shared.send_error(words, put_fields))?;
        Ok(Sent(()))
    }

    /// Answers 101 and hands over the stream, to speak `protocol` on it, for instance `websocket` (RFC 9110 §7.8).
    /// Fields can be added before [`end_headers`](Head::end_headers).
    ///
    /// The head fails with [`SendError::NoUpgrade`] when the client did not ask with `Upgrade` and
    /// `Connection: upgrade`.
    ///
    /// ```
    /// use embedded_io::{Read as _, Write as _};
    /// use httpling_core::testing::ScriptedStream;
    /// use httpling_core::{Config, Request, RequestHandler, Response, SendError, Sent, Session};
    ///
    /// struct Parrot;
    ///
    /// impl RequestHandler for Parrot {
    ///     fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
    ///         let mut stream = response.switch_protocols("parrot").end_headers()?;
    ///         let mut buffer = [0; 64];
    ///         let count = stream.read(&mut buffer).map_err(SendError::Transport)?;
    ///         stream.write_all(&buffer[..count]).map_err(SendError::Transport)?;
    ///         stream.finish()
    ///     }
    /// }
    ///
    /// let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: parrot\r\n\r\n";
    /// let pieces = [head.as_slice(), b"Hello there"];
    /// let mut stream = ScriptedStream::<256>::new(&pieces);
    /// Session::new(&mut [0; 256], &mut [0; 256], &Config::DEFAULT).handle(&mut stream, &mut Parrot);
    /// assert!(stream.written().starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
    /// assert!(stream.written().ends_with(b"\r\n\r\nHello there"));
    /// ```
    pub fn switch_protocols(self, protocol: &str) -> Head<'a, RawStream<'a>> {
        if let Ok(mut shared) = self.shared.try_borrow_mut() {
            if !shared.asked.upgrade() || !shared.content.is_done() {
                shared.fail(SendError::NoUpgrade);
            }
            shared.begin(status::SWITCHING_PROTOCOLS, None, true);
            shared.put_field(b"Upgrade", protocol.as_bytes());
        }
        Head { shared: self.shared, state: PhantomData }
    }
}

/// What a handler says on an error page of its own.
fn said<'w>(status: Status, message: &'static str, explanation: &'w str) -> ErrorWords<'w> {
    let problem = Problem::Text(message);
    ErrorWords { problem, explanation: Some(explanation), ..ErrorWords::of(status) }
}

/// Sends `Allow`.
fn send_allow(shared: &mut Shared<'_>, allowed: Methods) {
    // All nine names, with a comma and a space between each two, are 60 octets.
    let mut list: heapless::Vec<u8, 64> = heapless::Vec::new();
    let mut fits = true;
    for method in allowed.options().iter() {
        if !list.is_empty() {
            fits &= list.extend_from_slice(b", ").is_ok();
        }
        fits &= list.extend_from_slice(method.as_bytes()).is_ok();
    }
    debug_assert!(fits);
    shared.put_field(b"Allow", &list);
}

impl<'a, State> Head<'a, State> {
    /// Adds a field. `Content-Length` and `Connection: close` are taken as what they say; the server itself
    /// decides on framing.
    ///
    /// A name that is no token, or a value with control octets, fails the head: nothing that comes from a client can
    /// end a line.
    #[inline]
    #[must_use = "the head is not ended"]
    pub fn send_header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Ok(mut shared) = self.shared.try_borrow_mut() {
            shared.field(name.as_bytes(), value.as_ref());
        }
        self
    }

    fn body(self) -> Result<Body<'a>, SendError> {
        with(self.shared, Shared::end_head)?;
        Ok(Body { shared: self.shared })
    }
}

impl<'a> Head<'a, Open> {
    /// Declares how much content follows, in octets. Anything else is an error then.
    pub fn content_length(self, length: u64) -> Head<'a, Framed> {
        if let Ok(mut shared) = self.shared.try_borrow_mut() {
            shared.declare(length);
        }
        Head { shared: self.shared, state: PhantomData }
    }

    /// Says that content of unknown length follows, and should leave as it comes: chunked for HTTP/1.1.
    /// Without it, content that fits the output buffer is sent with its length.
    pub fn streamed(self) -> Head<'a, Framed> {
        if let Ok(mut shared) = self.shared.try_borrow_mut() {
            shared.stream_on_end();
        }
        Head { shared: self.shared, state: PhantomData }
    }

    /// Ends the head; content follows. When it fits the output buffer it gets its exact `Content-Length`; longer
    /// content is chunked for HTTP/1.1, and ends with the connection for HTTP/1.0.
    ///
    /// # Errors
    /// The first thing that was wrong with the head.
    pub fn end_headers(self) -> Result<Body<'a>, SendError> {
        self.body()
    }

    /// Ends the head, and sends `content` with its length.
    ///
    /// # Errors
    /// The first thing that was wrong with the head, or the transport's failure.
    pub fn end_with(self, content: &[u8]) -> Result<Sent, SendError> {
        with(self.shared, |shared| shared.end_with(content))?;
        Ok(Sent(()))
    }

    /// Ends the head. There is no content: `Content-Length: 0`.
    ///
    /// # Errors
    /// The first thing that was wrong with the head.
    pub fn end(self) -> Result<Sent, SendError> {
        self.end_with(b"")
    }

    /// As [`end_with`](Self::end_with), for content that lives as long as the program, such as a page in flash: the
    /// handler returns at once, and what the buffers do not hold is sent as room comes.
    ///
    /// # Errors
    /// The first thing that was wrong with the head.
    pub fn end_with_static(self, content: &'static [u8]) -> Result<Sent, SendError> {
        with(self.shared, |shared| shared.defer(Rest::Static(content), content.len() as u64))?;
        Ok(Sent(()))
    }

    /// Sends content of `length` octets that the handler makes as room comes: the engine calls
    /// [`produce`](crate::RequestHandler::produce) with `key`. The handler returns at once.
    ///
    /// # Errors
    /// The first thing that was wrong with the head.
    pub fn end_with_producer(self, length: u64, key: u32) -> Result<Sent, SendError> {
        with(self.shared, |shared| shared.defer(Rest::Made(Maker::Handler { key }), length))?;
        Ok(Sent(()))
    }

    /// Ends the head, and offers content of `length` octets to the stream, which may know how to send it without the handler:
    /// see [`Wire::take_content`](crate::Wire::take_content). For adapters to build upon.
    ///
    /// # Errors
    /// The first thing that was wrong with the head.
    pub fn end_with_offered(self, length: u64, content: &mut dyn Any) -> Result<Offered<'a>, SendError> {
        let taken = with(self.shared, |shared| shared.offer(content, length))?;
        Ok(if taken { Offered::Taken(Sent(())) } else { Offered::Declined(Body { shared: self.shared }) })
    }
}

impl<'a> Head<'a, Framed> {
    /// Ends the head; content of the declared length follows.
    ///
    /// # Errors
    /// The first thing that was wrong with the head.
    pub fn end_headers(self) -> Result<Body<'a>, SendError> {
        self.body()
    }
}

impl Head<'_, NoContent> {
    /// Ends the head, and with it the response.
    ///
    /// # Errors
    /// The first thing that was wrong with the head.
    #[doc(alias = "end_headers")]
    pub fn end(self) -> Result<Sent, SendError> {
        with(self.shared, |shared| shared.end_with(b""))?;
        Ok(Sent(()))
    }
}

impl<'a> Head<'a, RawStream<'a>> {
    /// Sends the head. The stream is the handler's.
    ///
    /// # Errors
    /// [`SendError::NoUpgrade`], the first thing that was wrong with the head, or the transport's failure.
    pub fn end_headers(self) -> Result<RawStream<'a>, SendError> {
        with(self.shared, Shared::end_head_for_raw)?;
        Ok(RawStream { shared: self.shared })
    }
}

impl Body<'_> {
    /// Adds content. Small pieces are collected; a piece larger than the buffers waits until the client has taken it.
    ///
    /// # Errors
    /// [`SendError::LengthMismatch`], [`SendError::ContentForbidden`], or the transport's failure.
    pub fn write_all(&mut self, content: &[u8]) -> Result<(), SendError> {
        with(self.shared, |shared| shared.write(content))
    }

    /// Sends what has collected, so that the client has it now: for events, and for conversations.
    ///
    /// # Errors
    /// The transport's failure.
    pub fn flush(&mut self) -> Result<(), SendError> {
        with(self.shared, Shared::flush_content)
    }

    /// Ends the content, and with it the response.
    ///
    /// # Errors
    /// [`SendError::LengthMismatch`] when less was written than declared.
    pub fn finish(self) -> Result<Sent, SendError> {
        with(self.shared, Shared::finish)?;
        Ok(Sent(()))
    }
}

impl embedded_io::ErrorType for Body<'_> {
    type Error = SendError;
}

impl embedded_io::Write for Body<'_> {
    fn write(&mut self, content: &[u8]) -> Result<usize, SendError> {
        self.write_all(content).map(|()| content.len())
    }

    fn flush(&mut self) -> Result<(), SendError> {
        Body::flush(self)
    }
}

impl RawStream<'_> {
    /// Ends the use of the stream; the connection is closed.
    ///
    /// # Errors
    /// The transport's failure.
    pub fn finish(self) -> Result<Sent, SendError> {
        with(self.shared, Shared::finish)?;
        Ok(Sent(()))
    }
}

impl embedded_io::ErrorType for RawStream<'_> {
    type Error = ErrorKind;
}

impl embedded_io::Read for RawStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.shared.try_borrow_mut() {
            Ok(mut shared) => shared.read_raw(buffer),
            Err(_) => Err(ErrorKind::Other),
        }
    }
}

impl embedded_io::Write for RawStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        with(self.shared, |shared| shared.write(bytes)).map_err(|error| embedded_io::Error::kind(&error))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        with(self.shared, Shared::flush_content).map_err(|error| embedded_io::Error::kind(&error))
    }
}

macro_rules! debug_by_name {
    ($($name:literal $type:ty),*) => { $(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($name)
            }
        }
    )* };
}

debug_by_name!("Response" Response<'_>, "Body" Body<'_>, "RawStream" RawStream<'_>);

impl<State> fmt::Debug for Head<'_, State> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Head")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ScriptedStream;
    use crate::{Config, Request, RequestHandler, Session};
    use crate::{ErrorPage, Sink};
    use std::format;
    use std::string::String;

    struct Refuses(&'static [(&'static str, &'static str)]);

    impl RequestHandler for Refuses {
        fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
            response.send_error_with_fields(status::SERVICE_UNAVAILABLE, "Full", "Come again", self.0)
        }
    }

    fn answer(handler: &mut dyn RequestHandler) -> String {
        answer_by(&Config::DEFAULT, handler)
    }

    fn answer_by(config: &Config<'_>, handler: &mut dyn RequestHandler) -> String {
        let mut stream = ScriptedStream::<1024>::new(&[b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
        let (mut input, mut output) = ([0; 256], [0; 1024]);
        Session::new(&mut input, &mut output, config).handle(&mut stream, handler);
        String::from_utf8(stream.written().into()).expect("UTF-8")
    }

    #[test]
    fn an_error_page_takes_fields() {
        let answer = answer(&mut Refuses(&[("Retry-After", "1"), ("Vary", "*")]));
        assert!(
            answer.starts_with("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nVary: *\r\n"),
            "{answer}"
        );
        assert!(answer.contains("<p>Message: Full.</p>"), "{answer}");
        assert!(answer.contains("503 - Come again.</p>"), "{answer}");
    }

    #[test]
    fn an_error_page_is_what_the_configuration_says() {
        let mut handler = Refuses(&[("Retry-After", "1")]);
        let none = Config { error_page: None, ..Config::DEFAULT };
        let head = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n";
        let expected = format!("{head}Connection: close\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answer_by(&none, &mut handler), expected);

        let write = |words: &ErrorWords<'_>, write: &mut Sink<'_>| {
            write(words.problem.message().as_bytes());
            write(b"!");
        };
        let text = Config { error_page: Some(ErrorPage { media_type: "text/plain", write }), ..none };
        let answer = answer_by(&text, &mut handler);
        assert!(answer.starts_with(&format!("{head}Content-Type: text/plain\r\n")), "{answer}");
        assert!(answer.ends_with("\r\nContent-Length: 5\r\n\r\nFull!"), "{answer}");
    }

    /// A page that says something else the second time would break the response's framing.
    #[test]
    fn an_error_page_that_changes_is_not_sent() {
        use std::sync::atomic::{AtomicBool, Ordering};

        static MEASURED: AtomicBool = AtomicBool::new(false);
        let write = |_: &ErrorWords<'_>, write: &mut Sink<'_>| {
            write(if MEASURED.fetch_xor(true, Ordering::Relaxed) { b"three" } else { b"one" });
        };
        let error_page = Some(ErrorPage { media_type: "text/plain", write });
        let answer = answer_by(&Config { error_page, ..Config::DEFAULT }, &mut Refuses(&[]));
        assert_eq!(
            answer,
            "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
    }

    /// What is larger than the buffer is copied into it only as far as it fills up what waits there.
    #[test]
    fn large_pieces_leave_in_one_write_each() {
        struct Large;

        impl RequestHandler for Large {
            fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
                let mut body = response.send_response(status::OK).content_length(600).end_headers()?;
                body.write_all(&[b'a'; 200])?;
                body.write_all(&[b'b'; 200])?;
                body.write_all(&[b'c'; 200])?;
                body.finish()
            }
        }

        let mut stream = ScriptedStream::<1024>::new(&[b"GET / HTTP/1.0\r\n\r\n"]);
        let (mut input, mut output) = ([0; 256], [0; 100]);
        Session::new(&mut input, &mut output, &Config::DEFAULT).handle(&mut stream, &mut Large);
        assert_eq!(stream.calls().1, 4, "the head with the first octets, then three");
        let content = [[b'a'; 200], [b'b'; 200], [b'c'; 200]].concat();
        assert!(stream.written().ends_with(&content));
    }

    #[test]
    fn an_error_page_takes_no_field_that_ends_a_line() {
        let answer = answer(&mut Refuses(&[("Retry-After", "1\r\nSet-Cookie: a")]));
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(!answer.contains("Set-Cookie"), "{answer}");
    }
}
