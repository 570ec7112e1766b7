//! Everything that needs EAL, which a process can initialise once: one test, in steps, on virtual devices.
//! Starts of EAL that must fail run in copies of this process.

mod fragments;
mod handlers;
mod lcores;
mod packets;
mod ports;
mod segments;
mod starts;

use std::sync::Mutex;

use rte::{Eal, EalError, Release};

struct Collect(Mutex<Vec<(String, String)>>);

impl log::Log for Collect {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push((record.target().to_owned(), record.args().to_string()));
    }
    fn flush(&self) {}
}

static LOG: Collect = Collect(Mutex::new(Vec::new()));

#[test]
fn all_that_needs_eal() {
    starts::be_a_copy();
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let eal = initialise();
    lcores::work_on_lcores(&eal);
    packets::memory(&eal);
    packets::packets(&eal);
    fragments::fragments(&eal);
    segments::segments(&eal);
    ports::states_of_a_port(&eal);
    ports::packets_go_round(&eal);
    handlers::a_handler_feeds_a_port(&eal);
    handlers::handlers_that_refuse(&eal);
    clean_up(eal);
}

fn initialise() -> Eal {
    // Whether EAL returns or ends the process: whoever starts it learns of it.
    starts::is_told("option");
    starts::is_told("table");
    starts::is_told("one thread");
    starts::is_told("member");
    if Eal::release() < Release(25, 11, 0) {
        // A mistake says what is wrong, and may be corrected.
        let e = Eal::init(["test", "--no-such-option"]).unwrap_err();
        assert!(matches!(e, EalError::Arguments { .. }), "{e}");
    }
    let prefix = format!("--file-prefix=rte-test-{}", std::process::id());
    let args = ["test", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", &prefix, "--lcores=0@0,1@0"];
    let devices = ["--vdev=net_null0,size=100", "--vdev=net_ring0", "--log-level=lib.eal:debug"];
    let (eal, rest) = Eal::init(args.into_iter().chain(devices).chain(["--", "own", "--arg"])).unwrap();
    assert_eq!(rest, ["own", "--arg"]);
    assert_eq!(Eal::init(["test"]).unwrap_err(), EalError::AlreadyInitialised);
    assert!(eal.version().starts_with("DPDK "), "{}", eal.version());
    assert!(!eal.has_hugepages());
    assert_eq!((eal.main_lcore(), eal.worker_lcores()), (0, vec![1]));
    let log = LOG.0.lock().unwrap();
    assert!(log.iter().any(|(target, text)| target == "dpdk::eal" && text.contains("Main lcore 0 is ready")));
    assert!(log.iter().all(|(_, text)| !text.contains('\n')));
    eal
}

fn clean_up(eal: Eal) {
    let other = eal.clone();
    let (eal, in_use) = eal.cleanup().unwrap_err();
    assert_eq!(in_use.0, 1, "{in_use}");
    drop(other);
    assert!(Eal::is_initialised());
    eal.cleanup().unwrap();
    assert!(!Eal::is_initialised(), "it reads nothing that is gone");
    assert_eq!(Eal::init(["test", "--no-huge"]).unwrap_err(), EalError::AlreadyInitialised);
}
