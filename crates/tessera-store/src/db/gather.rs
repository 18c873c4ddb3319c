//! The pages of a commit go to SQLite's write-ahead log in one write.
//!
//! SQLite hands the log's file each page and each page's header by itself (`walFrames`), a call of the system for every one.
//! On a virtual machine these calls were two thirds of a commit. Between [`while_committing`] and its end they are put
//! together here, and written before anybody can look for them: SQLite tells other connections of a commit in the
//! wal-index, after the page whose header says that the commit ends with it (the database's size in its second word,
//! <https://www.sqlite.org/fileformat2.html#walformat>). So with that header all that is held is written, and what comes
//! after it goes straight through.
//!
//! Nothing outlives the COMMIT: what one that failed leaves is thrown away, never written later. Pages that SQLite writes
//! before the COMMIT, because a transaction outgrows its cache, are not held.

// SQLite asks for its file by pointers to functions; there is no other way to stand between.
#![expect(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::{Connection, ffi};

/// SQLite's own file takes no more in one call (`seekAndWriteFd`), and loses what is above.
const MOST: usize = 0x1ffff;

/// Page number, size of the database after a commit, salt and checksum.
const FRAME_HEADER: usize = 24;

thread_local! {
    static HELD: RefCell<Held> = RefCell::default();
}

/// Bytes that follow each other in one file, and are not written yet.
#[derive(Default)]
struct Held {
    gathers: bool,
    /// The commit's last page was announced.
    ends: bool,
    file: usize,
    start: i64,
    bytes: Vec<u8>,
}

impl Held {
    fn write(&mut self, file: usize, bytes: &[u8], at: i64, put: &mut dyn FnMut(&[u8], i64) -> c_int) -> c_int {
        let is_another = !self.bytes.is_empty() && self.file != file;
        if !self.gathers || is_another || bytes.len() > MOST {
            let written = self.let_go(file, put);
            return if written == ffi::SQLITE_OK { put(bytes, at) } else { written };
        }
        if at != self.end() || self.bytes.len() + bytes.len() > MOST {
            let written = self.let_go(file, put);
            if written != ffi::SQLITE_OK {
                return written;
            }
        }
        if self.bytes.is_empty() {
            (self.file, self.start) = (file, at);
        }
        self.bytes.extend_from_slice(bytes);
        if bytes.len() == FRAME_HEADER {
            self.ends = bytes[4..8] != [0; 4];
        }
        if self.ends { self.let_go(file, put) } else { ffi::SQLITE_OK }
    }

    /// Writes what is held of a file. What could not be written is gone: SQLite learns of it, and gives the commit up.
    fn let_go(&mut self, file: usize, put: &mut dyn FnMut(&[u8], i64) -> c_int) -> c_int {
        if self.bytes.is_empty() || self.file != file {
            return ffi::SQLITE_OK;
        }
        let written = put(&self.bytes, self.start);
        self.bytes.clear();
        written
    }

    fn end(&self) -> i64 {
        self.start.saturating_add(i64::try_from(self.bytes.len()).unwrap_or(i64::MAX))
    }
}

/// Runs a COMMIT on this thread, with the pages of a prepared connection put together.
pub(crate) fn while_committing<T>(commit: impl FnOnce() -> T) -> T {
    struct Ends;
    impl Drop for Ends {
        fn drop(&mut self) {
            HELD.with_borrow_mut(|held| {
                (held.gathers, held.ends) = (false, false);
                held.bytes.clear();
            });
        }
    }
    HELD.with_borrow_mut(|held| held.gathers = true);
    let _ends = Ends;
    commit()
}

/// The file methods of SQLite's own, and the same with ours in place of those that see the bytes of a file.
struct Methods {
    own: ffi::sqlite3_io_methods,
    ours: ffi::sqlite3_io_methods,
    /// Where SQLite keeps its own.
    place: usize,
}

static METHODS: OnceLock<Methods> = OnceLock::new();

