//! lm-testpmd's engines do not allocate for a datagram: ping, echo, tx and rx, each a process of its own.
//!
//! This program is lm-testpmd with an allocator that counts. It runs itself twice for each pair of engines,
//! with few datagrams and with many. What many take more than few is allocated for datagrams.

#[path = "../../lm/tests/counting/mod.rs"]
mod counting;

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::Ordering;

use counting::ALLOCATIONS;

/// Names the file that lm-testpmd's allocations are written to.
const COUNT_TO: &str = "LM_COUNT_TO";
const FEW: u64 = 2000;
const MANY: u64 = 12_000;
/// Runs with many, of which the least counts: in some, something allocates once for all. What is allocated
/// for datagrams is allocated in each.
const RUNS: usize = 5;
/// What may be allocated beside: nothing that grows with time; but `ping` meets classes of round trips for
/// the first time, and their five histograms grow by doubling. One allocation a datagram of one of the five
/// sizes would be 2000.
const BESIDE: u64 = 20;
const CLASSES: u64 = 100;

/// An lm-testpmd with one end of a wire.
fn end(dir: &Path, name: &str, role: &str, options: &[&str]) -> Child {
    let server = role == "server";
    let (peer, mac) = if server { (1, 2) } else { (2, 1) };
    let ips = format!("--tx-ip=198.18.0.{mac},198.18.0.{peer}");
    let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
    let core = if server || cpus == 1 { "0" } else { "1" };
    let vdev = format!(
        "--vdev=net_memif0,role={role},id=0,rsize=10,socket-abstract=no,mac=02:00:00:00:00:0{mac},socket={}",
        dir.join("wire").display()
    );
    let prefix = format!("--file-prefix=lmna{}{name}", std::process::id());
    let own = format!("--eth-peer=0,02:00:00:00:00:0{peer}");
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["-l", core, "--no-huge", "-m", "192", "--no-pci", "--no-telemetry", &prefix, &vdev, "--"])
        .args(options)
        .args([&own, &ips])
        .env(COUNT_TO, dir.join(name))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// What two engines allocate for so many datagrams: the first is the client, and ends by itself.
fn pair(dir: &Path, first: &str, second: &str, count: u64) -> [u64; 2] {
    let (mode, count) = (|engine| format!("--forward-mode={engine}"), format!("--count={count}"));
    let sizes = "--txsize=64,1400,1472,7168,60000";
    // A stream is slow enough for any receiver: what is sent must be received.
    let slow = if first == "tx" { "--tx-interval=200" } else { "--tx-interval=0" };
    let server = end(dir, second, "server", &[&mode(second), &count]);
    let client = end(dir, first, "client", &[&mode(first), &count, sizes, slow]);
    for mut one in [client, server] {
        let status = one.wait().expect("it ends");
        assert!(status.success(), "{first} and {second}: {status}");
    }
    [first, second].map(|name| {
        let text = fs::read_to_string(dir.join(name)).expect("it counted");
        text.parse().expect("a number")
    })
}

fn directory() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("lm-no-alloc-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

fn main() -> ExitCode {
    if let Some(file) = std::env::var_os(COUNT_TO) {
        let code = lm_apps::testpmd();
        let n = ALLOCATIONS.load(Ordering::Relaxed);
        fs::write(file, n.to_string()).expect("the count is written");
        return code;
    }
    let (dir, mut failed) = (directory(), 0);
    for (first, second) in [("ping", "echo"), ("tx", "rx")] {
        let few = pair(&dir, first, second, FEW);
        let most = |engine| if engine == "ping" { CLASSES } else { BESIDE };
        let mut more = [u64::MAX; 2];
        for _ in 0..RUNS {
            let many = pair(&dir, first, second, MANY);
            for i in 0..2 {
                more[i] = more[i].min(many[i].saturating_sub(few[i]));
            }
            if more[0] <= most(first) && more[1] <= most(second) {
                break;
            }
        }
        for (engine, more) in [first, second].into_iter().zip(more) {
            println!("test {engine}: {more} allocations for {} datagrams", MANY - FEW);
            failed += u32::from(more > most(engine));
        }
    }
    let _ = fs::remove_dir_all(&dir);
    println!("{} passed, {failed} failed", 4 - failed);
    ExitCode::from(u8::from(failed > 0))
}
