//! Files as commands read and write them: read up to a limit, written whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It does not open, or reading failed.
    #[error("{}: cannot read {what}: {source}", path.display())]
    Io {
        /// File.
        path: PathBuf,
        /// What was wanted of it.
        what: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// It has more than what is asked for can have.
    #[error("{}: more than {limit_bytes} B, the most that {what} has", path.display())]
    Long {
        /// File.
        path: PathBuf,
        /// What was wanted of it.
        what: &'static str,
        /// Bytes that are read at the most.
        limit_bytes: u64,
    },
    /// It is no text.
    #[error("{}: {what} is text in UTF-8, byte {at} of the file is not", path.display())]
    Text {
        /// File.
        path: PathBuf,
        /// What was wanted of it.
        what: &'static str,
        /// Position of the first byte that is none.
        at: usize,
    },
}

/// The bytes of a file, pipe or device, which may have `limit_bytes` at the most; `what` names them, as in "the stream".
///
/// No more than the limit is read, however much there is.
///
/// # Errors
/// When it does not open, cannot be read, or has more.
pub fn read(path: &Path, what: &'static str, limit_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_path_buf(), what, source };
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    let long = || ReadError::Long { path: path.to_path_buf(), what, limit_bytes };
    if metadata.is_file() && metadata.len() > limit_bytes {
        return Err(long());
    }
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type()) {
        // Opening waits for the other end, which may never come. Nothing is lost where nobody reads the note.
        let _ = writeln!(io::stderr(), "note: waiting for {what} from the pipe {}", path.display());
    }
    let mut bytes = Vec::new();
    let mut limited = File::open(path).map_err(failed)?.take(limit_bytes.saturating_add(1));
    limited.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit_bytes { Err(long()) } else { Ok(bytes) }
}

/// [`read`] of text.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub fn read_text(path: &Path, what: &'static str, limit_bytes: u64) -> Result<String, ReadError> {
    String::from_utf8(read(path, what, limit_bytes)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        ReadError::Text { path: path.to_path_buf(), what, at }
    })
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A folder is there.
    #[error("{}: expected a file name to write to, got a folder", path.display())]
    Folder {
        /// File.
        path: PathBuf,
    },
    /// The folder takes no file, or the file may not be replaced.
    #[error("{}: cannot write there: {source}\nhelp: name a file in an existing, writable folder", path.display())]
    Unwritable {
        /// File.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Writing failed half-way; what was there is untouched.
    #[error("{}: writing failed, nothing was left behind: {source}", path.display())]
    Write {
        /// File.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
}

/// A file to be: claimed before the work, there once it is complete.
///
/// Bytes go to a hidden file beside it, which takes its name at the end and is gone when this is dropped before that. A
/// link is kept, and what it leads to replaced. What is no regular file (a pipe, a terminal, `/dev/stdout`) is written
/// through.
#[derive(Debug)]
pub struct Output {
    /// As the user wrote it.
    path: PathBuf,
    to: To,
}

#[derive(Debug)]
enum To {
    /// The hidden file, and the name it will have.
    File { hidden: tempfile::NamedTempFile, target: PathBuf },
    /// What is there already.
    Object,
}

impl Output {
    /// Claims the output.
    ///
    /// # Errors
    /// When `path` is a folder or an unwritable file, or its folder does not take new files.
    pub fn create(path: &Path) -> Result<Output, WriteError> {
        let unwritable = |source| WriteError::Unwritable { path: path.to_path_buf(), source };
        let named = || path.to_path_buf();
        let target = match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(WriteError::Folder { path: named() }),
            Ok(there) if !there.is_file() || is_of_a_process(path) => {
                return Ok(Output { path: named(), to: To::Object });
            }
            Ok(_) => {
                // Replacing a file needs no right to write it; who forbade that would be surprised.
                fs::OpenOptions::new().append(true).open(path).map_err(unwritable)?;
                path.canonicalize().map_err(unwritable)?
            }
            // A link that leads nowhere yet leads to the file to be.
            Err(_) => fs::read_link(path).map_or_else(|_| named(), |to| folder(path).join(to)),
        };
        if target.file_name().is_none() {
            return Err(WriteError::Folder { path: named() });
        }
        let hidden = hidden_file(folder(&target)).map_err(unwritable)?;
        unfinished(|files| files.insert(hidden.path().to_owned()));
        Ok(Output { path: named(), to: To::File { hidden, target } })
    }

    /// The name that was asked for.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of it, and gives the file its name.
    ///
    /// # Errors
    /// When writing fails; then nothing is left, unless it was written through.
    pub fn write(
        mut self,
        write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    ) -> Result<(), WriteError> {
        let failed = |source| WriteError::Write { path: self.path.clone(), source };
        let whole = |file: &File| {
            let mut buffer = BufWriter::new(file);
            write(&mut buffer)?;
            buffer.flush()
        };
        match std::mem::replace(&mut self.to, To::Object) {
            To::File { hidden, target } => {
                let _listed = Listed(hidden.path().to_owned());
                whole(hidden.as_file()).map_err(failed)?;
                hidden.as_file().sync_all().map_err(failed)?;
                hidden.persist(target).map_err(|e| failed(e.error))?;
            }
            To::Object => {
                whole(&existing(&self.path).map_err(failed)?).map_err(failed)?;
            }
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let To::File { hidden, .. } = &self.to {
            drop(Listed(hidden.path().to_owned()));
        }
    }
}

/// Takes a hidden file off the list when it has its name, or is gone.
struct Listed(PathBuf);

impl Drop for Listed {
    fn drop(&mut self) {
        unfinished(|files| files.remove(&self.0));
    }
}

/// Writes a file whole or not at all.
///
/// # Errors
/// As [`Output::create`] and [`Output::write`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    Output::create(path)?.write(|file| file.write_all(bytes))
}

