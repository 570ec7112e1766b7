//! Runs each example as its first lines say. An example prints what it saw, and fails if that is not right.
//!
//! The README's first program is one of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// An example as a command. Cargo builds a package's examples beside its tests.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("this program has a path");
    let build = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let mut command = Command::new(build.join("examples").join(name));
    let prefix = format!("lmx{}{name}", std::process::id());
    command.args([
        "--no-pci",
        "--no-huge",
        "-m",
        "256",
        "--no-telemetry",
        "--log-level=4",
        "--file-prefix",
        &prefix,
    ]);
    command
}

/// The path of a file of this process's own.
fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("lm-examples-{}-{name}", std::process::id()))
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Runs an example on two net_memif ports that are connected to each other. Returns what it printed.
fn joined(name: &str, more: &[&str]) -> String {
    let socket = file(name);
    let vdev = |i: usize, role: &str| {
        format!("--vdev=net_memif{i},role={role},id=0,rsize=9,socket-abstract=no,socket={}", socket.display())
    };
    let mut command = example(name);
    command.args(more).arg(vdev(0, "server")).arg(vdev(1, "client"));
    let output = command.output().expect("it is built");
    let _ = fs::remove_file(&socket);
    said(&output)
}

/// DPDK ends the process for a wrong option from 25.11 on. A plug-in that does so stands in for that.
#[test]
fn one_line_and_code_2_if_eal_ends_the_process() {
    // EAL takes no plug-in out of a folder that all can write to.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, plug_in) = (folder.join("end.c"), folder.join("end.so"));
    let end = "#include <stdlib.h>\n__attribute__((constructor)) static void end(void) { exit(234); }\n";
    fs::write(&source, end).expect("a temporary file");
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let built = Command::new(cc).args(["-shared", "-fPIC", "-o"]).arg(&plug_in).arg(&source).status();
    assert!(built.expect("a C compiler").success());
    let output = example("hello").arg("-d").arg(&plug_in).output().expect("it is built");
    fs::remove_file(&source).and_then(|()| fs::remove_file(&plug_in)).expect("they are there");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    let ours = told.lines().filter(|line| line.starts_with("hello: ")).collect::<Vec<_>>();
    assert!(ours.len() == 1 && ours[0].contains("EAL rejects its arguments"), "{told}");
}

#[test]
fn echo_gets_every_message_back() {
    let text = joined("echo", &["-l", "0"]);
    assert!(text.contains("1000 of 1000 messages came back, 0 of them wrong"), "{text}");
}

#[test]
fn what_is_written_in_place_arrives() {
    let text = joined("in_place", &["-l", "0"]);
    assert!(
        text.contains("40000 bytes were written in place") && text.contains("2000 lines arrived"),
        "{text}"
    );
}

#[test]
fn ports_run_on_lcores_of_their_own_and_are_stopped_by_another_thread() {
    let text = joined("queues", &["--lcores=0@0,1@0,2@0"]);
    assert!(text.contains("net_memif0 on lcore 1") && text.contains("net_memif1 on lcore 2"), "{text}");
}

/// Writes a capture with one datagram of LM's, the last frame first.
fn capture(path: &Path, len: usize) {
    let flow = lm_proto::wire::Flow { src: 0x0a01_0001, dst: 0x0a01_0002, src_port: 9, dst_port: 7000 };
    let ends = lm_proto::alf::Ends { src_mac: [2, 0, 0, 0, 0, 1], dst_mac: [2, 0, 0, 0, 0, 2], flow };
    let geometry = lm_proto::layout::Geometry::ETHERNET;
    let mode = lm_proto::alf::ChecksumMode::Full;
    let mut memory = vec![0; geometry.buffer_len()];
    let mut blocks = lm_proto::alf::Blocks::new(geometry);
    blocks.fill(&mut memory, &vec![5; len], mode);
    let layout = blocks.seal(&mut memory, &ends, 1, mode);
    let mut bytes = Vec::new();
    let word = |bytes: &mut Vec<u8>, n: u32| bytes.extend(n.to_le_bytes());
    for n in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1] {
        word(&mut bytes, n);
    }
    for i in (0..layout.fragments()).rev() {
        let frame = &memory[lm_proto::alf::frame(geometry, &layout, i)];
        for n in [0, 0, frame.len() as u32, frame.len() as u32] {
            word(&mut bytes, n);
        }
        bytes.extend(frame);
    }
    fs::write(path, bytes).expect("a file");
}

#[test]
fn a_queue_of_the_applications_own_is_adopted() {
    let path = file("embed.pcap");
    capture(&path, 2000);
    let vdev = format!("--vdev=net_pcap0,rx_pcap={}", path.display());
    let output = example("embed").args(["-l", "0", &vdev]).output().expect("it is built");
    let _ = fs::remove_file(&path);
    let text = said(&output);
    // Slots are separate until more has come: it lies in pieces.
    assert!(text.contains("1 messages, 2000 bytes, copied 0"), "{text}");
}

/// A process that is killed when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn hello_answers_a_socket_program() {
    let name = format!("lmx{}", std::process::id() % 100_000);
    let ip = |args: &[&str]| {
        Command::new("ip").args(args).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    if !ip(&["tuntap", "add", "dev", &name, "mode", "tap"])
        || !ip(&["tuntap", "del", "dev", &name, "mode", "tap"])
    {
        println!("no TAP can be made here (root, /dev/net/tun, ip): hello was not run");
        return;
    }
    let vdev = format!("--vdev=net_tap0,iface={name}");
    let mut command = example("hello");
    command.args(["-l", "0", &vdev]).stdout(Stdio::piped());
    let mut hello = Running(command.spawn().expect("it is built"));
    let until = Instant::now() + Duration::from_secs(20);
    while !ip(&["addr", "add", "10.1.0.1/24", "dev", &name]) {
        assert!(Instant::now() < until, "there is no {name}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(ip(&["link", "set", &name, "up"]));
    let socket = UdpSocket::bind("10.1.0.1:0").expect("an address of ours");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a time");
    let (data, mut answer) = (vec![9; 30_000], vec![0; 65_536]);
    let came = loop {
        assert!(Instant::now() < until, "nothing came back");
        socket.send_to(&data, "10.1.0.2:7000").expect("a route");
        if let Ok((n, _)) = socket.recv_from(&mut answer) {
            break n;
        }
    };
    assert!(answer[..came] == data);
    let mut line = String::new();
    BufReader::new(hello.0.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("30000 bytes from 10.1.0.1:"), "{line}");
}

#[test]
fn the_readme_opens_with_hello() {
    let (readme, hello) = (include_str!("../../README.md"), include_str!("../examples/hello.rs"));
    let code = hello.split_once("\nuse ").map_or("", |(_, code)| code);
    let block = readme.split_once("```rust\nuse ").and_then(|(_, rest)| rest.split_once("```"));
    assert_eq!(block.map(|(block, _)| block), Some(code));
}