/// Stands between a connection and its log. The log must be open: something was read of a database in WAL mode.
///
/// Where the log's file is of another kind than the first one seen, it is left as it is: each page by itself.
pub(crate) fn prepare(connection: &Connection) {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the connection is open and only ours. SQLite writes the address of its log's file, which lives as long as the
    // log is open, and whose methods it only reads.
    unsafe {
        let asked = ffi::SQLITE_FCNTL_JOURNAL_POINTER;
        let told = ffi::sqlite3_file_control(connection.handle(), c"main".as_ptr(), asked, (&raw mut file).cast());
        if told != ffi::SQLITE_OK || file.is_null() || (*file).pMethods.is_null() {
            return;
        }
        let place = (*file).pMethods;
        let methods = METHODS.get_or_init(|| {
            let own = *place;
            let ours = ffi::sqlite3_io_methods {
                xWrite: Some(write),
                xRead: Some(read),
                xTruncate: Some(truncate),
                xSync: Some(sync),
                xFileSize: Some(file_size),
                ..own
            };
            Methods { own, ours, place: place.addr() }
        });
        let own = &methods.own;
        let is_whole = own.xWrite.is_some()
            && own.xRead.is_some()
            && own.xTruncate.is_some()
            && own.xSync.is_some()
            && own.xFileSize.is_some();
        if is_whole && place.addr() == methods.place {
            (*file).pMethods = &raw const methods.ours;
        }
    }
}

type File = *mut ffi::sqlite3_file;

/// Calls a method of SQLite's own, which is there: only files that have all of them get ours.
macro_rules! own {
    ($method:ident($($argument:expr),*)) => {
        match METHODS.get().and_then(|methods| methods.own.$method) {
            // SAFETY: the arguments are those that SQLite gave for this method of this file.
            Some(method) => unsafe { method($($argument),*) },
            None => ffi::SQLITE_IOERR,
        }
    };
}

fn put(file: File, bytes: &[u8], at: i64) -> c_int {
    // At most a page or `MOST`.
    let Ok(amount) = c_int::try_from(bytes.len()) else { return ffi::SQLITE_IOERR_WRITE };
    #[cfg(test)]
    tests::WRITES.set(tests::WRITES.get() + 1);
    own!(xWrite(file, bytes.as_ptr().cast(), amount, at))
}

/// Nobody sees a file without what is held of it.
fn let_go(file: File) -> c_int {
    let written = HELD.try_with(|held| match held.try_borrow_mut() {
        Ok(mut held) => held.let_go(file.addr(), &mut |bytes, at| put(file, bytes, at)),
        Err(_) => ffi::SQLITE_IOERR_WRITE,
    });
    // A thread that is ending holds nothing.
    written.unwrap_or(ffi::SQLITE_OK)
}

unsafe extern "C" fn write(file: File, data: *const c_void, amount: c_int, at: i64) -> c_int {
    let Ok(amount) = usize::try_from(amount) else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: SQLite gives as many bytes as it says, for as long as the call takes.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), amount) };
    let written = HELD.try_with(|held| match held.try_borrow_mut() {
        Ok(mut held) => held.write(file.addr(), bytes, at, &mut |bytes, at| put(file, bytes, at)),
        Err(_) => ffi::SQLITE_IOERR_WRITE,
    });
    written.unwrap_or_else(|_| put(file, bytes, at))
}

unsafe extern "C" fn read(file: File, data: *mut c_void, amount: c_int, at: i64) -> c_int {
    match let_go(file) {
        ffi::SQLITE_OK => own!(xRead(file, data, amount, at)),
        failed => failed,
    }
}

unsafe extern "C" fn truncate(file: File, size: i64) -> c_int {
    match let_go(file) {
        ffi::SQLITE_OK => own!(xTruncate(file, size)),
        failed => failed,
    }
}

unsafe extern "C" fn sync(file: File, flags: c_int) -> c_int {
    match let_go(file) {
        ffi::SQLITE_OK => own!(xSync(file, flags)),
        failed => failed,
    }
}

