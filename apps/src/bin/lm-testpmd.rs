//! lm-testpmd: sends, receives, echoes and measures UDP datagrams of up to 65,507 bytes on DPDK ports.
//!
//! Only the entry point is here. The program is the module `testpmd` of the library `lm_apps`.

fn main() -> std::process::ExitCode {
    lm_apps::testpmd()
}
