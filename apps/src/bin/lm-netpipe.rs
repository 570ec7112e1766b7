//! lm-netpipe: latency, bandwidth and CPU over payload sizes, of LM and of its alternatives.
//!
//! Only the entry point is here. The program is the module `netpipe` of the library `lm_apps`.

fn main() -> std::process::ExitCode {
    lm_apps::netpipe()
}