/// Whether two names stand for one file, which need not be there yet.
pub fn are_one(a: &Path, b: &Path) -> bool {
    if let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) {
        return is_one_object(&a, &b);
    }
    let place = |path: &Path| Some((folder(path).canonicalize().ok()?, path.file_name()?.to_owned()));
    place(a).is_some_and(|a| place(b) == Some(a))
}

#[cfg(unix)]
fn is_one_object(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    // Written through, devices and pipes take what both have to say.
    a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_one_object(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    false
}

/// Whether a path is one of those that name an open file of a process, as `/dev/stdout` does.
fn is_of_a_process(path: &Path) -> bool {
    ["/dev", "/proc"].iter().any(|system| path.starts_with(system))
}

/// An object that is written through.
fn existing(path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        // A file behind standard output has one place where it goes on, which a second opening would not share.
        if ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name)) {
            return io::stdout().as_fd().try_clone_to_owned().map(File::from);
        }
    }
    fs::OpenOptions::new().append(true).open(path)
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Hidden files that are not complete.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Runs `change` on the list of hidden files, which is whole whatever panicked elsewhere.
fn unfinished<T>(change: impl FnOnce(&mut BTreeSet<PathBuf>) -> T) -> T {
    change(&mut UNFINISHED.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Removes the hidden file of every output that is not complete: for a process that is about to end.
pub fn abandon_all() {
    unfinished(|files| {
        for file in std::mem::take(files) {
            // It may be complete by now and have its own name.
            let _ = fs::remove_file(file);
        }
    });
}

/// A file that others may read as the process' mask has it; the crate's own are private.
fn hidden_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".kiln-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            folder.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "old").unwrap();
        let broken = Output::create(&path).unwrap().write(|file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(broken, Err(WriteError::Write { .. })), "{broken:?}");
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(dir.path())),
            ("old", vec!["f".into()])
        );
        drop(Output::create(&path).unwrap());
        write(&path, b"new").unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(dir.path())),
            ("new", vec!["f".into()])
        );
        assert!(matches!(write(dir.path(), b""), Err(WriteError::Folder { .. })));
        assert!(matches!(write(&dir.path().join("no/f"), b""), Err(WriteError::Unwritable { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_special_files_stay_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link, loose) = (dir.path().join("f"), dir.path().join("link"), dir.path().join("loose"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("f", &link).unwrap();
        std::os::unix::fs::symlink("new", &loose).unwrap();
        write(&link, b"through the link").unwrap();
        write(&loose, b"made").unwrap();
        assert!(link.is_symlink() && loose.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "through the link");
        assert_eq!(fs::read_to_string(dir.path().join("new")).unwrap(), "made");
        write(Path::new("/dev/null"), b"x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, [b'a', 0xFF, b'b']).unwrap();
        assert_eq!(read(&path, "it", 3).unwrap(), [b'a', 0xFF, b'b']);
        assert!(matches!(read(&path, "it", 2), Err(ReadError::Long { limit_bytes: 2, .. })));
        assert!(matches!(read_text(&path, "it", 3), Err(ReadError::Text { at: 1, .. })));
        assert!(matches!(read(dir.path(), "it", 3), Err(ReadError::Io { .. })));
        #[cfg(unix)]
        assert!(matches!(read(Path::new("/dev/zero"), "it", 1000), Err(ReadError::Long { .. })));
    }

    #[test]
    fn names_of_one_file_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(are_one(&at("q"), &at("./q")) && !are_one(&at("q"), &at("p")));
        fs::write(at("q"), "").unwrap();
        fs::hard_link(at("q"), at("hard")).unwrap();
        assert!(are_one(&at("q"), &at("hard")) && !are_one(Path::new("/dev/null"), Path::new("/dev/null")));
    }
}
