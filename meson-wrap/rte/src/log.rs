//! DPDK's log, joined to the [`log`] crate.
//!
//! DPDK writes its messages to a stdio stream. [`join`] gives it a stream of ours that cuts the text into
//! lines and hands each to the `log` crate: `EAL: No free hugepages` becomes a record with the target
//! `dpdk::eal`. Messages that come in pieces are kept, for each thread, until their newline arrives.
//! [`Eal::init`](crate::Eal::init) joins the logs before anything else, so that nothing is lost; the stream
//! stays for the life of the process.
//!
//! What DPDK lets through is still DPDK's decision (`--log-level`), and the `log` crate filters once more.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

use ::log::Level;

/// How many complaints are kept to explain a failed operation.
const KEPT: usize = 6;
/// A warning of every start, which explains nothing.
const USUAL: &str = "TELEMETRY: No legacy callbacks, legacy socket not created";
/// How the answer to EAL's option `-v` begins. DPDK writes it at its level for critical errors.
const VERSION: &str = "EAL: RTE Version: ";
/// A longer line is cut, so that a driver that never ends its line cannot use up the memory.
const LONGEST: usize = 4096;

static COMPLAINTS: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

thread_local! {
    static PARTIAL: RefCell<Partial> = const { RefCell::new(Partial { text: Vec::new(), level: Level::Info }) };
}

/// The beginning of a line whose newline has not come yet.
struct Partial {
    text: Vec<u8>,
    level: Level,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            emit(self.level, &String::from_utf8_lossy(&self.text));
        }
    }
}

/// Joins DPDK's log to the `log` crate. Any thread may call it, any number of times; only the first call
/// counts.
///
/// [`Eal::init`](crate::Eal::init) does this. An application that initialises EAL itself and then
/// [adopts](crate::Eal::adopt) it decides for itself. Without memory for the stream, DPDK's log stays where
/// it was.
pub fn join() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `write` has the type that cookie streams ask for, uses no cookie, and lives for ever. The
        // stream is never closed, so DPDK can hold it for ever. It is unbuffered: a message reaches `write`
        // whole and in the thread that logs it.
        unsafe {
            let stream = dpdk_sys::dpdk_sys_cookie_stream(std::ptr::null_mut(), Some(write));
            if !stream.is_null() {
                libc::setvbuf(stream.cast(), std::ptr::null_mut(), libc::_IONBF, 0);
                dpdk_sys::rte_openlog_stream(stream);
            }
        }
    });
}

/// Forgets the complaints so far.
pub(crate) fn forget_complaints() {
    COMPLAINTS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// The last warnings and errors of DPDK's log since [`Eal::init`](crate::Eal::init) began, oldest first, in
/// one line. They explain why something that EAL was told to make is not there.
pub fn complaints() -> String {
    let kept = COMPLAINTS.lock().unwrap_or_else(PoisonError::into_inner);
    kept.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// The stream's write function.
unsafe extern "C" fn write(_cookie: *mut c_void, text: *const c_char, len: usize) -> isize {
    if text.is_null() || len == 0 {
        return 0;
    }
    // SAFETY: stdio passes `len` readable bytes at `text`, for the time of the call.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
    // SAFETY: reads a thread-local integer of libdpdk.
    let level = level_of(unsafe { dpdk_sys::rte_log_cur_msg_loglevel() });
    // A logger that panics must not unwind into DPDK; its message is lost.
    let _ = catch_unwind(AssertUnwindSafe(|| take(level, bytes)));
    len as isize
}

fn level_of(dpdk: i32) -> Level {
    match u32::try_from(dpdk).unwrap_or(0) {
        dpdk_sys::RTE_LOG_EMERG..=dpdk_sys::RTE_LOG_ERR => Level::Error,
        dpdk_sys::RTE_LOG_WARNING => Level::Warn,
        dpdk_sys::RTE_LOG_DEBUG => Level::Debug,
        // NOTICE, INFO, and text that was not written by rte_log
        _ => Level::Info,
    }
}

/// Whether a warning or an error of DPDK's can explain a failure. What every start says cannot, nor what was
/// asked for.
pub fn explains(line: &str) -> bool {
    line != USUAL && !line.starts_with(VERSION)
}

/// Adds a piece of text to this thread's line and emits the lines that are complete.
fn take(level: Level, mut bytes: &[u8]) {
    while let Some(end) = bytes.iter().position(|&b| b == b'\n') {
        let line = with_partial(|partial| {
            let mut line = std::mem::take(&mut partial.text);
            line.extend_from_slice(&bytes[..end]);
            line
        });
        // The line was taken out of the cell, because a logger may itself log through DPDK.
        emit(level, &String::from_utf8_lossy(&line.unwrap_or_else(|| bytes[..end].to_vec())));
        bytes = &bytes[end + 1..];
    }
    if !bytes.is_empty() {
        with_partial(|partial| {
            let room = LONGEST.saturating_sub(partial.text.len());
            partial.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
            partial.level = level;
        });
    }
}

/// `None` while the thread ends and its locals are gone.
fn with_partial<T>(f: impl FnOnce(&mut Partial) -> T) -> Option<T> {
    PARTIAL.try_with(|cell| cell.try_borrow_mut().ok().map(|mut partial| f(&mut partial))).ok().flatten()
}

fn emit(level: Level, line: &str) {
    let line = line.trim_end();
    if line.is_empty() {
        return;
    }
    if level <= Level::Warn && explains(line) {
        let mut kept = COMPLAINTS.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(line.to_owned());
    }
    let (target, text) = split(line);
    ::log::log!(target: &target, level, "{text}");
}

/// Splits `EAL: text` into the target `dpdk::eal` and the text; a line without such a name belongs to `dpdk`.
fn split(line: &str) -> (String, &str) {
    let is_name = |s: &str| {
        !s.is_empty()
            && s.len() <= 24
            && s.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    match line.split_once(':') {
        Some((name, text)) if is_name(name) => {
            (format!("dpdk::{}", name.to_ascii_lowercase()), text.trim_start())
        }
        _ => ("dpdk".to_owned(), line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_targets() {
        assert_eq!(split("EAL: No free pages"), ("dpdk::eal".into(), "No free pages"));
        assert_eq!(split("ETHDEV:x"), ("dpdk::ethdev".into(), "x"));
        assert_eq!(split("Cannot open /dev: no"), ("dpdk".into(), "Cannot open /dev: no"));
        assert_eq!(split(""), ("dpdk".into(), ""));
    }

    #[test]
    fn a_line_in_pieces_is_one_line() {
        forget_complaints();
        take(Level::Error, b"EAL: first ");
        assert_eq!(complaints(), "");
        take(Level::Error, b"half\nEAL: second\nthird");
        assert_eq!(complaints(), "EAL: first half; EAL: second");
        take(Level::Warn, b"\n");
        take(Level::Warn, format!("{USUAL}\n{VERSION}'DPDK 22.11.11'\n").as_bytes());
        assert_eq!(complaints(), "EAL: first half; EAL: second; third");
        for _ in 0..100 {
            take(Level::Error, &[b'x'; 1000]);
        }
        take(Level::Error, b"\n");
        assert!(complaints().len() < LONGEST + 100);
    }
}
