//! TLS to a PostgreSQL server: what each `sslmode` asks for, and what is told where that is not there.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tessera_store::{Database, ScratchSchema, StoreError};

use crate::postgres::OwnCluster;

/// Whoever issues certificates in a test.
struct Issuer(CertifiedIssuer<'static, KeyPair>);

impl Issuer {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key.
    fn certify(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// For one host's name.
fn named(host: &str) -> CertificateParams {
    CertificateParams::new([host.to_owned()]).unwrap()
}

/// For one user of the database.
fn user(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A server that calls itself `localhost`, and files beside it.
struct Server {
    cluster: OwnCluster,
    issuer: Issuer,
    files: TempDir,
}

impl Server {
    fn new() -> Option<Self> {
        let issuer = Issuer::new("known");
        let (certificate, key) = issuer.certify(&named("localhost"));
        let files = [("server.crt", &*certificate), ("server.key", &*key), ("issuer.crt", &*issuer.pem())];
        let cluster = OwnCluster::with_tls(&files)?;
        Some(Self { cluster, issuer, files: TempDir::new().unwrap() })
    }

    fn url(&self, hosts: &[&str], words: &str) -> String {
        let hosts: Vec<String> = hosts.iter().map(|host| format!("{host}:{}", self.cluster.port())).collect();
        format!("postgres://postgres:s3cret@{}/postgres?{words}", hosts.join(","))
    }

    /// A file that only its owner reads; where it is.
    fn file(&self, name: &str, text: &str) -> String {
        let file = self.files.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

/// Whether TLS protects what is read there.
fn is_protected(url: &str) -> Result<bool, StoreError> {
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Database::open_postgres_to_read(url)?.read(|reader| Ok(reader.query(sql, &[])?[0][0].int()? == 1))
}

fn is_reached(url: &str) -> Result<(), StoreError> {
    Database::schema_of_postgres(url).map(drop)
}

/// The refusal speaks of it, is for good, and keeps the password to itself.
fn assert_refused<T>(answer: Result<T, StoreError>, of: &str, case: &str) {
    let Err(refused) = answer else { panic!("{case}: it is refused") };
    let said = refused.to_string();
    assert!(said.contains(of) && !said.contains("s3cret") && !refused.is_transient(), "{case}: {said}");
}

#[test]
fn a_connection_is_as_safe_as_its_sslmode_asks() {
    let Some(server) = Server::new() else { return };
    let known = format!("sslrootcert={}", server.file("known.pem", &server.issuer.pem()));
    let strange = format!("sslrootcert={}", server.file("strange.pem", &Issuer::new("strange").pem()));
    let renewed = format!("sslrootcert={}", server.file("renewed.pem", &Issuer::new("known").pem()));
    let (name, address) = (["localhost"].as_slice(), ["127.0.0.1"].as_slice());
    let fully = server.url(name, &format!("sslmode=verify-full&{known}"));

    // Migrations, writers and throw-away schemas go the same way.
    let database = Database::open_postgres(&fully).unwrap();
    let mut writer = database.writer().unwrap();
    let mut tx = writer.begin().unwrap();
    tx.execute("UPDATE installation SET value = value", &[]).unwrap();
    tx.commit().unwrap();
    let scratch = ScratchSchema::new(&fully, "for_a_moment").unwrap();
    assert_eq!(is_reached(scratch.url()), Ok(()));
    scratch.remove().unwrap();

    for (hosts, words, protected) in [
        (name, String::new(), true),
        (name, "sslmode=disable".to_owned(), false),
        (name, "sslmode=prefer".to_owned(), true),
        (address, "sslmode=require".to_owned(), true),
        (address, format!("sslmode=require&{known}"), true),
        (address, format!("sslmode=verify-ca&{known}"), true),
        (name, format!("sslmode=verify-full&{known}"), true),
        (&["127.0.0.1", "localhost"], format!("sslmode=verify-full&{known}&connect_timeout=5"), true),
    ] {
        assert_eq!(is_protected(&server.url(hosts, &words)), Ok(protected), "{hosts:?} {words}");
    }
    let by_address = format!("hostaddr=127.0.0.1 port={} user=postgres dbname=postgres", server.cluster.port());
    assert_eq!(is_protected(&by_address), Ok(true));
    assert_eq!(is_protected(&format!("{}?sslmode=verify-full", server.cluster.url())), Ok(false), "its socket");

    let other_name = "is for another name than `127.0.0.1`: it has DnsName(\"localhost\")";
    for (hosts, words, of) in [
        (name, format!("sslmode=prefer&{strange}"), "by none of the issuers in"),
        (name, format!("sslmode=require&{strange}"), "by none of the issuers in"),
        (name, format!("sslmode=verify-ca&{strange}"), "by none of the issuers in"),
        (name, format!("sslmode=verify-full&{strange}"), "by none of the issuers in"),
        (name, format!("sslmode=verify-full&{renewed}"), "by none of the issuers in"),
        (name, "sslmode=verify-full".to_owned(), "sslrootcert=FILE"),
        (name, "sslrootcert=system".to_owned(), "sslrootcert=FILE"),
        (address, format!("sslmode=verify-full&{known}"), other_name),
        (name, "sslmode=verify-ca".to_owned(), "sslmode=verify-ca in the database URL needs"),
        (name, "sslmode=require&sslrootcert=system".to_owned(), "needs sslmode=verify-full"),
        (name, "sslmode=require&sslrootcert=nowhere.pem".to_owned(), "nowhere.pem cannot be read"),
        (name, "sslmode=prefer&sslnegotiation=direct".to_owned(), "sslnegotiation=direct"),
    ] {
        assert_refused(is_protected(&server.url(hosts, &words)), of, &format!("{hosts:?} {words}"));
    }

    let mut old = named("localhost");
    old.not_after = date_time_ymd(2001, 1, 1);
    let (certificate, key) = server.issuer.certify(&old);
    server.cluster.put("server.key", &key);
    server.cluster.put("server.crt", &certificate);
    assert_refused(is_protected(&fully), "has expired", "an old certificate");

    // What a server signs for itself is believed by whoever names it, also where it is marked as an issuer's.
    let mut own = named("localhost");
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = own.self_signed(&key).unwrap().pem();
    server.cluster.put("server.key", &key.serialize_pem());
    server.cluster.put("server.crt", &certificate);
    let itself = format!("sslmode=verify-full&sslrootcert={}", server.file("itself.pem", &certificate));
    assert_eq!(is_protected(&server.url(name, &itself)), Ok(true));
    assert_refused(is_protected(&server.url(address, &itself)), "for another name", "its own certificate");
    assert_refused(is_protected(&fully), "give that very certificate", "a certificate that nobody named");

    server.cluster.run(&["ALTER SYSTEM SET ssl = off"]);
    server.cluster.reload();
    assert_eq!(is_protected(&server.url(name, "")), Ok(false));
    for words in ["sslmode=require".to_owned(), format!("sslmode=verify-full&{known}")] {
        assert_refused(is_protected(&server.url(name, &words)), "has no TLS, and sslmode=", &words);
    }
}

#[test]
fn servers_know_clients_by_tls_too() {
    const OURS: &str = "local all all trust\n";
    let Some(server) = Server::new() else { return };
    let url = |words: &str| server.url(&["localhost"], words);

    server.cluster.put("pg_hba.conf", &format!("{OURS}hostnossl all all all trust\n"));
    assert_eq!(is_reached(&url("")), Ok(()), "prefer goes on without TLS");
    assert_refused(is_reached(&url("sslmode=require")), "28000", "TLS for a server that wants none");
    server.cluster.put("pg_hba.conf", &format!("{OURS}hostssl all all all trust\n"));
    assert_eq!(is_reached(&url("")), Ok(()));
    assert_refused(is_reached(&url("sslmode=disable")), "28000", "no TLS for a server that wants it");

    // With channel binding the password is bound to the certificate: nobody between the two can pass it on.
    server.cluster.put("pg_hba.conf", &format!("{OURS}host all till all scram-sha-256\n"));
    server.cluster.run(&["CREATE ROLE till LOGIN PASSWORD 's3cret'"]);
    let till = |words: &str| is_reached(&url(words).replace("postgres:s3cret", "till:s3cret"));
    assert_eq!(till("channel_binding=require"), Ok(()));
    assert_eq!(till("sslmode=disable"), Ok(()));
    assert!(till("sslmode=disable&channel_binding=require").is_err());

    server.cluster.put("pg_hba.conf", &format!("{OURS}hostssl all all all cert\n"));
    let words = |name: &str, (certificate, key): (String, String)| {
        let (certificate, key) = (server.file(&format!("{name}.crt"), &certificate), server.file(name, &key));
        (format!("sslmode=require&sslcert={certificate}&sslkey={key}"), key)
    };
    let (known, its_key) = words("known", server.issuer.certify(&user("postgres")));
    assert_eq!(is_reached(&url(&known)), Ok(()));
    let (other_user, _) = words("till", server.issuer.certify(&user("till")));
    assert_refused(is_reached(&url(&other_user)), "28000", "somebody else's certificate");
    assert_refused(is_reached(&url("sslmode=require")), "28000", "no certificate");
    let (strange, _) = words("strange", Issuer::new("strange").certify(&user("postgres")));
    assert_refused(is_reached(&url(&strange)), "sslcert must be of an issuer", "a strange issuer's certificate");
    assert_refused(is_reached(&url("sslcert=known.crt")), "go together", "a certificate without its key");
    fs::set_permissions(&its_key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_refused(is_reached(&url(&known)), "others can read", "a key for everybody");
}

/// Servers take it from PostgreSQL 17 on, so what is looked at is how a client begins: with a greeting of TLS, or asking for it.
#[test]
fn with_direct_negotiation_nobody_asks_for_tls() {
    const ASKS: u8 = 0;
    const GREETS: u8 = 0x16;
    let direct = "sslmode=require&sslnegotiation=direct";
    for (words, hosts, first) in [("sslmode=require", 1, ASKS), (direct, 1, GREETS), (direct, 2, GREETS)] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut byte = [u8::MAX];
            client.read_exact(&mut byte).unwrap();
            byte[0]
        });
        let hosts = vec![format!("127.0.0.1:{port}"); hosts].join(",");
        let reached = is_reached(&format!("postgres://postgres@{hosts}/postgres?{words}"));
        assert!(reached.is_err(), "nobody answers");
        assert_eq!(server.join().unwrap(), first, "{hosts} with {words}");
    }
}
