//! The PostgreSQL servers that a URL names, and the way to the one that is wanted.
//!
//! Each is called by itself, the one found last before the others: one that takes the call and says nothing, as a machine
//! that hangs does, costs its time and does not stand before the rest. Whoever writes takes only a server that is written
//! to, and never one that merely follows another, which would show what was and refuse what is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, Connection, Error, Socket};

use super::postgres::{chain, refused, silent};
use super::tls::{Tls, TlsStream};
use crate::error::StoreError;

/// How long to wait for a server that does not answer a call, unless the URL says otherwise (`connect_timeout`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a writer waits for the answer to one statement, unless the URL says otherwise (`tcp_user_timeout`). A
/// network that swallows everything looks like a server that thinks: after this it is given up, and so is its
/// connection. A batch takes milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How often a silent connection is asked whether it lives, and how often again before it is dead.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// What the driver has where the URL says nothing: too long to learn that a connection is gone.
const KEEPALIVE_IDLE_OF_DRIVER: Duration = Duration::from_secs(2 * 60 * 60);
/// What the driver says of a server that follows another.
const TAKES_NO_WRITES: &str = "database does not allow writes";

/// A connection, and what moves its bytes: as they are, or through TLS.
type Connected = (Client, Connection<Socket, TlsStream>);

/// The servers of one database.
#[derive(Debug)]
pub(crate) struct Servers {
    /// How to call each, in the order of the URL; at least one.
    each: Vec<Config>,
    tls: Tls,
    /// The one that answered last.
    found: AtomicUsize,
}

impl Servers {
    /// Reads a URL for whoever writes, or must see what was written last. The message does not repeat it, for it may hold
    /// a password.
    pub(crate) fn to_write(url: &str) -> Result<Arc<Self>, StoreError> {
        let mut servers = Self::of_url(url)?;
        for config in &mut servers.each {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Arc::new(servers))
    }

    /// Reads a URL for whoever only reads: from any server, unless it says `target_session_attrs`.
    pub(crate) fn to_read(url: &str) -> Result<Arc<Self>, StoreError> {
        Self::of_url(url).map(Arc::new)
    }

    fn of_url(url: &str) -> Result<Self, StoreError> {
        let unreadable =
            || StoreError::Url("the database URL cannot be read: postgres://user:password@host:5432/name".to_owned());
        let (mut tls, rest) = Tls::of_url(url)?;
        let mut config: Config = rest.parse().map_err(|_: Error| unreadable())?;
        tls.begins(config.get_ssl_negotiation())?;
        config.ssl_mode(tls.mode());
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        let answer = answer_within(&config);
        config.tcp_user_timeout(answer);
        if config.get_keepalives_idle() == KEEPALIVE_IDLE_OF_DRIVER {
            config
                .keepalives_idle(answer)
                .keepalives_interval(KEEPALIVE_INTERVAL)
                .keepalives_retries(KEEPALIVE_RETRIES);
        }
        let count = config.get_hosts().len().max(config.get_hostaddrs().len());
        let mut each = match count {
            0 | 1 => vec![config],
            _ => (0..count).map(|i| alone(&config, i)).collect::<Option<_>>().ok_or_else(unreadable)?,
        };
        each.iter_mut().for_each(fit_for_tls);
        Ok(Self { each, tls, found: AtomicUsize::new(0) })
    }

    /// How long one answer may take.
    pub(crate) fn answer_within(&self) -> Duration {
        self.each.first().map_or(ANSWER_WITHIN, answer_within)
    }

    /// Calls one server after the other until one is as wanted.
    pub(crate) async fn connect(&self) -> Result<Connected, StoreError> {
        let first = self.found.load(Ordering::Relaxed);
        let mut troubles = Vec::new();
        for turn in 0..self.each.len() {
            let place = (first + turn) % self.each.len();
            match self.call(&self.each[place]).await {
                Ok(connected) => {
                    self.found.store(place, Ordering::Relaxed);
                    return Ok(connected);
                }
                Err(error) => troubles.push((place, error)),
            }
        }
        Err(summed_up(&self.each, troubles))
    }

