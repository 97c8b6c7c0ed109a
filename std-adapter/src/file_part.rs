//! A part of a file as a response's content, and never another number of octets than announced (spec 34 H).
//!
//! ```text
//!   end_with_file ──small──► read, and sent with the head in one write
//!         └─────────large──► offered to the stream: a loop sends it from the descriptor, as room comes
//!                               └─ a stream that knows no files ──► read and written in pieces
//! ```

use httpling_core::response::Offered;
use httpling_core::{Body, Head, SendError, Sent};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;

/// Up to here, content is copied, and leaves with its head in one write. Sending it from the descriptor takes as many calls, no
/// copies, and some work for each page: it was measured to be cheaper from about 32 KiB on.
const SMALL_BYTES_MAX: usize = 16 * 1024;

/// What is copied is read in pieces of at most this size.
const PIECE_BYTES: usize = 64 * 1024;

thread_local! {
    /// One for each thread that serves files: connections come and go, threads stay.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Ends a response with a part of a file.
///
/// ```
/// use httpling::{EndWithFile, Request, RequestHandler, Response, SendError, Sent, status};
/// use std::fs::File;
///
/// struct Manual;
///
/// impl RequestHandler for Manual {
///     fn do_get(&mut self, _request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
///         let open = || File::open("manual.pdf").and_then(|file| Ok((file.metadata()?.len(), file)));
///         let Ok((length, file)) = open() else { return response.send_error(status::NOT_FOUND) };
///         response
///             .send_response(status::OK)
///             .send_header("Content-Type", "application/pdf")
///             .end_with_file(file, 0..length)
///     }
/// }
/// ```
#[doc(alias = "copyfile")]
pub trait EndWithFile {
    /// Ends the head, and sends the octets `range` of `file`: the handler returns at once, and the server sends them as the
    /// client takes them. A client that takes its time costs a descriptor and no thread.
    ///
    /// What the file has grown by is not sent. When it has become shorter, or cannot be read, the connection is cut, so
    /// that the client sees that it has not got everything; or the client gets an error page, if nothing was sent.
    ///
    /// # Errors
    /// The first thing that was wrong with the head; [`SendError::LengthMismatch`] when the file has become shorter,
    /// [`SendError::Failed`] when it cannot be read.
    fn end_with_file(self, file: File, range: Range<u64>) -> Result<Sent, SendError>;
}

impl EndWithFile for Head<'_> {
    fn end_with_file(self, file: File, range: Range<u64>) -> Result<Sent, SendError> {
        let length = range.end.saturating_sub(range.start);
        let part = FilePart { file, start: range.start };
        if let Some(length) = usize::try_from(length).ok().filter(|length| *length <= SMALL_BYTES_MAX) {
            return with_buffer(length, |content| {
                part.read_exact(content)?;
                self.end_with(content)
            });
        }
        let mut part = Some(part);
        match self.end_with_offered(length, &mut part)? {
            Offered::Taken(sent) => Ok(sent),
            Offered::Declined(body) => part.ok_or(SendError::Failed)?.write_to(body, length),
        }
    }
}

/// Part of an open file, from `start` on. Each read names its place: the file's own position may be shared with others.
#[derive(Debug)]
pub(crate) struct FilePart {
    pub(crate) file: File,
    pub(crate) start: u64,
}

impl FilePart {
    /// Reads what is there, `position` octets behind the start. `Ok(0)` is the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let at = self.start.checked_add(position).ok_or(ErrorKind::InvalidInput)?;
        loop {
            #[cfg(unix)]
            let result = std::os::unix::fs::FileExt::read_at(&self.file, buffer, at);
            #[cfg(windows)]
            let result = std::os::windows::fs::FileExt::seek_read(&self.file, buffer, at);
            match result {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn read_exact(&self, buffer: &mut [u8]) -> Result<(), SendError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += match self.read_at(rest, filled as u64) {
                Ok(0) => return Err(SendError::LengthMismatch),
                Ok(count) => count,
                Err(_) => return Err(SendError::Failed),
            };
        }
        Ok(())
    }

    fn write_to(&self, mut body: Body<'_>, length: u64) -> Result<Sent, SendError> {
        let mut position = 0;
        while position < length {
            position += self.copy(position, length - position, |piece| {
                body.write_all(piece)?;
                Ok(piece.len())
            })? as u64;
        }
        body.finish()
    }

    /// Reads a piece of what is `left` from `position` on, and gives it to `write`, which says how much of it it has taken.
    ///
    /// # Errors
    /// [`SendError::LengthMismatch`] when nothing is there, [`SendError::Failed`] when it cannot be read, and those of `write`.
    pub(crate) fn copy(
        &self,
        position: u64,
        left: u64,
        write: impl FnOnce(&[u8]) -> Result<usize, SendError>,
    ) -> Result<usize, SendError> {
        let most = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        with_buffer(most, |piece| match self.read_at(piece, position) {
            Ok(0) => Err(SendError::LengthMismatch),
            Ok(count) => write(piece.get(..count).unwrap_or_default()),
            Err(_) => Err(SendError::Failed),
        })
    }
}

/// The first `length` octets of this thread's buffer, which grows to hold them.
fn with_buffer<T>(length: usize, act: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = BUFFER.take();
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    let result = act(buffer.get_mut(..length).unwrap_or_default());
    BUFFER.set(buffer);
    result
}
