//! Opening below a directory, where there is nothing but the standard library.
//!
//! Links are resolved and looked at before the file is opened. Somebody who may change links in the tree while it is
//! served can outrun that; on Unix, where that is common, it is done otherwise.

use super::{Entry, Kind, Links, OpenError, OpenFile, Opened, Tree};
use crate::files::translate::FilePath;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

/// A directory that was there.
#[derive(Debug)]
pub(in crate::files) struct Directory(PathBuf);

pub(super) fn open(tree: &Tree, path: &FilePath) -> io::Result<Opened> {
    let path = resolve(tree, path)?;
    let metadata = fs::metadata(&path)?;
    if metadata.is_dir() {
        return Ok(Opened::Directory(Directory(path)));
    }
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok(Opened::File(OpenFile { file, metadata }))
}

fn resolve(tree: &Tree, path: &FilePath) -> io::Result<PathBuf> {
    let name = str::from_utf8(path.as_bytes()).map_err(|_| io::ErrorKind::NotFound)?;
    let path = tree.directory.join(name);
    if tree.links == Links::FollowAnywhere {
        return Ok(path);
    }
    let path = fs::canonicalize(path)?;
    if path.starts_with(fs::canonicalize(&tree.directory)?) {
        Ok(path)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

pub(super) fn entries(tree: &Tree, directory: Directory, path: &FilePath) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory.0)? {
        let entry = entry?;
        // A name that no link could name is not shown.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = name.into_bytes();
        let file_type = entry.file_type()?;
        let kind = if file_type.is_dir() {
            Kind::Directory
        } else if !file_type.is_symlink() {
            Kind::File
        } else if resolve(tree, &path.join(&name)).is_ok_and(|path| path.is_dir()) {
            Kind::LinkToDirectory
        } else {
            Kind::Link
        };
        entries.push(Entry { name, kind });
    }
    Ok(entries)
}

pub(super) fn classify(error: &io::Error) -> OpenError {
    // The names are those of Windows.
    const ERROR_TOO_MANY_OPEN_FILES: i32 = 4;
    const ERROR_CRC: i32 = 23;
    const ERROR_IO_DEVICE: i32 = 1117;
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::OutOfMemory, _) | (_, Some(ERROR_TOO_MANY_OPEN_FILES)) => OpenError::Busy,
        (_, Some(ERROR_CRC | ERROR_IO_DEVICE)) => OpenError::Failed,
        (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename, _) => {
            OpenError::Missing
        }
        _ => OpenError::Refused,
    }
}
