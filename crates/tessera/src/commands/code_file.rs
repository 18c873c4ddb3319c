use std::fmt::Arguments;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::output::Failure;

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
