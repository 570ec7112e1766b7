//! lm-netpipe: latency, bandwidth and CPU over payload sizes, LM next to what one would use instead.

fn main() -> std::process::ExitCode {
    lm_apps::netpipe()
}
