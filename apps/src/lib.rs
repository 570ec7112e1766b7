//! LM's programs: lm-testpmd, lm-netpipe and lmd, command lines and reports on top of `lm-node`.
//!
//! What they are made of, in the order in which a run meets it:
//!
//! - `start`: the command line is split and parsed, EAL starts in silence, and a failure is one line;
//!   `port_options`, `parse`: options and their values;
//! - `vdevs`, `capture`: the devices that EAL is to make; `file_uses`, `regular_file`: the files that
//!   are named. All of them are looked at before EAL starts;
//! - `console`, `logging`, `quiet`, `signals`: the process's streams, its log, EAL's own words, and
//!   signals;
//! - `dead_sockets`: what a run that was killed left behind;
//! - `ac_policy`, `key_file`, `ac_state`: what `--ac` and its companions name;
//! - `explain`: what a node says, with the options that would change it;
//! - `pattern`: payloads, of which every byte is known;
//! - `histogram`, `engine_tally`, `message_log`: what was done; `writer`: writes it to files, beside
//!   threads that must not wait.
//!
//! The programs are `lmd`, `netpipe` and `testpmd`.
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
mod lmd;
mod logging;
mod message_log;
mod netpipe;
mod parse;
mod pattern;
mod port_options;
mod quiet;
mod regular_file;
mod signals;
mod start;
mod testpmd;
mod vdevs;
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
