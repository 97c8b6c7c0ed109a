//! The smallest handler: `GET /` says hello, and nothing else is there.

use httpling_core::{Request, RequestHandler, Response, SendError, Sent, status};

/// Says hello.
#[derive(Debug)]
pub struct Hello;

impl RequestHandler for Hello {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        if request.path() == b"/" {
            response.send_response(status::OK).end_with_static(b"Hello there")
        } else {
            response.send_error(status::NOT_FOUND)
        }
    }
}
