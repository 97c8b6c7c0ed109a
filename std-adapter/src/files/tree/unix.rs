//! Opening below a directory, on Unix.

use super::{Entry, Kind, Links, OpenError, OpenFile, Opened, Tree};
use crate::files::translate::FilePath;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// An open directory. It may be one that we may go through but not read.
#[derive(Debug)]
pub(in crate::files) struct Directory(OwnedFd);

/// `NONBLOCK`: opening a FIFO waits for its other end, and a device for whatever it likes.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// To go through a directory. Linux asks for no right to read it then.
#[cfg(target_os = "linux")]
const THROUGH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const THROUGH: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

pub(super) fn open(tree: &Tree, path: &FilePath) -> io::Result<Opened> {
    let file = match open_descriptor(tree, path.as_bytes(), READ) {
        // A directory can be good to go through and yet not to read: its index page may be readable.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return open_descriptor(tree, path.as_bytes(), THROUGH)
                .map(|descriptor| Opened::Directory(Directory(descriptor)))
                .map_err(|_| error);
        }
        result => File::from(result?),
    };
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        Ok(Opened::Directory(Directory(file.into())))
    } else if metadata.is_file() {
        Ok(Opened::File(OpenFile { file, metadata }))
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn open_descriptor(tree: &Tree, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    match tree.links {
        Links::FollowAnywhere => {
            let path = tree.directory.join(OsStr::from_bytes(path));
            Ok(retry_on_intr(|| openat(CWD, &path, flags, Mode::empty()))?)
        }
        Links::StayInside => {
            match kernel::open_without_links(&tree.directory.join(OsStr::from_bytes(path)), flags) {
                // There is a link on the way, perhaps before the directory; or no such call (an old kernel, a sandbox).
                Err(Errno::LOOP | Errno::NOSYS | Errno::PERM) => {}
                result => return Ok(result?),
            }
            let root = retry_on_intr(|| openat(CWD, &tree.directory, THROUGH, Mode::empty()))?;
            match kernel::open_beneath(&root, path, flags) {
                // Besides: a link that is absolute, or leaves the directory on its way back into it; or a directory that
                // was moved meanwhile. The long way finds out.
                Err(Errno::XDEV | Errno::AGAIN | Errno::NOSYS | Errno::PERM) => {
                    open_resolved(root, &tree.directory, path, flags)
                }
                result => Ok(result?),
            }
        }
    }
}

/// What the kernel can see to, where it can.
#[cfg(target_os = "linux")]
mod kernel {
    use super::{AsFd, CWD, Mode, OFlags, OwnedFd, Path, retry_on_intr};
    use rustix::fs::{ResolveFlags, openat2};

    /// Where nothing on the way is a link, nothing leads out: there is no `..` in the names that clients send. Nearly
    /// all requests are of that kind, and this costs them one call.
    pub(super) fn open_without_links(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        retry_on_intr(|| openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS))
    }

    /// Follows links as long as they stay below `root`, step by step.
    pub(super) fn open_beneath(root: impl AsFd, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
        retry_on_intr(|| openat2(&root, path, flags, Mode::empty(), resolve))
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::{AsFd, Errno, OFlags, OwnedFd, Path};

    pub(super) fn open_without_links(_: &Path, _: OFlags) -> rustix::io::Result<OwnedFd> {
        Err(Errno::NOSYS)
    }

    pub(super) fn open_beneath(_: impl AsFd, _: &[u8], _: OFlags) -> rustix::io::Result<OwnedFd> {
        Err(Errno::NOSYS)
    }
}

/// Resolves all links, and then opens what is there now without following any: a link that is put in between leads
/// nowhere.
fn open_resolved(root: OwnedFd, directory: &Path, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let resolved = fs::canonicalize(directory.join(OsStr::from_bytes(path)))?;
    let inside = resolved.strip_prefix(fs::canonicalize(directory)?).map_err(|_| Errno::XDEV)?;
    let open = |at: &OwnedFd, name: &Path, flags: OFlags| {
        retry_on_intr(|| openat(at, name, flags | OFlags::NOFOLLOW, Mode::empty()))
    };
    let (Some(parent), Some(name)) = (inside.parent(), inside.file_name()) else {
        return Ok(open(&root, Path::new("."), flags)?);
    };
    let parent = parent.iter().try_fold(root, |at, name| open(&at, name.as_ref(), THROUGH))?;
    Ok(open(&parent, name.as_ref(), flags)?)
}

pub(super) fn entries(tree: &Tree, directory: Directory, path: &FilePath) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut reader = Dir::new(directory.0)?;
    while let Some(entry) = reader.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        // Nearly all file systems tell the type with the name; then only links cost a call more.
        let file_type = match entry.file_type() {
            FileType::Unknown => statat(reader.fd()?, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
            known => known,
        };
        let kind = match file_type {
            FileType::Directory => Kind::Directory,
            FileType::Symlink if open_descriptor(tree, path.join(name).as_bytes(), THROUGH).is_ok() => {
                Kind::LinkToDirectory
            }
            FileType::Symlink => Kind::Link,
            _ => Kind::File,
        };
        entries.push(Entry { name: name.to_vec(), kind });
    }
    Ok(entries)
}

