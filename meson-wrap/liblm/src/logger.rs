//! Passes the log records of LM's crates to DPDK's log, with the same level.
//!
//! [`crate::lifecycle`] joins the logs at the first call that needs EAL. If the program has a logger of the
//! `log` crate already, that one stays. Records below the level `Info` are dropped.

use std::ffi::CString;

use lm::rte::sys;
use log::{Level, LevelFilter, Log, Metadata, Record};

struct ToDpdk;

static TO_DPDK: ToDpdk = ToDpdk;

impl Log for ToDpdk {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => sys::RTE_LOG_ERR,
            Level::Warn => sys::RTE_LOG_WARNING,
            _ => sys::RTE_LOG_INFO,
        };
        let Ok(line) = CString::new(format!("LM: {}\n", record.args()).replace('\0', " ")) else { return };
        // SAFETY: the format takes one string, which lives until the call returns.
        unsafe { sys::rte_log(level, sys::RTE_LOGTYPE_USER1, c"%s".as_ptr(), line.as_ptr()) };
    }

    fn flush(&self) {}
}

/// Joins the logs. Only the first call counts.
pub(crate) fn join() {
    if log::set_logger(&TO_DPDK).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