    async fn call(&self, config: &Config) -> Result<Connected, StoreError> {
        let error = match self.attempt(config).await? {
            Ok(connected) => return Ok(connected),
            Err(error) => error,
        };
        if config.get_ssl_mode() != SslMode::Prefer || !self.tls.may_be_left(&error) {
            return Err(self.trouble(&error));
        }
        let mut bare = config.clone();
        bare.ssl_mode(SslMode::Disable);
        let second = match self.attempt(&bare).await? {
            Ok(connected) => return Ok(connected),
            Err(second) => self.trouble(&second),
        };
        let first = self.trouble(&error);
        Err(match second {
            StoreError::Unavailable(why) => StoreError::Unavailable(format!("{why} (with TLS: {first})")),
            StoreError::Database(why) => StoreError::Database(format!("{why} (with TLS: {first})")),
            other => other,
        })
    }

    /// One call, which may take its time and no longer.
    async fn attempt(&self, config: &Config) -> Result<Result<Connected, Error>, StoreError> {
        let mut within = config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        if self.each.len() == 1 {
            // There is no other: it may take its time once it has taken the call.
            within += answer_within(config);
        }
        let connecting = tokio::time::timeout(within, config.connect(self.tls.connector())).await;
        connecting.map_err(|_| silent(within))
    }

    fn trouble(&self, error: &Error) -> StoreError {
        if let Some(refusal) = self.tls.refusal(error) {
            return refusal;
        }
        match error.as_db_error() {
            Some(_) => refused(error),
            None if chain(error).contains(TAKES_NO_WRITES) => {
                let why = "this PostgreSQL takes no writes: it follows another server, or was made read-only";
                StoreError::Unavailable(why.to_owned())
            }
            None => StoreError::Unavailable(format!("cannot reach PostgreSQL: {}", chain(error))),
        }
    }
}

/// How long one answer may take.
fn answer_within(config: &Config) -> Duration {
    config.get_tcp_user_timeout().copied().filter(|limit| !limit.is_zero()).unwrap_or(ANSWER_WITHIN)
}

/// What one server is called by, of those that `all` names; `None` where it names fewer ports or addresses than hosts.
fn alone(all: &Config, place: usize) -> Option<Config> {
    let mut one = Config::new();
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(name) = all.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    if let Some(name) = all.get_application_name() {
        one.application_name(name);
    }
    if let Some(within) = all.get_connect_timeout() {
        one.connect_timeout(*within);
    }
    if let Some(within) = all.get_tcp_user_timeout() {
        one.tcp_user_timeout(*within);
    }
    if let Some(interval) = all.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = all.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .keepalives(all.get_keepalives())
        .keepalives_idle(all.get_keepalives_idle())
        .target_session_attrs(all.get_target_session_attrs())
        .channel_binding(all.get_channel_binding())
        .load_balance_hosts(all.get_load_balance_hosts());
    match all.get_hosts() {
        [] => {}
        hosts => match hosts.get(place)? {
            Host::Tcp(name) => drop(one.host(name)),
            #[cfg(unix)]
            Host::Unix(folder) => drop(one.host_path(folder)),
        },
    }
    match all.get_hostaddrs() {
        [] => {}
        addresses => drop(one.hostaddr(*addresses.get(place)?)),
    }
    match all.get_ports() {
        [] => {}
        [port] => drop(one.port(*port)),
        ports => drop(one.port(*ports.get(place)?)),
    }
    Some(one)
}

/// Servers do without TLS on a socket of their own machine, and one that is called by its address has that for a name.
fn fit_for_tls(server: &mut Config) {
    match (server.get_hosts().first(), server.get_hostaddrs().first().copied()) {
        #[cfg(unix)]
        (Some(Host::Unix(_)), None) => drop(server.ssl_mode(SslMode::Disable)),
        (None, Some(address)) => drop(server.host(address.to_string())),
        _ => {}
    }
}

/// Why none can be used. It passes if it does so for one of them.
fn summed_up(each: &[Config], mut troubles: Vec<(usize, StoreError)>) -> StoreError {
    if troubles.len() == 1
        && let Some((_, only)) = troubles.pop()
    {
        return only;
    }
    troubles.sort_by_key(|(place, _)| *place);
    let passes = troubles.iter().any(|(_, error)| error.is_transient());
    let told = troubles.into_iter().map(|(place, error)| match error {
        StoreError::Unavailable(why) | StoreError::Database(why) => format!("{}: {why}", name_of(&each[place])),
        other => format!("{}: {other}", name_of(&each[place])),
    });
    let told = format!("no server of the URL can be used: {}", told.collect::<Vec<_>>().join("; "));
    if passes { StoreError::Unavailable(told) } else { StoreError::Database(told) }
}

