//! What a user writes: the handler.

use crate::exchange::log::LogEntry;
use crate::exchange::request::Request;
use crate::exchange::response::{Response, Sent};
use crate::receive::head::RequestHead;
use crate::syntax::error::{Problem, SendError};
use crate::syntax::method::{Method, Methods};

/// Answers requests. Every method has a default; a handler overrides what it does.
///
/// It is Python's `BaseHTTPRequestHandler`, without inheritance: what Python keeps in `self` is in [`Request`] and
/// [`Response`], so one handler can serve many connections, one request after the other.
#[doc(alias = "BaseHTTPRequestHandler")]
#[doc(alias = "StreamRequestHandler")]
#[doc(alias = "BaseRequestHandler")]
pub trait RequestHandler {
    /// Answers GET. Its default, like those of the other methods, is 501 (spec 61).
    ///
    /// # Errors
    /// Whatever kept the response from being whole: see [`SendError`].
    #[doc(alias = "do_GET")]
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_unsupported_method(request.method().as_bytes())
    }

    /// Answers HEAD: as GET, without its content, which the engine leaves out (spec 73).
    ///
    /// # Errors
    /// See [`do_get`](Self::do_get).
    #[doc(alias = "do_HEAD")]
    fn do_head(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        self.do_get(request, response)
    }

    /// Answers POST.
    ///
    /// # Errors
    /// See [`do_get`](Self::do_get).
    #[doc(alias = "do_POST")]
    fn do_post(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_unsupported_method(request.method().as_bytes())
    }

    /// Answers PUT.
    ///
    /// # Errors
    /// See [`do_get`](Self::do_get).
    #[doc(alias = "do_PUT")]
    fn do_put(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_unsupported_method(request.method().as_bytes())
    }

    /// Answers DELETE.
    ///
    /// # Errors
    /// See [`do_get`](Self::do_get).
    #[doc(alias = "do_DELETE")]
    fn do_delete(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_unsupported_method(request.method().as_bytes())
    }

    /// Answers CONNECT.
    ///
    /// # Errors
    /// See [`do_get`](Self::do_get).
    #[doc(alias = "do_CONNECT")]
    fn do_connect(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_unsupported_method(request.method().as_bytes())
    }

    /// Answers OPTIONS where [`allowed_methods`](Self::allowed_methods) says nothing.
    ///
    /// # Errors
    /// See [`do_get`](Self::do_get).
    #[doc(alias = "do_OPTIONS")]
    fn do_options(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_unsupported_method(request.method().as_bytes())
    }

    /// Answers TRACE.
    ///
    /// # Errors
    /// See [`do_get`](Self::do_get).
    #[doc(alias = "do_TRACE")]
    fn do_trace(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_unsupported_method(request.method().as_bytes())
    }

    /// Answers PATCH.
    ///
    /// # Errors
    /// See [`do_get`](Self::do_get).
    #[doc(alias = "do_PATCH")]
    fn do_patch(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        response.send_unsupported_method(request.method().as_bytes())
    }

    /// Answers every other method: Python's `do_SPAM`.
    ///
    /// # Errors
    /// See [`do_get`](Self::do_get).
    #[doc(alias = "do_SPAM")]
    fn do_extension(
        &mut self,
        method: &[u8],
        request: Request<'_>,
        response: Response<'_>,
    ) -> Result<Sent, SendError> {
        let _ = method;
        response.send_unsupported_method(request.method().as_bytes())
    }

    /// Which methods has the resource that this request is for? With `Some`, OPTIONS is answered from it, and
    /// registered methods that are not in it get 405, both with `Allow` (RFC 9110 §9.3.7, §15.5.6). The default does not know.
    ///
    /// ```
    /// use httpling_core::testing::ScriptedStream;
    /// use httpling_core::{Config, Methods, Request, RequestHandler, RequestHead, Response, SendError, Sent, Session, status};
    ///
    /// struct House;
    ///
    /// impl RequestHandler for House {
    ///     fn allowed_methods(&mut self, request: &RequestHead<'_>) -> Option<Methods> {
    ///         Some(match request.path() {
    ///             b"/lamp" => Methods::NONE.get().put(),
    ///             _ => Methods::NONE.get(),
    ///         })
    ///     }
    ///
    ///     fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
    ///         match request.path() {
    ///             b"/lamp" => response.send_response(status::OK).end_with(b"on"),
    ///             b"/door" => response.send_response(status::OK).end_with(b"shut"),
    ///             _ => response.send_error(status::NOT_FOUND),
    ///         }
    ///     }
    /// }
    ///
    /// let mut stream = ScriptedStream::<1024>::new(&[b"DELETE /lamp HTTP/1.1\r\nHost: a\r\n\r\n"]);
    /// let config = Config { error_page: None, ..Config::DEFAULT };
    /// Session::new(&mut [0; 256], &mut [0; 256], &config).handle(&mut stream, &mut House);
    /// let expected = b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD, PUT, OPTIONS\r\n";
    /// assert!(stream.written().starts_with(expected));
    /// ```
    fn allowed_methods(&mut self, request: &RequestHead<'_>) -> Option<Methods> {
        let _ = request;
        None
    }

    /// Sends a request to its method. A router overrides this.
    ///
    /// # Errors
    /// See [`do_get`](Self::do_get).
    fn dispatch(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let method = request.method();
        if let (Some(allowed), false) =
            (self.allowed_methods(request.head()), matches!(method, Method::Extension(_)))
        {
            if method == Method::Options && !allowed.contains(method) {
                return response.send_options(allowed);
            }
            if !allowed.contains(method) {
                return response.send_method_not_allowed(allowed);
            }
        }
        match method {
            Method::Get => self.do_get(request, response),
            Method::Head => self.do_head(request, response),
            Method::Post => self.do_post(request, response),
            Method::Put => self.do_put(request, response),
            Method::Delete => self.do_delete(request, response),
            Method::Connect => self.do_connect(request, response),
            Method::Options => self.do_options(request, response),
            Method::Trace => self.do_trace(request, response),
            Method::Patch => self.do_patch(request, response),
            Method::Extension(name) => self.do_extension(name, request, response),
        }
    }

    /// How much content may this request have, in octets? `default` is the limit of the configuration. Asked before the
    /// method is called, and only for requests with content.
    fn content_bytes_max(&mut self, request: &RequestHead<'_>, default: u64) -> u64 {
        let _ = request;
        default
    }

    /// Makes `out.len()` octets, from `position` on, of the content that
    /// [`end_with_producer`](crate::response::Head::end_with_producer) promised under `key`.
    ///
    /// ```
    /// use httpling_core::testing::ScriptedStream;
    /// use httpling_core::{Config, Request, RequestHandler, Response, SendError, Sent, Session, status};
    ///
    /// struct Ruler;
    ///
    /// impl RequestHandler for Ruler {
    ///     fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
    ///         response.send_response(status::OK).end_with_producer(1000, 0)
    ///     }
    ///
    ///     fn produce(&mut self, _key: u32, position: u64, out: &mut [u8]) -> Result<(), SendError> {
    ///         for (octet, at) in out.iter_mut().zip(position..) {
    ///             *octet = if at % 10 == 0 { b'|' } else { b'.' };
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// // A kilobyte, through a buffer of 64 octets.
    /// let mut stream = ScriptedStream::<2048>::new(&[b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
    /// Session::new(&mut [0; 256], &mut [0; 64], &Config::DEFAULT).handle(&mut stream, &mut Ruler);
    /// let content = b"|.........".repeat(100);
    /// assert!(stream.written().ends_with(&content));
    /// ```
    ///
    /// # Errors
    /// Whatever keeps it from being made: the connection is cut.
    fn produce(&mut self, key: u32, position: u64, out: &mut [u8]) -> Result<(), SendError> {
        let _ = (key, position, out);
        Err(SendError::Failed)
    }

    /// Called once for each answered request, when its response is written.
    fn log_request(&mut self, entry: &LogEntry<'_>) {
        let _ = entry;
    }

    /// Called before [`log_request`](Self::log_request) when something went wrong: a refused request, an error page, a
    /// time-out, a handler's failure.
    fn log_error(&mut self, entry: &LogEntry<'_>, problem: Problem) {
        self.log_message(entry, problem.message());
    }

    /// Called for everything else that is worth a line.
    fn log_message(&mut self, entry: &LogEntry<'_>, message: &str) {
        let _ = (entry, message);
    }

    /// Called once, when the connection ends.
    fn finish(&mut self) {}
}