unsafe extern "C" fn file_size(file: File, size: *mut i64) -> c_int {
    match let_go(file) {
        ffi::SQLITE_OK => own!(xFileSize(file, size)),
        failed => failed,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::path::Path;

    use rusqlite::ffi::{SQLITE_FULL, SQLITE_OK};
    use tempfile::TempDir;

    use super::{FRAME_HEADER, Held, MOST};
    use crate::db::sqlite::{Role, SqliteConnection};
    use crate::error::StoreError;

    thread_local! {
        /// Writes to logs that stand behind ours.
        pub(super) static WRITES: Cell<usize> = const { Cell::new(0) };
    }

    const PAGE: usize = 4096;
    const LOG: usize = 1;

    /// A file that remembers how it was written.
    #[derive(Default)]
    struct Disk {
        bytes: Vec<u8>,
        writes: Vec<(i64, usize)>,
        is_full: bool,
    }

    impl Disk {
        fn put(&mut self, bytes: &[u8], at: i64) -> i32 {
            if self.is_full {
                return SQLITE_FULL;
            }
            let start = usize::try_from(at).unwrap();
            let end = start + bytes.len();
            self.bytes.resize(self.bytes.len().max(end), 0);
            self.bytes[start..end].copy_from_slice(bytes);
            self.writes.push((at, bytes.len()));
            SQLITE_OK
        }
    }

    fn header(page: u8, database: u8) -> Vec<u8> {
        let mut header = vec![0; FRAME_HEADER];
        (header[3], header[7]) = (page, database);
        header
    }

    fn frame(held: &mut Held, disk: &mut Disk, at: &mut i64, page: u8, database: u8) -> i32 {
        for bytes in [header(page, database), vec![page; PAGE]] {
            let written = held.write(LOG, &bytes, *at, &mut |bytes, at| disk.put(bytes, at));
            if written != SQLITE_OK {
                return written;
            }
            *at += i64::try_from(bytes.len()).unwrap();
        }
        SQLITE_OK
    }

    fn commit(held: &mut Held, disk: &mut Disk, at: &mut i64, pages: u8) -> i32 {
        (1..=pages).map(|page| frame(held, disk, at, page, u8::from(page == pages))).max().unwrap()
    }

    fn gathering() -> Held {
        Held { gathers: true, ..Held::default() }
    }

    #[test]
    fn the_pages_of_a_commit_are_one_write_and_its_last_page_another() {
        let (mut gathered, mut plain) = (Disk::default(), Disk::default());
        let (mut held, mut at) = (gathering(), 32);
        assert_eq!(commit(&mut held, &mut gathered, &mut at, 5), SQLITE_OK);
        assert_eq!(gathered.writes.len(), 2);
        assert!(held.bytes.is_empty(), "whoever is told of the commit finds all of it");
        assert_eq!(commit(&mut held, &mut gathered, &mut at, 1), SQLITE_OK);
        let mut at = 32;
        for pages in [5, 1] {
            assert_eq!(commit(&mut Held::default(), &mut plain, &mut at, pages), SQLITE_OK);
        }
        assert_eq!(plain.writes.len(), 12);
        assert!(gathered.bytes == plain.bytes);
    }

    #[test]
    fn no_write_is_more_than_sqlites_file_takes() {
        let (mut held, mut disk, mut at) = (gathering(), Disk::default(), 32);
        assert_eq!(commit(&mut held, &mut disk, &mut at, 250), SQLITE_OK);
        assert!(disk.writes.iter().all(|(_, length)| *length <= MOST));
        assert!(disk.writes.len() < 12, "{}", disk.writes.len());
        assert_eq!(disk.bytes.len(), usize::try_from(at).unwrap());
    }

    #[test]
    fn what_is_written_elsewhere_comes_after_what_is_held() {
        let (mut held, mut disk, mut at) = (gathering(), Disk::default(), 32);
        assert_eq!(frame(&mut held, &mut disk, &mut at, 1, 0), SQLITE_OK);
        // A page of this transaction that was in the log already is written over there, and its checksum later.
        let written = held.write(LOG, &[9; PAGE], 56, &mut |bytes, at| disk.put(bytes, at));
        assert_eq!(written, SQLITE_OK);
        assert_eq!(held.let_go(LOG, &mut |bytes, at| disk.put(bytes, at)), SQLITE_OK);
        assert!(disk.bytes[56..] == [9; PAGE]);
        let last = header(1, 1);
        assert_eq!(held.write(LOG, &last, 32, &mut |bytes, at| disk.put(bytes, at)), SQLITE_OK);
        assert!(disk.bytes[32..56] == last, "a header that ends a commit waits for nothing");
    }

    #[test]
    fn a_disk_that_is_full_is_told_once_and_nothing_is_written_later() {
        let (mut held, mut disk, mut at) = (gathering(), Disk { is_full: true, ..Disk::default() }, 32);
        assert_eq!(commit(&mut held, &mut disk, &mut at, 3), SQLITE_FULL);
        disk.is_full = false;
        let mut at = 32;
        assert_eq!(commit(&mut held, &mut disk, &mut at, 2), SQLITE_OK);
        assert_eq!(disk.bytes.len(), 32 + 2 * (FRAME_HEADER + PAGE), "only the second commit is there");
    }

    #[test]
    fn what_a_commit_leaves_held_is_never_written() {
        let mut disk = Disk::default();
        let write = |disk: &mut Disk| {
            super::HELD.with_borrow_mut(|held| frame(held, disk, &mut 32, 1, 0));
        };
        super::while_committing(|| write(&mut disk));
        super::HELD.with_borrow_mut(|held| held.let_go(LOG, &mut |bytes, at| disk.put(bytes, at)));
        assert!(disk.writes.is_empty());
        write(&mut disk);
        assert_eq!(disk.writes.len(), 2, "outside of a commit each page goes by itself");
    }

    #[test]
    fn another_file_is_not_held_up() {
        let (mut held, mut log, mut other, mut at) = (gathering(), Disk::default(), Disk::default(), 32);
        assert_eq!(frame(&mut held, &mut log, &mut at, 1, 0), SQLITE_OK);
        assert_eq!(held.write(LOG + 1, &[7; 10], 0, &mut |bytes, at| other.put(bytes, at)), SQLITE_OK);
        assert_eq!((log.writes.len(), other.writes.len()), (0, 1));
        assert_eq!(frame(&mut held, &mut log, &mut at, 2, 2), SQLITE_OK);
        assert_eq!(log.bytes.len(), usize::try_from(at).unwrap());
    }

    /// Opened anew with what is in the files now, as after a loss of the process.
    fn rows_after_a_crash(database: &Path) -> (i64, String) {
        let folder = TempDir::new().unwrap();
        let copy = folder.path().join("copy.db");
        fs::copy(database, &copy).unwrap();
        fs::copy(database.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
        let mut connection = SqliteConnection::open(&copy, Role::Writer).unwrap();
        let raw = connection.raw();
        let rows = raw.query_row("SELECT count(*) FROM thing", [], |row| row.get(0)).unwrap();
        (rows, raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap())
    }

    fn insert(connection: &mut SqliteConnection, rows: u32) {
        connection.run("BEGIN IMMEDIATE").unwrap();
        for _ in 0..rows {
            connection.run("INSERT INTO thing VALUES (zeroblob(4000))").unwrap();
        }
    }

    fn opened() -> (TempDir, SqliteConnection) {
        let folder = TempDir::new().unwrap();
        let mut connection = SqliteConnection::open(&folder.path().join("tessera.db"), Role::Writer).unwrap();
        connection.run("CREATE TABLE thing (content BLOB)").unwrap();
        (folder, connection)
    }

    #[test]
    fn a_commit_is_few_writes_and_all_of_it_is_in_the_file_when_it_is_told() {
        let (folder, mut connection) = opened();
        let file = folder.path().join("tessera.db");
        let mut reader = SqliteConnection::open(&file, Role::Reader).unwrap();
        insert(&mut connection, 100);
        WRITES.set(0);
        connection.commit().unwrap();
        // Over a hundred pages of four KiB, each with its header: 128 KiB at most a write.
        assert!((2..=6).contains(&WRITES.get()), "{} writes", WRITES.get());
        let seen = reader.query("SELECT count(*) FROM thing", &[]).unwrap();
        assert_eq!(seen[0][0].int().unwrap(), 100);
        assert_eq!(rows_after_a_crash(&file), (100, "ok".to_owned()));
    }

    #[test]
    fn what_outgrew_the_cache_and_was_rolled_back_harms_no_later_commit() {
        let (folder, mut connection) = opened();
        let file = folder.path().join("tessera.db");
        connection.raw().execute_batch("PRAGMA cache_size = 20").unwrap();
        for round in 1..=3 {
            insert(&mut connection, 200);
            connection.rollback().unwrap();
            insert(&mut connection, 200);
            // Pages that are in the log already are written over there, and their checksums anew.
            connection.run("UPDATE thing SET content = zeroblob(3999)").unwrap();
            connection.run("UPDATE thing SET content = zeroblob(4001)").unwrap();
            connection.commit().unwrap();
            insert(&mut connection, 1);
            connection.commit().unwrap();
            assert_eq!(rows_after_a_crash(&file), (round * 201, "ok".to_owned()));
        }
    }

    #[test]
    fn a_commit_that_was_refused_leaves_nothing_behind() {
        let (folder, mut connection) = opened();
        let file = folder.path().join("tessera.db");
        connection.raw().execute_batch("PRAGMA foreign_keys = ON").unwrap();
        connection.run("CREATE TABLE part (of INTEGER REFERENCES whole DEFERRABLE INITIALLY DEFERRED)").unwrap();
        connection.run("CREATE TABLE whole (id INTEGER PRIMARY KEY)").unwrap();
        insert(&mut connection, 10);
        connection.run("INSERT INTO part VALUES (7)").unwrap();
        assert!(matches!(connection.commit(), Err(StoreError::Database(_))));
        connection.rollback().unwrap();
        insert(&mut connection, 5);
        connection.commit().unwrap();
        assert_eq!(rows_after_a_crash(&file), (5, "ok".to_owned()));
    }
}
