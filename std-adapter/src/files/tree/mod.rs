//! The served directory, and what can be opened in it (spec 114, 121–123).
//!
//! Files are asked for by people who do not own them, so opening one is where a file server can go wrong. The rules:
//!
//! - **By default nothing outside of the directory is opened**, whatever links there are (114 H). The kernel sees to it
//!   (`openat2`, which resolves names without links, or beneath a directory); where there is no such call, links are resolved
//!   first, and then the way is gone again name by name without following any. Neither can be outrun by somebody who changes
//!   links meanwhile.
//! - **Regular files and directories only, and opening never waits**: no FIFO, no device (123 H).
//! - **What cannot be opened now may exist all the same**: without a free descriptor the answer is 503, never 404.
//!
//! The directory itself is looked up for each request, so a site that is replaced as a whole (a link that is turned to the
//! next release, a build that removes its output first) is served as it is now.

#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
use portable as system;
#[cfg(unix)]
use unix as system;

use crate::files::translate::FilePath;
use std::fs::{File, Metadata};
use std::path::PathBuf;
pub(super) use system::Directory;

/// Which symbolic links are followed?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Those that stay in the served directory. What they name elsewhere does not exist (114 H).
    #[default]
    StayInside,
    /// All, as Python does: for directories in which only trusted people make links.
    FollowAnywhere,
}

/// A directory that is served.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) directory: PathBuf,
    pub(super) links: Links,
}

/// Something that was opened.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // What a system says of a file is long on some; it is moved once.
pub(super) enum Opened {
    File(OpenFile),
    Directory(Directory),
}

/// A regular file, and what its descriptor says about it.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) metadata: Metadata,
}

/// Why something was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// There is nothing that could be served. The next index page may be there: look for it.
    Missing,
    /// There is something, but not for this client: 404 (spec 121).
    Refused,
    /// No descriptor, or no memory, is left for it: 503, come again.
    Busy,
    /// The disk failed: 500.
    Failed,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
}

/// What a listing shows of an entry (spec 141).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file, or anything else.
    File,
    Directory,
    /// A symbolic link to a file, to nothing, or to something that is not served.
    Link,
    LinkToDirectory,
}

impl Tree {
    /// Opens a file or a directory.
    pub(super) fn open(&self, path: &FilePath) -> Result<Opened, OpenError> {
        system::open(self, path).map_err(|error| system::classify(&error))
    }

    /// All that is in `directory`, which was opened under `path`, in the order in which the system tells.
    pub(super) fn entries(&self, directory: Directory, path: &FilePath) -> Result<Vec<Entry>, OpenError> {
        system::entries(self, directory, path).map_err(|error| system::classify(&error))
    }
}
