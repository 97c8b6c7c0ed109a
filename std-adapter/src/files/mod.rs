//! Serves the files of a directory: Python's `SimpleHTTPRequestHandler`.
//!
//! ```text
//!   path ──translate──► name ──tree──► file ───────────conditional──range──────────► 200, 206, 304, 412, 416
//!                         │             └─ directory ─► index page, as a file
//!                         │                          ├► listing
//!                         │                          └► 301, where the slash is missing
//!                         └─ hidden, not there, not for this client ─────────────► 404
//! ```
//!
//! What it does differently from Python, and why, stands at the head of each file here; the most visible: links do not lead
//! out of the directory ([`Links`]), `Range`, `If-Range`, `If-None-Match`, `If-Match` and `If-Unmodified-Since` are
//! understood, text is said to be UTF-8, and FIFOs and devices are not opened.

mod conditional;
mod header;
mod listing;
mod media_type;
mod range;
mod translate;
mod tree;

pub use header::{Header, InvalidHeader};
pub use tree::Links;

use crate::file_part::EndWithFile as _;
use conditional::{Outcome, Validators};
use httpling_core::{
    Head, Method, Request, RequestHandler, Response, SendError, Sent, response::FinalStatus, status,
};
use media_type::MediaType;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use range::Selection;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use translate::FilePath;
use tree::{Directory, OpenError, OpenFile, Opened, Tree};

/// Answers GET and HEAD with the files of a directory.
///
/// A clone costs a counter, and serves the same directory: give one to each connection.
///
/// ```no_run
/// use httpling::HttpServer;
/// use httpling::files::{DotFiles, FileHandler};
///
/// let files = FileHandler::new("public")?.dot_files(DotFiles::Hidden).header("Cache-Control: no-store".parse()?);
/// HttpServer::bind("localhost:8000")?.serve_forever(move |_peer| files.clone())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "SimpleHTTPRequestHandler")]
#[derive(Clone, Debug)]
pub struct FileHandler {
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    tree: Tree,
    index_pages: Vec<String>,
    listings: Listings,
    dot_files: DotFiles,
    default_content_type: String,
    headers: Vec<Header>,
}

/// What is answered for a directory without index page (spec 149 H)?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listings {
    /// A page with what is in it.
    #[default]
    Shown,
    /// 404.
    NotFound,
}

/// Are there files whose names begin with a dot (spec 115 H)?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DotFiles {
    /// They are listed and served like all others, as in Python.
    #[default]
    Served,
    /// They are not there, nor is anything in directories that are named so: no `.git`, no `.env`. `.well-known` is,
    /// because it is meant to be found (RFC 8615).
    Hidden,
}

