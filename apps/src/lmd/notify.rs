//! [`Supervisor`]: tells systemd the state of lmd (sd_notify(3)), by datagrams to the socket that
//! `NOTIFY_SOCKET` names.
//!
//! [`super::begin`] calls it when frames are moved and when lmd ends. Without the variable nothing is sent. A
//! socket that cannot be reached is a warning, and no call waits for a reader.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The program that started lmd, if it wants to know lmd's state.
pub(crate) struct Supervisor(Option<(UnixDatagram, SocketAddr)>);

impl Supervisor {
    /// The one that the environment names.
    pub(crate) fn of_environment() -> Self {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        Self(name.and_then(|name| match reach(&name) {
            Ok(way) => Some(way),
            Err(e) => {
                log::warn!("NOTIFY_SOCKET={} cannot be reached: {e}", name.display());
                None
            }
        }))
    }

    /// Tells that lmd moves frames now.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// Tells that lmd is about to end.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, text: &str) {
        let Some((socket, to)) = &self.0 else { return };
        if let Err(e) = socket.send_to_addr(text.as_bytes(), to) {
            log::warn!("the supervisor cannot be told {text:?}: {e}");
        }
    }
}

/// A socket, and the address with this name: a path, or `@` and the name of an abstract one.
fn reach(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let to = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor an abstract name")),
    };
    let socket = UnixDatagram::unbound()?;
    // A supervisor that does not read must not stop the port.
    socket.set_nonblocking(true)?;
    Ok((socket, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets_are_told() {
        let path = std::env::temp_dir().join(format!("lm-notify-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let abstract_name = format!("@lm-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name.as_bytes()[1..]).expect("a name");
        let ears = [UnixDatagram::bind(&path), UnixDatagram::bind_addr(&address)];
        for (ear, name) in ears.into_iter().zip([path.as_os_str(), OsStr::new(&abstract_name)]) {
            let ear = ear.expect("a socket");
            let supervisor = Supervisor(Some(reach(name).expect("it is there")));
            supervisor.ready("lm0");
            supervisor.stopping();
            let mut text = [0; 64];
            let n = ear.recv(&mut text).expect("a message");
            assert_eq!(&text[..n], b"READY=1\nSTATUS=lm0");
            let n = ear.recv(&mut text).expect("a message");
            assert_eq!(&text[..n], b"STOPPING=1");
        }
        std::fs::remove_file(&path).expect("was there");
    }

    #[test]
    fn who_is_gone_or_has_no_name_stops_nothing() {
        assert!(reach(OsStr::new("relative")).is_err());
        assert!(reach(OsStr::new(&"@".repeat(200))).is_err());
        Supervisor(Some(reach(OsStr::new("/nowhere/at/all")).expect("a path"))).ready("lm0");
        Supervisor(None).ready("lm0");
    }
}
