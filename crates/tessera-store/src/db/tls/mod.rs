//! TLS to PostgreSQL: what a URL asks for, the connector that does it, and what is told when it cannot be.
//!
//! The words are libpq's, and mean what they mean there. Three things differ, each to the safer side: a certificate that
//! `sslrootcert` was given for and that fails is refused with `sslmode=prefer` too; nothing is looked for in a home folder,
//! and `verify-full` without `sslrootcert` believes the issuers that the machine trusts; a name counts only where the
//! certificate has it as a `subjectAltName`.
//!
//! Files are read when a database is opened, not again for each connection.

mod certificate;
mod url;

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{CertificateError, ClientConfig, Error};
use tokio_postgres::Socket;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

use self::certificate::{Check, Issuers, certificates, private_key};
use self::url::{Mode, Words};
use super::postgres::chain;
use crate::error::StoreError;

/// A connection that TLS protects, as the connector makes it.
pub(super) type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// What the driver says of a server without TLS, and of a handshake that failed.
const NO_TLS: &str = "server does not support TLS";
const HANDSHAKE: &str = "error performing TLS handshake";
/// What the library of certificates calls an issuer's that a server shows as its own.
const ISSUER_SERVES: &str = "CaUsedAsEndEntity";
/// What PostgreSQL expects of whoever begins with TLS instead of asking for it.
const PROTOCOL: &[u8] = b"postgresql";
/// The value of `sslrootcert` that stands for the issuers that the machine trusts.
const SYSTEM: &str = "system";

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trust {
    Anybody,
    System,
    File(PathBuf),
}

/// How a database is called: with TLS or without, and with whom.
pub(super) struct Tls {
    mode: Mode,
    trust: Trust,
    config: ClientConfig,
    connector: MakeRustlsConnect,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("mode", &self.mode).field("trust", &self.trust).finish_non_exhaustive()
    }
}

impl Tls {
    /// What a URL wants of TLS, and the rest of it for the driver.
    ///
    /// # Errors
    /// [`StoreError::Url`] if the words do not fit together, or a file cannot be used. It holds no password.
    pub(super) fn of_url(url: &str) -> Result<(Self, String), StoreError> {
        let (words, rest) = Words::taken_out(url).map_err(StoreError::Url)?;
        Ok((Self::of_words(&words).map_err(StoreError::Url)?, rest))
    }

