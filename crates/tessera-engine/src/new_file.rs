//! A file that is there whole or not at all: written under another name, flushed, then given its own.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file being written. Unless it is [`finish`](Self::finish)ed, it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct NewFile {
    to: PathBuf,
    part: PathBuf,
    finished: bool,
}

impl NewFile {
    /// Makes the file it is written to, `<name>.part`, for its owner only. A file that is there is never written over.
    pub fn create(to: &Path) -> io::Result<(Self, File)> {
        if to.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut part = OsString::from(to);
        part.push(".part");
        let part = PathBuf::from(part);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&part)?;
        // Whoever else writes the same file holds it; one that was left behind is free.
        file.try_lock().map_err(|_| io::Error::new(io::ErrorKind::ResourceBusy, "another process is writing it"))?;
        file.set_len(0)?;
        Ok((Self { to: to.to_owned(), part, finished: false }, file))
    }

    /// Where it is written until it is finished.
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Gives the file its name. What was written must be flushed; afterwards the name is too.
    pub fn finish(mut self) -> io::Result<()> {
        if self.to.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(&self.part, &self.to)?;
        self.finished = true;
        flush_folder_of(&self.to)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished {
            // A part that cannot be removed is written over the next time.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

/// A new name is only safe once its folder is on the disk.
fn flush_folder_of(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("all.gz");
        let names = || -> Vec<_> {
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        };
        let (unfinished, mut file) = NewFile::create(&to).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(NewFile::create(&to).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        drop((unfinished, file));
        assert!(names().is_empty(), "{:?}", names());
        let (new, mut file) = NewFile::create(&to).unwrap();
        file.write_all(b"whole").unwrap();
        drop(file);
        new.finish().unwrap();
        assert_eq!(names(), ["all.gz"]);
        assert_eq!(NewFile::create(&to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&to).unwrap(), b"whole");
    }
}