pub(super) fn classify(error: &io::Error) -> OpenError {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => OpenError::Busy,
        Some(Errno::IO) => OpenError::Failed,
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::NXIO) => {
            OpenError::Missing
        }
        // Not a regular file.
        None => OpenError::Missing,
        Some(_) => OpenError::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Both ways of staying inside, over the same links.
    #[test]
    fn the_long_way_opens_what_the_kernel_does_and_absolute_links_inside() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("sub/deep")).expect("directories");
        fs::write(root.join("a"), "inside").expect("a file");
        fs::write(root.join("sub/deep/b"), "inside").expect("a file");
        fs::write(directory.path().join("secret"), "outside").expect("a file");
        let link = |to: &Path, name: &str| symlink(to, root.join(name)).expect("a link");
        link(Path::new("a"), "in");
        link(Path::new("../a"), "sub/up");
        link(Path::new("deep"), "sub/in");
        link(Path::new("../secret"), "out");
        link(Path::new("../root/a"), "out_and_in");
        link(&directory.path().join("secret"), "absolute_out");
        link(&root.join("a"), "absolute_in");
        link(Path::new("nowhere"), "broken");
        link(Path::new("loop"), "loop");
        link(Path::new(".."), "parent");
        for (path, kernel, long_way) in [
            ("a", true, true),
            ("in", true, true),
            ("sub/up", true, true),
            ("sub/in/b", true, true),
            (".", true, true),
            ("sub", true, true),
            ("absolute_in", false, true),
            ("out_and_in", false, true),
            ("out", false, false),
            ("absolute_out", false, false),
            ("parent", false, false),
            ("parent/secret", false, false),
            ("broken", false, false),
            ("loop", false, false),
            ("missing", false, false),
            ("a/b", false, false),
        ] {
            let at = || openat(CWD, &root, THROUGH, Mode::empty()).expect("the root");
            let opened = kernel::open_beneath(at(), path.as_bytes(), READ);
            if opened.as_ref().err() != Some(&Errno::NOSYS) {
                assert_eq!(opened.is_ok(), kernel, "{path}");
            }
            let opened = open_resolved(at(), &root, path.as_bytes(), READ);
            assert_eq!(opened.is_ok(), long_way, "{path}");
        }
    }

    #[test]
    fn what_errors_mean() {
        for (error, expected) in [
            (Errno::NOENT, OpenError::Missing),
            (Errno::NOTDIR, OpenError::Missing),
            (Errno::NAMETOOLONG, OpenError::Missing),
            (Errno::ACCESS, OpenError::Refused),
            (Errno::XDEV, OpenError::Refused),
            (Errno::MFILE, OpenError::Busy),
            (Errno::NFILE, OpenError::Busy),
            (Errno::IO, OpenError::Failed),
        ] {
            assert_eq!(classify(&error.into()), expected, "{error}");
        }
        assert_eq!(classify(&io::ErrorKind::NotFound.into()), OpenError::Missing);
    }
}
