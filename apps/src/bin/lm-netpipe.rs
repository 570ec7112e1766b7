//! lm-netpipe: latency, bandwidth and CPU over payload sizes, of LM and of its alternatives.

fn main() -> std::process::ExitCode {
    lm_apps::netpipe()
}
