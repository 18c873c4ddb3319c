//! The built binary in a folder of its own: run to its end, or served.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod help;
pub mod load;
pub mod proxy;
pub mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test: `TESSERA_BIN` where it is set (a release build), else the one that was built with the tests.
pub fn binary() -> PathBuf {
    std::env::var_os("TESSERA_BIN").map_or_else(|| env!("CARGO_BIN_EXE_tessera").into(), PathBuf::from)
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A temporary folder with a data folder below it.
pub struct Tessera {
    folder: TempDir,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Tessera {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With a program of the repository applied: `coffee`.
    pub fn with_program(name: &str) -> Self {
        let tessera = Self::new();
        let file = repository().join(format!("programs/{name}.yaml"));
        tessera.run(&["program", "apply", file.to_str().unwrap()]).expect(0);
        tessera
    }

    /// With a document of the test's own applied.
    pub fn with_document(text: &str) -> Self {
        let tessera = Self::new();
        let file = tessera.write("program.yaml", text);
        tessera.run(&["program", "apply", &file]).expect(0);
        tessera
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file below the folder and says where.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// A command without any of the caller's settings, in the folder.
    pub fn bare_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TESSERA_") {
                command.env_remove(name);
            }
        }
        command.current_dir(self.folder.path()).env("USER", "tester").args(arguments).stdin(Stdio::null());
        command
    }

    /// A command about the data folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare_command(&["--data"]);
        command.arg(self.data()).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// Runs with `--json` and reads what it printed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let said = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("no JSON ({error}): {said:?}"))
    }

    /// `verify` must find no difference.
    pub fn verify(&self, program: &str) -> Value {
        let said = self.run(&["verify", "--program", program, "--json"]);
        said.expect(0);
        serde_json::from_str(&said.out).unwrap()
    }
}

pub fn said(output: Output) -> Said {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

impl Said {
    /// It must have ended with this code.
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    /// It must have failed with this code, in one line what is wrong, without a panic.
    #[track_caller]
    pub fn failed(&self, code: i32, with: &str) -> &Self {
        self.expect(code);
        assert!(self.err.contains(with), "{with:?} is not in\n{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}
