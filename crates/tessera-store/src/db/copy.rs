//! A copy of a SQLite database that others are writing to.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::db::sqlite::{SqliteConnection, describe};
use crate::error::StoreError;

/// Pages copied between two reports of progress: 1 MiB.
const STEP: i32 = 256;
/// How long to wait for a file that is locked for a moment.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// How often to wait for it: ten seconds in all.
const BUSY_MAX: u32 = 500;

pub(crate) fn copy(
    from: &mut SqliteConnection,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    // A read that stays open holds one state. Without it every commit of another process would start the copy anew, and
    // beside a busy server it would never end.
    from.run("BEGIN")?;
    from.query("SELECT COUNT(*) FROM sqlite_schema", &[])?;
    let copied = copy_held(from, to, progress);
    from.rollback()?;
    copied?;
    std::fs::File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(|error| StoreError::Unavailable(format!("the copy cannot be flushed: {error}")))
}

fn copy_held(from: &mut SqliteConnection, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
    let refused = |error: rusqlite::Error| describe(&error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags).map_err(refused)?;
    // It is flushed once at the end, and thrown away if anything fails before.
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(refused)?;
    let backup = Backup::new(from.raw(), &mut target).map_err(refused)?;
    let mut waited = 0;
    loop {
        let step = backup.step(STEP).map_err(refused)?;
        let pages = backup.progress();
        let total = u64::try_from(pages.pagecount).unwrap_or(0);
        progress(total.saturating_sub(u64::try_from(pages.remaining).unwrap_or(0)), total);
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => waited = 0,
            _ if waited < BUSY_MAX => {
                waited += 1;
                std::thread::sleep(BUSY_PAUSE);
            }
            _ => return Err(StoreError::Busy { what: "another process is using the database file" }),
        }
    }
}
