//! LM's programs: lm-testpmd and lm-netpipe.
//!
//! What both are made of, from the outside in:
//!
//! - `start`, `port_options`, `parse`: the command line, and EAL's silent start;
//! - `vdevs`, `capture`, `file_uses`, `regular_file`: what is looked at before EAL starts: devices and files;
//! - `console`, `logging`, `quiet`, `signals`: the process's streams, terminal and signals;
//! - `ac_policy`, `key_file`, `ac_state`: what `--ac` and its companions name; `pattern` makes payloads;
//! - `explain`: what a node says, with the options that would change it;
//! - `histogram`, `engine_tally`, `message_log`: what was done; `writer` writes files beside those who have something to say.
//!
//! And the programs: `testpmd`, `netpipe`.
#![forbid(unsafe_code)]

mod ac_policy;
mod ac_state;
mod capture;
mod console;
mod engine_tally;
mod explain;
mod file_uses;
mod histogram;
mod key_file;
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

/// lm-netpipe.
pub fn netpipe() -> ExitCode {
    netpipe::main()
}
