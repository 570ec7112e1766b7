//! lm-testpmd: sends, receives, echoes and measures UDP datagrams of up to 65,507 bytes on DPDK ports.

fn main() -> std::process::ExitCode {
    lm_apps::testpmd()
}