impl FileHandler {
    /// Serves `directory`, with Python's settings but for links, which do not lead out of it.
    ///
    /// # Errors
    /// Why `directory` cannot be opened, or that it is none (spec 6 H).
    #[doc(alias = "directory")]
    pub fn new(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        if !std::fs::metadata(&directory)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let settings = Settings {
            tree: Tree { directory, links: Links::default() },
            index_pages: ["index.html", "index.htm"].map(String::from).into(),
            listings: Listings::default(),
            dot_files: DotFiles::default(),
            default_content_type: "application/octet-stream".into(),
            headers: Vec::new(),
        };
        Ok(Self { settings: Arc::new(settings) })
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// What is sent for a directory, the first of these that is a file in it (spec 119). By default `index.html` and
    /// `index.htm`.
    #[must_use]
    pub fn index_pages<Name: Into<String>>(self, names: impl IntoIterator<Item = Name>) -> Self {
        self.with(|settings| settings.index_pages = names.into_iter().map(Into::into).collect())
    }

    /// Lists directories, or not.
    #[doc(alias = "list_directory")]
    #[must_use]
    pub fn listings(self, listings: Listings) -> Self {
        self.with(|settings| settings.listings = listings)
    }

    /// Follows links out of the directory, or not.
    #[must_use]
    pub fn links(self, links: Links) -> Self {
        self.with(|settings| settings.tree.links = links)
    }

    /// Hides names that begin with a dot, or not.
    #[must_use]
    pub fn dot_files(self, dot_files: DotFiles) -> Self {
        self.with(|settings| settings.dot_files = dot_files)
    }

    /// The media type of files whose names tell none (spec 13, 136). By default `application/octet-stream`.
    ///
    /// # Errors
    /// [`InvalidHeader::Value`] for what cannot stand in a field.
    #[doc(alias = "extensions_map")]
    #[doc(alias = "guess_type")]
    pub fn default_content_type(self, value: &str) -> Result<Self, InvalidHeader> {
        if value.trim_ascii().is_empty() || !header::is_value(value) {
            return Err(InvalidHeader::Value);
        }
        Ok(self.with(|settings| settings.default_content_type = value.trim_ascii().into()))
    }

    /// Adds a field to answers with a file, a part of one, or a listing (spec 12), after those that are there. A 304 has
    /// those of them that RFC 9110 §15.4.5 demands.
    #[must_use]
    pub fn header(self, header: Header) -> Self {
        self.with(|settings| settings.headers.push(header))
    }
}

impl RequestHandler for FileHandler {
    #[doc(alias = "send_head")]
    fn do_get(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        self.settings.answer(&request, response)
    }
}

impl Settings {
    fn answer(&self, request: &Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
        let Some(path) = FilePath::parse(request.path()) else { return not_found(response) };
        if self.dot_files == DotFiles::Hidden && path.is_hidden() {
            return not_found(response);
        }
        match self.tree.open(&path) {
            Ok(Opened::File(_)) if path.ends_in_slash => not_found(response),
            Ok(Opened::File(file)) => self.send_file(file, &path, request, response),
            Ok(Opened::Directory(_)) if !path.ends_in_slash => redirect(request, response),
            Ok(Opened::Directory(directory)) => self.send_directory(directory, &path, request, response),
            Err(error) => answer_error(error, FILE_NOT_FOUND, response),
        }
    }

    /// The index page, or the listing (spec 119, 120).
    fn send_directory(
        &self,
        directory: Directory,
        path: &FilePath,
        request: &Request<'_>,
        response: Response<'_>,
    ) -> Result<Sent, SendError> {
        for name in &self.index_pages {
            let page = path.join(name.as_bytes());
            match self.tree.open(&page) {
                Ok(Opened::File(file)) => return self.send_file(file, &page, request, response),
                // A directory, a FIFO, a broken link: passed over.
                Ok(Opened::Directory(_)) | Err(OpenError::Missing) => {}
                // There is a page, so what it was to hide is not listed in its place.
                Err(error) => return answer_error(error, FILE_NOT_FOUND, response),
            }
        }
        if self.listings == Listings::NotFound {
            return answer_error(OpenError::Refused, NO_LISTING, response);
        }
        let mut entries = match self.tree.entries(directory, path) {
            Ok(entries) => entries,
            Err(error) => return answer_error(error, NO_LISTING, response),
        };
        if self.dot_files == DotFiles::Hidden {
            entries.retain(|entry| !translate::is_hidden(&entry.name));
        }
        let head = response
            .send_response(status::OK)
            .send_header("Content-type", listing::MEDIA_TYPE)
            // Names of files are other people's text (92 H).
            .send_header("X-Content-Type-Options", "nosniff");
        listing::send(entries, one_slash(request.path()), self.with_headers(head, |_| true))
    }

