//! [`Quiet`]: keeps what EAL prints away from the terminal while EAL starts. EAL prints its usage and its
//! fatal errors by itself.
//!
//! [`crate::start`] redirects standard output and standard error into a file in memory, so that a failure
//! remains one line. After a start that succeeds, the text goes to standard error.

use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::stdio::{dup2_stderr, dup2_stdout};

/// Standard output and error, redirected into a file in memory.
pub(crate) struct Quiet {
    out: OwnedFd,
    err: OwnedFd,
    aside: std::fs::File,
}

impl Quiet {
    /// Redirects the streams. `None`: the system does not allow it, and nothing changes.
    pub(crate) fn begin() -> Option<Self> {
        let _ = io::stdout().flush();
        let out = rustix::io::dup(io::stdout()).ok()?;
        let err = rustix::io::dup(io::stderr()).ok()?;
        let aside = std::fs::File::from(memfd_create("lm-start", MemfdFlags::CLOEXEC).ok()?);
        dup2_stdout(&aside).ok()?;
        if dup2_stderr(&aside).is_err() {
            let _ = dup2_stdout(&out);
            return None;
        }
        Some(Self { out, err, aside })
    }

    /// EAL has started: restores the streams, and writes what the file holds to standard error.
    pub(crate) fn end(mut self) {
        let _ = (dup2_stdout(&self.out), dup2_stderr(&self.err));
        let _ = io::stderr().write_all(&self.text());
    }

    /// EAL has failed: restores standard error, and returns what the file holds. Standard output stays
    /// redirected, as C's library may still have text for it, which it writes when the process ends.
    pub(crate) fn fail(mut self) -> String {
        let _ = dup2_stderr(&self.err);
        String::from_utf8_lossy(&self.text()).into_owned()
    }

    fn text(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let _ = self.aside.rewind().and_then(|()| self.aside.read_to_end(&mut text));
        text
    }
}
