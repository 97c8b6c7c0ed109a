//! Sends a file, or a part of one, and never another number of octets than announced (spec 34 H).

use httpling_core::{Head, SendError, Sent};
use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::ops::Range;

/// Up to here, head and content leave in one write: the output buffer of the server has room for as much.
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// Larger files are read and written in pieces of this size. Larger ones were measured to be no faster.
const PIECE_BYTES: usize = 256 * 1024;

thread_local! {
    /// One for each thread that serves files: connections come and go, threads stay.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Ends `head` with the octets `range` of `file`.
///
/// The one place where a file's octets move: a transport that can send from a descriptor is to be told here.
///
/// # Errors
/// [`SendError::LengthMismatch`] when the file has become shorter, [`SendError::Failed`] when it cannot be read: if
/// something was sent, the connection is cut, so that the client sees that it has not got everything. What a file has
/// grown by is not sent.
pub(super) fn send_file(file: &File, range: Range<u64>, head: Head<'_>) -> Result<Sent, SendError> {
    let mut buffer = BUFFER.take();
    let result = send_through(&mut buffer, file, range, head);
    BUFFER.set(buffer);
    result
}

fn send_through(
    buffer: &mut Vec<u8>,
    mut file: &File,
    range: Range<u64>,
    head: Head<'_>,
) -> Result<Sent, SendError> {
    let mut left = range.end.saturating_sub(range.start);
    if range.start > 0 {
        file.seek(SeekFrom::Start(range.start)).map_err(|_| SendError::Failed)?;
    }
    if let Some(length) = usize::try_from(left).ok().filter(|length| *length <= SMALL_BYTES_MAX) {
        let content = part(buffer, length);
        file.read_exact(content).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => SendError::LengthMismatch,
            _ => SendError::Failed,
        })?;
        return head.end_with(content);
    }
    let mut body = head.content_length(left).end_headers()?;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let piece = part(buffer, most);
        match file.read(piece) {
            Ok(0) => return Err(SendError::LengthMismatch),
            Ok(count) => {
                body.write_all(piece.get(..count).unwrap_or_default())?;
                left = left.saturating_sub(count as u64);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(SendError::Failed),
        }
    }
    body.finish()
}

/// The first `length` octets of the buffer, which grows to hold them.
fn part(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    buffer.get_mut(..length).unwrap_or_default()
}
