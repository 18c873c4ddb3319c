//! Out: every row of one moment, beside whoever goes on writing.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use serde::Serialize;
use tessera_store::{Reader, StoreError, Table};

use super::{FORMAT, Footer, Header, KIND, MoveError, in_order, line, schema, table_header};
use crate::executor::Context;
use crate::new_file::NewFile;
use crate::secret::hex;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    pub file: PathBuf,
    pub bytes: u64,
    pub rows: u64,
    /// Tells which master key it belongs to.
    pub master_key: String,
}

/// The file being written, and the sum of what went into it.
struct Lines<W: Write> {
    out: GzEncoder<W>,
    sum: blake3::Hasher,
    line: Vec<u8>,
}

impl<W: Write> Lines<W> {
    /// Writes the line that was made, and begins the next.
    fn put(&mut self) -> std::io::Result<()> {
        self.sum.update(&self.line);
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}

/// Writes the whole installation to the new file `to`. `progress` is told rows done and in all.
pub fn export_all(context: &Context, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Exported, MoveError> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => MoveError::Exists(to.to_owned()),
        _ => MoveError::File { file: to.to_owned(), source },
    };
    let (new, file) = NewFile::create(to).map_err(failed)?;
    let out = BufWriter::with_capacity(256 * 1024, &file);
    let mut lines = Lines {
        // No name and no time: the same rows make the same file.
        out: GzBuilder::new().mtime(0).write(out, Compression::fast()),
        sum: context.secrets.export_hasher(),
        line: Vec::new(),
    };
    let mut unwritten = None;
    let rows = context.database.read(|reader| {
        let header = header(context, reader)?;
        let mut done = 0;
        let mut put = |lines: &mut Lines<_>| {
            lines.put().map_err(|error| {
                unwritten = Some(error);
                StoreError::Unavailable("the file cannot be written".to_owned())
            })
        };
        lines.line = json_line(&header);
        put(&mut lines)?;
        for table in in_order() {
            reader.query_each(&rows_of(table), &[], &mut |row| {
                line::write(&row, &mut lines.line);
                put(&mut lines)?;
                done += 1;
                progress(done, header.rows);
                Ok(())
            })?;
        }
        Ok(done)
    });
    if let Some(error) = unwritten {
        return Err(failed(error));
    }
    let rows = rows?;
    let sum = hex(lines.sum.finalize().as_bytes());
    let finish = |mut lines: Lines<BufWriter<&std::fs::File>>| {
        lines.out.write_all(&json_line(&Footer { rows, sum }))?;
        lines.out.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
    };
    finish(lines).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    new.finish().map_err(failed)?;
    Ok(Exported { file: to.to_owned(), bytes, rows, master_key: context.secrets.fingerprint() })
}

fn json_line(value: &impl Serialize) -> Vec<u8> {
    // Texts and numbers only: this cannot fail.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

fn header(context: &Context, reader: &mut Reader<'_>) -> Result<Header, StoreError> {
    let mut tables = Vec::new();
    for table in in_order() {
        let count = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {}", table.name);
        let rows = reader.query(&count, &[])?.first().map_or(Ok(0), |row| row[0].int())?;
        tables.push(table_header(table, u64::try_from(rows).unwrap_or(0)));
    }
    Ok(Header {
        tessera: KIND.to_owned(),
        format: FORMAT,
        schema: schema().to_owned(),
        master_key: context.secrets.fingerprint(),
        rows: tables.iter().map(|table| table.rows).sum(),
        tables,
    })
}

/// All rows of a table in the order of its key, which is the same on both databases.
fn rows_of(table: &Table) -> String {
    let names =
        |columns: &[tessera_store::Column]| columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
    format!("SELECT {} FROM {} ORDER BY {}", names(table.columns), table.name, names(table.key_columns()))
}
