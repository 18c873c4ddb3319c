//! Settings: flags over `TESSERA_*` over `tessera.toml`. Every key stands in `tessera.default.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Deserialize;
use tessera_api::{CodeLimits, ConnectionLimits};
use tessera_connect::partner::{HttpPartner, Partners};
use tessera_connect::signature::Secret;
use tessera_core::program::Id;
use tessera_core::time::Duration;
use tessera_engine::engine::Location;

use crate::output::{Failure, unreadable};
use crate::telemetry::LogFormat;

/// What a settings file may hold; unknown keys refuse to start.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    database_url: Option<String>,
    listen: Option<String>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    codes: Option<Codes>,
    traces: Option<Traces>,
    connections: Option<Connections>,
    #[serde(default)]
    partners: BTreeMap<Id, PartnerSettings>,
}

/// Where traces go.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Traces {
    collector: Option<String>,
    share: Option<f64>,
}

/// Bounds of what `serve` gives to callers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub codes: CodeLimits,
    pub connections: ConnectionLimits,
}

/// How many connections there may be, and how long one may take.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Connections {
    most: Option<u32>,
    head_seconds: Option<u32>,
    body_seconds: Option<u32>,
}

impl Connections {
    fn limits(&self) -> ConnectionLimits {
        let usual = ConnectionLimits::default();
        let seconds =
            |given: Option<u32>, usual| given.map_or(usual, |n| std::time::Duration::from_secs(n.max(1).into()));
        ConnectionLimits {
            most: self.most.map_or(usual.most, |most| most.max(1).try_into().unwrap_or(usize::MAX)),
            head_within: seconds(self.head_seconds, usual.head_within),
            body_within: seconds(self.body_seconds, usual.body_within),
        }
    }
}

/// Where a partner is reached. The secret is never in a file: see [`secret_variable`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerSettings {
    pub url: String,
}

/// The environment variable that holds a partner's secret.
pub fn secret_variable(partner: &Id) -> String {
    format!("TESSERA_PARTNER_{}_SECRET", partner.as_str().to_uppercase().replace('-', "_"))
}

/// How many wrong codes of vouchers are answered.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Codes {
    wrong_by_key: Option<u32>,
    wrong_by_address: Option<u32>,
    wrong_minutes: Option<u32>,
}

impl Codes {
    fn limits(&self) -> CodeLimits {
        let usual = CodeLimits::default();
        CodeLimits {
            by_key: self.wrong_by_key.unwrap_or(usual.by_key),
            by_address: self.wrong_by_address.unwrap_or(usual.by_address),
            window: self.wrong_minutes.map_or(usual.window, |minutes| Duration::minutes(minutes.into())),
        }
    }
}

/// What help calls them.
const SHARED: &str = "Options of every command";

/// Settings every command shares.
#[derive(Args, Debug, Clone)]
pub struct Settings {
    /// The data folder: embedded database, master key, rejected lines [default: data]
    #[arg(long, global = true, env = "TESSERA_DATA", value_name = "DIR", hide_env_values = true, help_heading = SHARED)]
    pub data: Option<PathBuf>,
    /// A PostgreSQL database in place of the embedded one
    #[arg(
        long,
        global = true,
        env = "TESSERA_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        help_heading = SHARED
    )]
    pub database_url: Option<String>,
    /// The settings file [default: tessera.toml, where there is one]
    #[arg(
        long,
        global = true,
        env = "TESSERA_CONFIG",
        value_name = "FILE",
        hide_env_values = true,
        help_heading = SHARED
    )]
    pub config: Option<PathBuf>,
    /// Print the same facts as JSON
    #[arg(long, global = true, help_heading = SHARED)]
    pub json: bool,
}

/// Settings after all sources are read.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub data: PathBuf,
    pub database_url: Option<String>,
    pub listen: String,
    pub log: String,
    pub log_format: LogFormat,
    pub limits: Limits,
    /// Where traces are sent, unless the environment says so.
    pub collector: Option<String>,
    /// Of all requests, 0 to 1.
    pub traced_share: f64,
    pub partners: BTreeMap<Id, PartnerSettings>,
}

impl Settings {
    pub fn resolve(&self) -> Result<Resolved, Failure> {
        let file = self.file()?;
        let traces = file.traces.unwrap_or_default();
        let traced_share = traces.share.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&traced_share) {
            let wrong = format!("{traced_share} is no share of requests to trace");
            return Err(Failure::usage(wrong).right("write a number from 0 to 1, such as 0.1"));
        }
        Ok(Resolved {
            data: self.data.clone().or(file.data).unwrap_or_else(|| PathBuf::from("data")),
            database_url: self.database_url.clone().or(file.database_url),
            listen: file.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
            log: file.log.unwrap_or_else(|| "info".to_owned()),
            log_format: file.log_format.unwrap_or_default(),
            limits: Limits {
                codes: file.codes.unwrap_or_default().limits(),
                connections: file.connections.unwrap_or_default().limits(),
            },
            partners: file.partners,
            collector: traces.collector,
            traced_share,
        })
    }

    fn file(&self) -> Result<File, Failure> {
        let (path, named) = match &self.config {
            Some(path) => (path.clone(), true),
            None => (PathBuf::from("tessera.toml"), false),
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                Failure::usage(format!("{}: {error}", path.display())).right("every key is in tessera.default.toml")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => Ok(File::default()),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }
}

impl Resolved {
    /// The partners this server reaches, each with its secret.
    pub fn partners(&self) -> Result<Partners, Failure> {
        let mut partners = Partners::default();
        for (name, settings) in &self.partners {
            let variable = secret_variable(name);
            let secret = std::env::var(&variable).map_err(|_| {
                Failure::usage(format!("the partner {name} has no secret")).right(format!("set {variable}"))
            })?;
            let wrong = |problem: String| Failure::usage(format!("the partner {name}: {problem}"));
            let secret =
                Secret::parse(&secret).map_err(|error| wrong(error.to_string()).right(format!("set {variable}")))?;
            let adapter = HttpPartner::new(&settings.url, secret)
                .map_err(|error| wrong(error.to_string()).right(format!("[partners.{name}] url in the settings")))?;
            partners = partners.with(name.clone(), Arc::new(adapter));
        }
        Ok(partners)
    }

    pub fn location(&self) -> Location {
        Location {
            folder: self.data.clone(),
            database_url: self.database_url.clone(),
            master_key: std::env::var("TESSERA_MASTER_KEY").ok(),
        }
    }
}
