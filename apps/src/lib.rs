//! LM's programs lm-testpmd, lm-netpipe and lmd: command lines and reports on top of `lm-node`.
//!
//! The modules that they share, in the order in which a run uses them:
//!
//! - `start` splits and parses the command line, and starts EAL without output. A failure is one line.
//!   `landing_options`, `port_options` and `parse` read the options and their values.
//! - `vdevs` and `capture` check the virtual devices that EAL is to make. `file_uses` and `regular_file`
//!   check the files that are named. All of this happens before EAL starts.
//! - `console`, `logging`, `quiet` and `signals`: output, the log, EAL's own output, and signals.
//! - `dead_sockets` removes what a killed run left behind.
//! - `ac_policy`, `key_file` and `ac_state` read the values of `--ac`, `--ac-key-file` and `--ac-state`.
//! - `explain` adds the options that would help to a message of the node. `no_port` says why EAL has no
//!   port.
//! - `pattern` makes payloads in which every byte can be checked.
//! - `histogram`, `engine_tally` and `message_log` record what happened. `writer` writes it to files, so that
//!   other threads need not wait.
//!
//! The programs are the modules `lmd`, `netpipe` and `testpmd`.
#![forbid(unsafe_code)]

mod ac_policy;
mod ac_state;
mod capture;
mod console;
mod dead_sockets;
mod engine_tally;
mod explain;
mod file_uses;
mod histogram;
mod key_file;
mod landing_options;
mod lmd;
mod logging;
mod message_log;
mod netpipe;
mod no_port;
mod parse;
mod pattern;
mod port_options;
mod quiet;
mod regular_file;
mod signals;
mod start;
mod testpmd;
mod vdevs;
#[cfg(test)]
mod words;
mod writer;

use std::process::ExitCode;

/// lm-testpmd.
pub fn testpmd() -> ExitCode {
    testpmd::main()
}

/// lmd.
pub fn lmd() -> ExitCode {
    lmd::main()
}

/// lm-netpipe.
pub fn netpipe() -> ExitCode {
    netpipe::main()
}
