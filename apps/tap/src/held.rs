//! [`hold`] and [`release`]: signals that end a process wait, also while the process executes another
//! program.
//!
//! lmd holds signals before it executes itself at its end, and releases them when the process that gives the
//! card back has been told to. Without that, a signal in between would end lmd, and the card would stay with
//! DPDK.

use std::io;

/// The signals that are held.
const SIGNALS: [libc::c_int; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];

/// Has SIGHUP, SIGINT and SIGTERM wait for this thread. A program that this thread executes begins with the
/// same signals held. Other threads of this process still get them.
///
/// # Errors
/// What the system says.
pub fn hold() -> io::Result<()> {
    change(libc::SIG_BLOCK)
}

/// Has this thread get the signals again, and those that have waited.
///
/// # Errors
/// What the system says.
pub fn release() -> io::Result<()> {
    change(libc::SIG_UNBLOCK)
}

fn change(how: libc::c_int) -> io::Result<()> {
    // SAFETY: zeroes are a value of this plain structure, which is made empty below in any case.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set lives through the calls. The signals are valid, and the old mask is not asked for.
    let errno = unsafe {
        libc::sigemptyset(&raw mut set);
        for signal in SIGNALS {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut())
    };
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// The signals that a program which this thread starts begins with as held ones.
    fn held() -> u64 {
        let done = Command::new("cat").arg("/proc/self/status").output().expect("cat runs");
        let text = String::from_utf8(done.stdout).expect("text");
        let mask = text.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("a mask");
        u64::from_str_radix(mask.trim(), 16).expect("a number")
    }

    #[test]
    fn what_is_executed_begins_with_the_signals_held() {
        let ours = SIGNALS.iter().fold(0, |all, signal| all | 1 << (signal - 1));
        let before = held();
        assert_eq!(before & ours, 0, "not yet");
        hold().expect("held");
        assert_eq!(held(), before | ours);
        release().expect("released");
        assert_eq!(held(), before);
    }
}