fn name_of(server: &Config) -> String {
    let port = server.get_ports().first().copied().unwrap_or(5432);
    match (server.get_hosts().first(), server.get_hostaddrs().first()) {
        (Some(Host::Tcp(name)), _) => format!("{name}:{port}"),
        #[cfg(unix)]
        (Some(Host::Unix(folder)), _) => folder.display().to_string(),
        (None, Some(address)) => format!("{address}:{port}"),
        (None, None) => "a server without a name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_is_called_as_if_it_alone_were_named() {
        let rest = "d?options=-cx%3D1&application_name=a&connect_timeout=3&tcp_user_timeout=4&keepalives=0\
                    &keepalives_idle=5&keepalives_interval=6&keepalives_retries=7&sslmode=disable\
                    &channel_binding=disable&target_session_attrs=read-only&load_balance_hosts=random";
        let servers = Servers::to_read(&format!("postgres://u:p@one,two:7,%2Frun%2Fpg/{rest}")).unwrap();
        for (place, host) in ["one", "two:7", "%2Frun%2Fpg"].into_iter().enumerate() {
            let alone = Servers::to_read(&format!("postgres://u:p@{host}/{rest}")).unwrap();
            assert_eq!(servers.each[place], alone.each[0], "{host}");
        }
        assert_eq!(servers.each.len(), 3);
        assert_eq!(servers.answer_within(), Duration::from_secs(4));
    }

    #[test]
    fn ports_and_addresses_belong_to_hosts_in_their_order() {
        let ports = |url: &str| -> Vec<u16> {
            let servers = Servers::to_read(url).unwrap();
            servers.each.iter().map(|server| server.get_ports()[0]).collect()
        };
        assert_eq!(ports("host=a,b port=6000 user=u"), [6000, 6000]);
        assert_eq!(ports("host=a,b port=6000,6001 user=u"), [6000, 6001]);
        assert_eq!(ports("postgres://u@a,b:6001/d"), [5432, 6001]);
        for wrong in ["host=a,b,c port=1,2 user=u", "host=a,b hostaddr=127.0.0.1 user=u"] {
            assert!(matches!(Servers::to_read(wrong), Err(StoreError::Url(_))), "{wrong}");
        }
    }

    #[test]
    fn whoever_writes_wants_a_server_that_is_written_to_whatever_the_url_says() {
        for url in ["host=a user=u", "host=a,b user=u target_session_attrs=read-only", "host=a,b user=u"] {
            let servers = Servers::to_write(url).unwrap();
            let wanted = servers.each.iter().map(Config::get_target_session_attrs);
            assert!(wanted.eq(servers.each.iter().map(|_| TargetSessionAttrs::ReadWrite)), "{url}");
        }
        assert_eq!(
            Servers::to_read("host=a user=u").unwrap().each[0].get_target_session_attrs(),
            TargetSessionAttrs::Any
        );
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_by_nobody_and_not_repeated() {
        for (url, told) in [
            (
                "postgres://u:s3cret@h/d?sslmode=fast",
                "sslmode in the database URL: one of disable, prefer, require, verify-ca, verify-full",
            ),
            ("postgres://u:s3cret@h:x/d", "the database URL cannot be read: postgres://user:password@host:5432/name"),
            (
                "postgres://u:s3cret@h/d?sslnegotiation=direct",
                "sslnegotiation=direct in the database URL needs sslmode=require, verify-ca or verify-full",
            ),
        ] {
            assert_eq!(Servers::to_write(url).unwrap_err().to_string(), told);
        }
    }

    #[test]
    fn trouble_names_each_server_and_passes_if_one_of_them_may_come_back() {
        let servers = Servers::to_read("host=a,b port=1,2 user=u password=s3cret").unwrap();
        let (away, wrong) = (StoreError::Unavailable("gone".to_owned()), StoreError::Database("28P01".to_owned()));
        let told = summed_up(&servers.each, vec![(1, wrong.clone()), (0, away.clone())]);
        assert_eq!(told, StoreError::Unavailable("no server of the URL can be used: a:1: gone; b:2: 28P01".to_owned()));
        assert!(matches!(summed_up(&servers.each, vec![(1, wrong.clone()), (0, wrong)]), StoreError::Database(_)));
        assert_eq!(summed_up(&servers.each[..1], vec![(0, away.clone())]), away);
    }
}
