//! LM's programs: lm-testpmd and lm-netpipe.
//!
//! What both are made of, from the outside in:
//!
//! - `start`, `port_options`, `parse`: the command line, and EAL's silent start;
//! - `vdevs`, `capture`, `file_uses`, `regular_file`: what is looked at before EAL starts: devices and files;
//! - `console`, `logging`, `quiet`, `signals`: the process's streams, terminal and signals;
//! - `port`: a port; `link` is a started one as loops see it, `arp` finds MAC addresses, `ordinary` is the queue
//!   that nothing lands on, `receive_mode` passes the time when nothing comes, `exit` the port its frames go on to, `admission` asks who may send; `pattern` makes payloads;
//! - `histogram`, `tally`, `message_log`: what was done; `writer` writes files beside those who have something to say.
//!
//! And the programs: `testpmd`, `netpipe`.
#![forbid(unsafe_code)]

mod admission;
mod arp;
mod capture;
mod console;
mod exit;
mod file_uses;
mod histogram;
mod link;
mod logging;
mod message_log;
mod netpipe;
mod ordinary;
mod parse;
mod pattern;
mod port;
mod port_options;
mod quiet;
mod receive_mode;
mod regular_file;
mod signals;
mod start;
mod tally;
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
