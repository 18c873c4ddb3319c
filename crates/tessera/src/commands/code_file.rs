use std::fmt::Arguments;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use crate::output::{Failure, unreadable};

/// A file of codes, a line each. Whoever reads it may use them: it is made for its owner only.
pub struct CodeFile(BufWriter<File>);

impl CodeFile {
    /// With its header. A file that is there is written anew: the same key gives the same codes.
    pub fn create(path: &Path, header: &str) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        let mut file = Self(BufWriter::new(file));
        file.line(format_args!("{header}"))?;
        Ok(file)
    }

    pub fn line(&mut self, line: Arguments<'_>) -> io::Result<()> {
        writeln!(self.0, "{line}")
    }

    /// Puts every line on the disk.
    pub fn finish(self) -> io::Result<()> {
        self.0.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// A file of codes that are taken in, a line at a time: however long one is, no more of it is held than a code may have.
pub struct CodeLines<'p> {
    path: &'p Path,
    reader: BufReader<File>,
    /// The longest line, in bytes, its end not counted.
    most: usize,
    /// Lines and bytes read so far.
    pub number: u64,
    pub read: u64,
}

impl<'p> CodeLines<'p> {
    pub fn open(path: &'p Path, most: usize) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        Ok(Self { path, reader: BufReader::new(file), most, number: 0, read: 0 })
    }

    /// The next line without its end; nothing inside where it is longer than a line may be.
    pub fn next(&mut self) -> Result<Option<Option<Vec<u8>>>, Failure> {
        self.next_line().map_err(|error| unreadable(self.path, &error))
    }

    fn next_line(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let mut line = Vec::new();
        // Its end may be two bytes.
        let most = self.most + 2;
        let mut length = self.reader.by_ref().take(most as u64).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(None);
        }
        if length == most && line.last() != Some(&b'\n') {
            length += self.reader.skip_until(b'\n')?;
        }
        (self.number, self.read) = (self.number + 1, self.read + length as u64);
        line.truncate(line.trim_ascii_end().len());
        Ok(Some(Some(line).filter(|line| line.len() <= self.most && length <= most)))
    }
}