    fn of_words(words: &Words) -> Result<Self, String> {
        let mode = words.mode.unwrap_or(match words.root.as_deref() {
            Some(SYSTEM) => Mode::VerifyFull,
            _ => Mode::Prefer,
        });
        let trust = trust(mode, words.root.as_deref())?;
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let issuers = match &trust {
            Trust::Anybody => None,
            Trust::System => Some(Issuers::of_system()?),
            Trust::File(file) => Some(Issuers::of_file(file)?),
        };
        let check = Check { issuers, name: mode == Mode::VerifyFull, algorithms };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(check));
        let config = match (&words.certificate, &words.key) {
            _ if mode == Mode::Disable => builder.with_no_client_auth(),
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let (own, key) = (certificates("sslcert", Path::new(certificate))?, private_key(Path::new(key))?);
                let unfit = |error| format!("sslcert and sslkey cannot be used together: {error}");
                builder.with_client_auth_cert(own, key).map_err(unfit)?
            }
            _ => return Err("sslcert and sslkey in the database URL go together: give both, or neither".to_owned()),
        };
        let connector = MakeRustlsConnect::new(config.clone());
        Ok(Self { mode, trust, config, connector })
    }

    /// Prepares for the way in which the driver is to begin.
    ///
    /// # Errors
    /// [`StoreError::Url`] if the server would not be asked whether it has TLS, and it is not required.
    pub(super) fn begins(&mut self, how: SslNegotiation) -> Result<(), StoreError> {
        if how == SslNegotiation::Postgres {
            return Ok(());
        }
        if self.mode < Mode::Require {
            let why = "sslnegotiation=direct in the database URL needs sslmode=require, verify-ca or verify-full";
            return Err(StoreError::Url(why.to_owned()));
        }
        let mut config = self.config.clone();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        self.connector = MakeRustlsConnect::new(config);
        Ok(())
    }

    /// The driver's part of it; the certificate is checked here.
    pub(super) fn mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    pub(super) fn connector(&self) -> MakeRustlsConnect {
        self.connector.clone()
    }

    /// Whether, after this, the same server is to be tried without TLS: with `prefer` one whose TLS does not work with
    /// ours, and one that has no entry for connections with TLS (`hostnossl`).
    pub(super) fn may_be_left(&self, error: &tokio_postgres::Error) -> bool {
        let unknown_to_server = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
        self.mode == Mode::Prefer
            && self.trust == Trust::Anybody
            && (unknown_to_server || error.to_string().starts_with(HANDSHAKE))
    }

    /// What is told where it is TLS that failed; nothing where it is not, or where it may work the next moment.
    pub(super) fn refusal(&self, error: &tokio_postgres::Error) -> Option<StoreError> {
        if chain(error).contains(NO_TLS) {
            let asked = MODE_NAMES.iter().find(|(mode, _)| *mode == self.mode).map_or("", |(_, name)| *name);
            return Some(StoreError::Database(format!(
                "this PostgreSQL has no TLS, and sslmode={asked} wants it: switch it on there (ssl = on), or give \
                 sslmode=prefer if what is sent may be read on the way"
            )));
        }
        self.why(of_rustls(error)?).map(StoreError::Database)
    }

    fn why(&self, error: &Error) -> Option<String> {
        Some(match error {
            Error::InvalidCertificate(error) => match error {
                CertificateError::NotValidForName => self.other_name(None, &[]),
                CertificateError::NotValidForNameContext { expected, presented } => {
                    self.other_name(Some(&expected.to_str()), presented)
                }
                CertificateError::UnknownIssuer => self.unknown_issuer(),
                // An issuer of the name that stands in it is known, and has another key: an old one, say.
                CertificateError::BadSignature if self.trust != Trust::Anybody => self.unknown_issuer(),
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "the certificate of this PostgreSQL, or of its issuer, has expired: renew it there".to_owned()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "the certificate of this PostgreSQL is not valid yet: look at the clocks of both machines"
                        .to_owned()
                }
                CertificateError::Other(other) if format!("{other:?}").contains(ISSUER_SERVES) => {
                    "the certificate of this PostgreSQL is marked as an issuer's (CA:TRUE), as those are that servers sign for \
                     themselves: give that very certificate with sslrootcert=FILE, or the server one of its own"
                        .to_owned()
                }
                other => format!("the certificate of this PostgreSQL cannot be used: {other}"),
            },
            Error::AlertReceived(alert) => format!(
                "this PostgreSQL ended the handshake of TLS ({alert:?}): look at its log; where it is about our certificate, \
                 sslcert must be of an issuer in its ssl_ca_file"
            ),
            Error::PeerIncompatible(what) => {
                format!(
                    "the TLS of this PostgreSQL and ours have nothing in common ({what:?}): TLS 1.2 or 1.3 is needed"
                )
            }
            _ => return None,
        })
    }

    fn other_name(&self, expected: Option<&str>, presented: &[String]) -> String {
        let expected = expected.map_or_else(String::new, |name| format!(" than `{name}`"));
        let found = match presented {
            [] => "it has none as a subjectAltName".to_owned(),
            names => format!("it has {}", names.join(", ")),
        };
        format!(
            "the certificate of this PostgreSQL is for another name{expected}: {found}. Call it by that name, or give \
             sslmode=verify-ca if its issuer certifies nobody else"
        )
    }

    fn unknown_issuer(&self) -> String {
        match &self.trust {
            Trust::File(file) => format!(
                "the certificate of this PostgreSQL is by none of the issuers in {}: give the file of its issuer with \
                 sslrootcert=FILE",
                file.display()
            ),
            _ => "the certificate of this PostgreSQL is by an issuer that this machine does not know: give the file of its \
                  issuer with sslrootcert=FILE"
                .to_owned(),
        }
    }
}

const MODE_NAMES: [(Mode, &str); 3] =
    [(Mode::Require, "require"), (Mode::VerifyCa, "verify-ca"), (Mode::VerifyFull, "verify-full")];

fn trust(mode: Mode, root: Option<&str>) -> Result<Trust, String> {
    match (mode, root) {
        (Mode::VerifyFull, None | Some(SYSTEM)) => Ok(Trust::System),
        (_, Some(SYSTEM)) => {
            Err("sslrootcert=system in the database URL needs sslmode=verify-full: of the issuers that a \
                                  machine trusts anybody has a certificate, for a name of their own"
                .to_owned())
        }
        (Mode::Disable, _) | (_, None) if mode != Mode::VerifyCa => Ok(Trust::Anybody),
        (_, Some(file)) => Ok(Trust::File(PathBuf::from(file))),
        (_, None) => Err("sslmode=verify-ca in the database URL needs the certificate of the server's issuer: \
                          sslrootcert=FILE"
            .to_owned()),
    }
}

/// The error of TLS itself, below those of the driver and of reading.
fn of_rustls(error: &tokio_postgres::Error) -> Option<&Error> {
    let mut cause = error.source()?;
    loop {
        if let Some(found) = cause.downcast_ref::<Error>() {
            return Some(found);
        }
        // An error of reading does not count what it wraps as its source.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => wrapped,
            None => cause.source()?,
        };
    }
}
