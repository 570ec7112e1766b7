//! Removes socket files of net_memif that a killed run left behind. Until such a file is removed, no server
//! can use its name.
//!
//! [`crate::start::look`] calls [`remove`] before EAL starts. Only a socket to which the kernel refuses a
//! connection is removed.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// Removes a socket that no process has bound. Returns whether it did. What is no socket stays, and so does a
/// socket whose state cannot be read.
pub(crate) fn remove(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    is_socket && !may_be_bound(path) && fs::remove_file(path).is_ok()
}

/// Whether a process may have bound this socket.
///
/// The question is asked with a datagram socket. The kernel answers EPROTOTYPE for a memif listener, which
/// never sees it. It must not see a connection: net_memif ends its process if a peer connects and leaves at
/// once (`eal_intr_thread_main`: "Error adding fd").
fn may_be_bound(path: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let asked = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        .and_then(|socket| connect(&socket, &SocketAddrUnix::new(path)?));
    asked != Err(Errno::CONNREFUSED)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_socket_that_nobody_bound_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let [dead, file, none] = ["dead", "file", "none"].map(|name| dir.path().join(name));
        drop(UnixListener::bind(&dead).expect("a socket"));
        fs::write(&file, "x").expect("a file");
        assert!(remove(&dead) && !dead.exists());
        assert!(!remove(&file) && file.exists());
        assert!(!remove(&none));
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let socket = socket.expect("a socket");
        rustix::net::bind(&socket, &SocketAddrUnix::new(&dead).expect("a name")).expect("bound");
        rustix::net::listen(&socket, 1).expect("listening");
        assert!(!remove(&dead) && dead.exists(), "somebody listens");
        rustix::io::ioctl_fionbio(&socket, true).expect("no waiting");
        let seen = rustix::net::accept(&socket).map(drop);
        assert_eq!(seen, Err(Errno::AGAIN), "and is not disturbed by the question");
    }
}
