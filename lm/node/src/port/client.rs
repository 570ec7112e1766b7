//! A [`Client`] of net_memif asks for its server only once, when it is started. So [`persist`] starts it
//! again until the server answers.

use std::thread;
use std::time::{Duration, Instant};

use pmd_e1000::devargs::{Devargs, Memif};
use rte::port::PortId;

/// How long a net_memif client waits for its server.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a link may take to come up at first once the server is there, before the client is started again.
/// A server refuses a client from the moment when EAL makes its device until its port is started, and the
/// client's driver does not tell that. So the first attempt is short, and each later one twice as long: the
/// server may be short of CPU, and must not be cut off in the midst of the handshake. It may crash then (DPDK
/// 22.11, in EAL's interrupt thread).
const SOON: Duration = Duration::from_millis(500);
/// The longest that such an attempt takes.
const LATER: Duration = Duration::from_secs(2);
/// The same for a client that cannot be started again.
const AT_LAST: Duration = Duration::from_secs(10);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Which kind of net_memif client a port is. A client asks for its server once, when it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// It can be stopped and started again until it is answered.
    Copying,
    /// It connects once in a process. When it is cut off, even in the midst of the handshake, DPDK 22.11
    /// closes files of EAL's that the next handshake would need.
    ZeroCopy,
}

impl Client {
    /// The kind of a port with this driver and these device arguments. `None`: it is no client.
    pub fn of(driver: &str, args: &str) -> Option<Self> {
        let memif = (driver == "net_memif").then(|| Memif::of(&Devargs::parse(args)))?;
        (!memif.server).then_some(if memif.zero_copy { Self::ZeroCopy } else { Self::Copying })
    }

    /// How long the client's link may take to come up once the server is there, after so many attempts in
    /// vain.
    fn handshake(self, before: u32) -> Duration {
        match self {
            Self::Copying => SOON.saturating_mul(2_u32.saturating_pow(before)).min(LATER),
            Self::ZeroCopy => AT_LAST,
        }
    }

    /// What the user can do if the link does not come up.
    fn advice(self) -> &'static str {
        match self {
            Self::Copying => "stop and start the port when it does",
            Self::ZeroCopy => "start it, then this program again (a zero-copy client connects once)",
        }
    }
}

/// Starts a port by `start`. If the port is a net_memif client whose server is not there or not ready yet, it
/// is stopped by `stop` and started again, for up to 5 s, until the link `is_up`, or `give_up` says true.
///
/// # Errors
/// What `stop` returns, and what `start` returns, unless `may` says that it may be tried again and there is
/// time for that.
pub fn persist<P, E>(
    port: &mut P,
    (id, client): (PortId, Option<Client>),
    mut start: impl FnMut(&mut P) -> Result<(), E>,
    mut stop: impl FnMut(&mut P) -> Result<(), E>,
    is_up: impl Fn(&P) -> bool,
    may: impl Fn(&E) -> bool,
    give_up: impl Fn() -> bool,
) -> Result<(), E> {
    let Some(client) = client else { return start(port) };
    let (begun, mut attempts) = (Instant::now(), 0);
    loop {
        let started = start(port);
        let up = started.is_ok() && comes_up(port, client.handshake(attempts), &is_up, &give_up);
        if up || begun.elapsed() > PATIENCE || give_up() {
            if !up && started.is_ok() {
                log::warn!("port {id}: no net_memif server answers: {}", client.advice());
            }
            return started;
        }
        match started {
            Ok(()) => {
                attempts += 1;
                stop(port)?;
            }
            Err(e) if may(&e) => thread::sleep(PAUSE),
            Err(e) => return Err(e),
        }
    }
}

/// Whether the link comes up within this time.
fn comes_up<P>(port: &P, within: Duration, is_up: impl Fn(&P) -> bool, give_up: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !is_up(port) {
        if begun.elapsed() > within || give_up() {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_ask_its_server_again() {
        let of = |args| Client::of("net_memif", args);
        assert_eq!(of("role=server,id=0"), None);
        assert_eq!(of("id=0,role=client,role=the-server"), None, "as the driver reads it");
        assert_eq!(of("role=client,zero-copy=no"), Some(Client::Copying));
        assert_eq!(of("id=0"), Some(Client::Copying), "the driver's default");
        assert_eq!(of("role=client,zero-copy=yes,id=0"), Some(Client::ZeroCopy));
        assert_eq!(Client::of("net_tap", "zero-copy=yes"), None);
    }

    #[test]
    fn an_attempt_takes_longer_than_the_one_before() {
        let all: Vec<_> =
            (0..5).chain([u32::MAX]).map(|n| Client::Copying.handshake(n).as_millis()).collect();
        assert_eq!(all, [500, 1000, 2000, 2000, 2000, 2000]);
    }

    #[test]
    fn a_zero_copy_client_is_not_stopped_in_its_handshake() {
        // A server answers the second time that it is asked, or when it was asked for so long.
        let answers = SOON + SOON / 4;
        for (client, starts) in [(Client::Copying, 2), (Client::ZeroCopy, 1)] {
            let mut starts_and_stops = (0, 0);
            let begun = Instant::now();
            let done = persist(
                &mut starts_and_stops,
                (PortId(0), Some(client)),
                |(starts, _)| -> Result<(), ()> {
                    *starts += 1;
                    Ok(())
                },
                |(_, stops)| {
                    *stops += 1;
                    Ok(())
                },
                |&(starts, _)| starts == 2 || client == Client::ZeroCopy && begun.elapsed() > answers,
                |()| false,
                || false,
            );
            assert_eq!((done, starts_and_stops), (Ok(()), (starts, starts - 1)), "{client:?}");
        }
    }
}
