//! What makes a server's certificate good enough, and the files that certificates and keys come from.

use std::fs;
use std::path::Path;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The issuers that are believed.
#[derive(Debug)]
pub(super) struct Issuers {
    roots: RootCertStore,
    /// The certificates of a file, byte for byte: a server's own may be among them.
    given: Vec<CertificateDer<'static>>,
}

impl Issuers {
    /// Those of a PEM file; the message names it.
    pub(super) fn of_file(file: &Path) -> Result<Self, String> {
        let given = certificates("sslrootcert", file)?;
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(given.iter().cloned());
        if added == 0 {
            return Err(format!("sslrootcert: no certificate in {} can be read", file.display()));
        }
        Ok(Self { roots, given })
    }

    /// Those that this machine trusts.
    pub(super) fn of_system() -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            let why = "this machine trusts no issuer of certificates: install its package of them (ca-certificates), or name \
                       the file with sslrootcert=FILE";
            return Err(why.to_owned());
        }
        Ok(Self { roots, given: Vec::new() })
    }
}

/// Checks as much of a server's certificate as was asked for.
#[derive(Debug)]
pub(super) struct Check {
    /// Nobody where any certificate will do.
    pub(super) issuers: Option<Issuers>,
    /// Whether it must be for the name that the server was called by.
    pub(super) name: bool,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Check {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(issuers) = &self.issuers else { return Ok(ServerCertVerified::assertion()) };
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(&parsed, &issuers.roots, between, now, algorithms) {
            Ok(()) => {}
            // The usual one that a server signs for itself is marked as an issuer's too. Whoever names that very
            // certificate believes it; its dates were looked at before the mark.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if issuers.given.contains(certificate) => {}
            Err(error) => return Err(error),
        }
        if self.name {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    // That the server has the key of its certificate is checked always: channel binding rests on it.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The certificates of a PEM file, at least one; `word` of the URL named it.
pub(super) fn certificates(word: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(word, file)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    if found.is_empty() {
        return Err(format!("{word}: there is no certificate in {} (PEM is expected)", file.display()));
    }
    Ok(found)
}

/// The private key of a PEM file that nobody else can read.
pub(super) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read("sslkey", file)?;
    #[cfg(unix)]
    if open_to_others(file) {
        let name = file.display();
        return Err(format!("sslkey: others can read {name}: chmod 600 {name} (640 where root owns it)"));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        format!("sslkey: there is no private key in {} (PEM without a password is expected)", file.display())
    })
}

fn read(word: &str, file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{word}: {} cannot be read: {error}", file.display()))
}

/// Whether more than its owner, or than a group that root lets, can read a key. As libpq sees it.
#[cfg(unix)]
fn open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(file).is_ok_and(|found| found.mode() & if found.uid() == 0 { 0o037 } else { 0o077 } != 0)
}
