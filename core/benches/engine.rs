//! What does a whole exchange cost beside its system calls? Head in, handler, response out, over a stream in memory.

mod harness;

use embedded_io::ErrorKind;
use harness::Case;
use harness::heads::{BROWSER, MINIMAL};
use httpling_core::{
    Clock, Config, HttpDate, Request, RequestHandler, Response, SendError, Sent, ServerName, Session, Wire,
};
use httpling_core::{CloseReason, status};
use std::hint::black_box;
use std::sync::LazyLock;

/// On one connection: as many as the limits let it have, in full pipelines.
const REQUESTS: u32 = 992;
const PIPELINED: u32 = 16;

static PIPELINE: LazyLock<Vec<u8>> = LazyLock::new(|| MINIMAL.repeat(PIPELINED as usize));

fn main() {
    let case = |name, run| Case { name, units: REQUESTS, run };
    harness::main(
        &[
            case("GET /, minimal head", || serve(MINIMAL, REQUESTS)),
            case("GET /, browser head", || serve(BROWSER, REQUESTS)),
            case("GET /, each of 16 pipelined", || serve(&PIPELINE, REQUESTS / PIPELINED)),
            case("read and write alone", || copy(MINIMAL, REQUESTS)),
        ],
        &[],
    );
}

struct Hello;

impl RequestHandler for Hello {
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        black_box(request.path());
        response.send_response(status::OK).send_header("Content-Type", "text/plain").end_with(b"Hello there")
    }
}

/// As the clock of a server that makes the date once a second.
struct Cached(HttpDate);

impl Clock for Cached {
    fn date(&self) -> Option<HttpDate> {
        Some(self.0)
    }
}

/// Gives the same bytes at each reading, so many times.
struct Memory {
    bytes: &'static [u8],
    times: u32,
    written: [u8; 4096],
}

impl Wire for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let (Some(times), Some(place)) = (self.times.checked_sub(1), buffer.get_mut(..self.bytes.len()))
        else {
            return Ok(0);
        };
        self.times = times;
        place.copy_from_slice(self.bytes);
        Ok(self.bytes.len())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let place = self.written.get_mut(..bytes.len()).ok_or(ErrorKind::OutOfMemory)?;
        place.copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

fn serve(bytes: &'static [u8], times: u32) {
    let clock = Cached(HttpDate::from_unix_seconds(784_111_777));
    let config = Config { server: ServerName::new("httpling"), clock: Some(&clock), ..Config::DEFAULT };
    let mut memory = Memory { bytes, times, written: [0; 4096] };
    let (mut input, mut output) = ([0; 4096], [0; 4096]);
    let mut session = Session::new(&mut input, &mut output, &config);
    let reason = session.handle(&mut memory, &mut Hello);
    assert_eq!((reason, session.connection().requests()), (CloseReason::EndOfStream, 992));
    black_box(memory.written);
}

/// What of the figures above is the stream's, not ours.
fn copy(bytes: &'static [u8], times: u32) {
    let mut memory = Memory { bytes, times, written: [0; 4096] };
    let mut input = [0; 4096];
    let wire: &mut dyn Wire = black_box(&mut memory);
    while wire.read(&mut input).is_ok_and(|count| count > 0) {
        assert!(black_box(wire.write(input.get(..150).unwrap_or_default())).is_ok());
    }
    black_box(memory.written);
}