    /// A file, a part of it, or what its preconditions lead to (spec 124–131).
    fn send_file(
        &self,
        opened: OpenFile,
        path: &FilePath,
        request: &Request<'_>,
        response: Response<'_>,
    ) -> Result<Sent, SendError> {
        let validators = Validators::new(&opened.metadata, SystemTime::now());
        let fields = request.headers();
        match validators.evaluate(fields) {
            Outcome::Failed => return response.send_error(status::PRECONDITION_FAILED),
            Outcome::NotModified => {
                let head =
                    response.send_response(status::NOT_MODIFIED).send_header("ETag", validators.etag());
                return self.with_headers(head, Header::is_for_not_modified).end();
            }
            Outcome::Proceed => {}
        }
        let length = opened.metadata.len();
        let is_head = request.method() == Method::Head;
        // "A server MUST ignore a Range header field received with a request method that is unrecognized or for which
        // range handling is not defined": HEAD is one (RFC 9110 §14.2).
        let selection = if !is_head && validators.allow_range(fields) {
            Selection::parse(fields, length)
        } else {
            Selection::Whole
        };
        let (head, range) = match selection {
            Selection::Whole => (self.file_head(status::OK, &validators, path, response), 0..length),
            Selection::Part(range) => {
                let value = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
                let head = self.file_head(status::PARTIAL_CONTENT, &validators, path, response);
                (head.send_header("Content-Range", value), range)
            }
            Selection::Unsatisfiable => {
                let status = status::RANGE_NOT_SATISFIABLE;
                let value = format!("bytes */{length}");
                let fields = [("Content-Range", value.as_str())];
                return response.send_error_with_fields(
                    status,
                    status.reason(),
                    status.explanation(),
                    &fields,
                );
            }
        };
        if is_head {
            return head.content_length(length).end_headers()?.finish();
        }
        head.end_with_file(opened.file, range)
    }

    fn file_head<'a, S: FinalStatus>(
        &self,
        status: S,
        validators: &Validators,
        path: &FilePath,
        response: Response<'a>,
    ) -> Head<'a, S::Content> {
        let media_type = media_type::guess(path.file_name());
        let content_type = media_type.map_or(self.default_content_type.as_str(), |guessed| guessed.value);
        let mut head = response.send_response(status).send_header("Content-type", content_type);
        if let Some(MediaType { coding: Some(coding), .. }) = media_type {
            head = head.send_header("Content-Encoding", coding);
        }
        if let Some(date) = validators.last_modified() {
            head = head.send_header("Last-Modified", date);
        }
        head = head.send_header("ETag", validators.etag()).send_header("Accept-Ranges", "bytes");
        self.with_headers(head, |_| true)
    }

    fn with_headers<'a, State>(&self, head: Head<'a, State>, which: fn(&Header) -> bool) -> Head<'a, State> {
        let wanted = self.headers.iter().filter(|header| which(header));
        wanted.fold(head, |head, header| head.send_header(header.name(), header.value()))
    }
}

const FILE_NOT_FOUND: &str = "File not found";
const NO_LISTING: &str = "No permission to list directory";

fn not_found(response: Response<'_>) -> Result<Sent, SendError> {
    answer_error(OpenError::Missing, FILE_NOT_FOUND, response)
}

/// `message` is for the client that may not know more.
fn answer_error(error: OpenError, message: &'static str, response: Response<'_>) -> Result<Sent, SendError> {
    match error {
        OpenError::Missing | OpenError::Refused => {
            response.send_error_with(status::NOT_FOUND, message, status::NOT_FOUND.explanation())
        }
        OpenError::Busy => {
            let status = status::SERVICE_UNAVAILABLE;
            let fields = [("Retry-After", "1")];
            response.send_error_with_fields(status, "Too many open files", status.explanation(), &fields)
        }
        OpenError::Failed => response.send_error(status::INTERNAL_SERVER_ERROR),
    }
}

/// What may not stand in a `Location`, or is read by browsers as something else: `/\host/` as `//host/`, another host
/// (118 H). Of these, a request-target has those that its configuration tolerates.
const NOT_IN_LOCATION: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Sends the client to the directory's name with a slash, without which the links of its page lead elsewhere (spec 116,
/// 117).
fn redirect(request: &Request<'_>, response: Response<'_>) -> Result<Sent, SendError> {
    let path = one_slash(request.path());
    let mut location: String = percent_encode(path, NOT_IN_LOCATION).collect();
    location.push('/');
    if let Some(query) = request.query() {
        location.push('?');
        location.extend(percent_encode(query, NOT_IN_LOCATION));
    }
    response.send_response(status::MOVED_PERMANENTLY).send_header("Location", location).end()
}

/// The path with one slash in front, however many were sent: `//host/` would be another host (spec 48, 117).
fn one_slash(path: &[u8]) -> &[u8] {
    let slashes = path.iter().take_while(|&&octet| octet == b'/').count();
    path.get(slashes.saturating_sub(1)..).unwrap_or_default()
}
