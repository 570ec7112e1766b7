//! SIGINT, SIGTERM and SIGHUP: the first one ends the program in order, a second one at once.
//!
//! Where SIGHUP is ignored from the start, as under nohup, it stays so.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

use crate::console;

/// A signal has come.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Whether a signal has come. Loops that wait for somebody then end.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

/// A second signal within this time is the first one's double: `timeout` signals a process and then its
/// group.
const DOUBLE: Duration = Duration::from_millis(10);

/// Calls `first` at the first signal. After it, the next ends the process at once, with 128 and its number.
pub(crate) fn watch(first_one: impl Fn() + Send + 'static) -> io::Result<()> {
    let armed = Arc::new(AtomicBool::new(false));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut ours = vec![SIGINT, SIGTERM];
    ours.extend((!is_ignored(&status, SIGHUP)).then_some(SIGHUP));
    for &signal in &ours {
        // The handler itself ends the process, so that a thread that hangs cannot prevent it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&armed))?;
    }
    let mut signals = Signals::new(ours)?;
    thread::Builder::new().name("lm-signals".into()).spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in &mut signals {
            console::restore_terminal();
            match first {
                None => {
                    first = Some(Instant::now());
                    ENDING.store(true, Ordering::Relaxed);
                    first_one();
                    thread::sleep(DOUBLE);
                    armed.store(true, Ordering::Relaxed);
                }
                Some(then) if then.elapsed() > 2 * DOUBLE => low_level::exit(128 + signal),
                Some(_) => {}
            }
        }
    })?;
    Ok(())
}

/// Whether a process with this `/proc/PID/status` ignores the signal.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// What the prompt does when the terminal, in raw mode, gives it Ctrl-C as a character.
pub(crate) fn interrupt() {
    let _ = low_level::raise(SIGINT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_seen() {
        let status =
            |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert!(is_ignored(&status("0000000000001001"), SIGHUP));
        assert!(!is_ignored(&status("0000000000001000"), SIGHUP));
        assert!(!is_ignored(&status("what"), SIGHUP) && !is_ignored("", SIGHUP));
    }
}
