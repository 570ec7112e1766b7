//! [`close_at_exec`]: has open files closed when this process executes another program.
//!
//! lmd calls it before it executes itself once more at its end. Standard input, output and error stay open.

use std::{fs, io};

/// Has all files but standard input, output and error closed when this process executes another program, also
/// those of libraries.
///
/// # Errors
/// They cannot be listed.
pub fn close_at_exec() -> io::Result<()> {
    let open =
        fs::read_dir("/proc/self/fd")?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    for fd in open.filter_map(|name| name.parse::<i32>().ok()).filter(|fd| *fd > 2) {
        // SAFETY: takes numbers only. The file stays open and works as before; one that was closed meanwhile
        // is not found.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}
