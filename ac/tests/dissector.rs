//! The Wireshark dissector reads what the crate writes: a capture of a whole exchange, through tshark.
//!
//! Where there is no tshark the test says so and passes, unless `LM_TOOLS=must` (CI).

mod net;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use ac::wire::Message;
use ac::{Config, HandleError, Key, Kind, PORT, Policy};
use net::{Net, config, ms};

/// Ethernet, IPv4 and UDP around a message, addresses made of the nodes' numbers.
fn frame(from: u8, to: u8, payload: &[u8]) -> Vec<u8> {
    let udp = 8 + payload.len();
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, from, 10, 0, 0, to];
    ip[2..4].copy_from_slice(&(20 + udp as u16).to_be_bytes());
    let sum: u32 = ip.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0];
    frame.extend(ip);
    for field in [PORT, PORT, udp as u16, 0] {
        frame.extend(field.to_be_bytes());
    }
    frame.extend(payload);
    frame
}

fn capture(path: &Path, frames: &[Vec<u8>]) {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (i, frame) in frames.iter().enumerate() {
        for word in [i as u32, 0, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    std::fs::write(path, file).expect("writes");
}

/// Where frames for a landing queue go.
const LANDING: ac::HardwareAddress = [2, 0, 0, 0, 0, 0x11];

/// Every message of a request, a refusal, a renewal and an end, and of a node that comes back.
fn exchange(key: Option<Key>) -> Vec<(usize, Vec<u8>)> {
    let landing = vec![LANDING];
    let mut net = Net::new(&Config { key, landing, flush: 256, ..config(Policy::PerReceiver) }, 3);
    let mut all = Vec::new();
    let mut settle = |net: &mut Net| {
        while !net.wire.is_empty() {
            let (to, bytes) = net.wire.remove(0);
            all.push((to, bytes.clone()));
            match net.handle(to, &bytes) {
                Ok(()) | Err(HandleError::Unproven) => {}
                Err(why) => panic!("{why}"),
            }
        }
    };
    net.request(0, 1);
    settle(&mut net);
    net.request(2, 1);
    settle(&mut net);
    net.release(0, 1);
    settle(&mut net);
    net.pass(ms(2), false);
    settle(&mut net);
    net.release(2, 1);
    settle(&mut net);
    net.pass(ms(2), false);
    settle(&mut net);
    net.restart(0);
    net.request(0, 1);
    settle(&mut net);
    all
}

/// What the dissector names.
const FIELDS: [&str; 22] = [
    "kind",
    "reason",
    "priority",
    "queue",
    "from",
    "to",
    "incarnation",
    "sequence",
    "echo_incarnation",
    "echo_sequence",
    "address",
    "size",
    "landing",
    "challenge",
    "response",
    "request",
    "grant",
    "lease",
    "flush",
    "position",
    "mac",
    "malformed",
];

/// tshark; not as root, for whom it loads no script from 4.4 on.
fn tshark() -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    if !root {
        return Command::new("tshark");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "tshark"]).env("HOME", "/tmp");
    command
}

#[test]
fn tshark_reads_what_we_write() {
    let must = std::env::var("LM_TOOLS").is_ok_and(|v| v == "must");
    if Command::new("tshark").arg("--version").output().is_err() {
        assert!(!must, "no tshark");
        println!("no tshark here: not tested");
        return;
    }
    // A copy where every user may read it.
    let script = std::env::temp_dir().join(format!("lm-ac-{}.lua", std::process::id()));
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("wireshark/lm-ac.lua");
    std::fs::write(&script, std::fs::read(ours).expect("reads")).expect("writes");
    let key = Key::new([5; 32]);
    for (name, key) in [("open", None), ("keyed", Some(key))] {
        let messages = exchange(key.clone());
        let read: Vec<Message> =
            messages.iter().map(|(_, b)| Message::decode(b, key.as_ref()).expect("a message")).collect();
        for kind in Kind::EVERY {
            assert!(read.iter().any(|m| m.kind == kind), "the exchange has no {}", kind.name());
        }
        let mut frames: Vec<Vec<u8>> = messages
            .iter()
            .zip(&read)
            .map(|((to, bytes), m)| frame(m.from.0 as u8, *to as u8 + 1, bytes))
            .collect();
        // And what is no message: cut short, of another version, of an unknown kind.
        let good = &messages[0].1;
        let with = |at: usize, byte: u8| {
            let mut b = good.clone();
            b[at] = byte;
            frame(1, 2, &b)
        };
        frames.extend([frame(1, 2, &good[..50]), with(2, 9), with(3, 77), frame(1, 2, &[])]);
        let path: PathBuf = std::env::temp_dir().join(format!("lm-ac-{name}-{}.pcap", std::process::id()));
        capture(&path, &frames);
        let mut tshark = tshark();
        tshark.arg("-r").arg(&path).arg("-X").arg(format!("lua_script:{}", script.display()));
        tshark.args(["-T", "fields", "-E", "separator=,", "-e", "_ws.col.Protocol"]);
        for field in FIELDS {
            tshark.arg("-e").arg(format!("lm_ac.{field}"));
        }
        let output = tshark.output().expect("tshark runs");
        std::fs::remove_file(&path).expect("removes");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split(',').collect()).collect();
        assert_eq!(lines.len(), frames.len(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        for ((line, m), (_, bytes)) in lines.iter().zip(&read).zip(&messages) {
            let reason = if m.kind == Kind::AcqRej { (m.reason as u8).to_string() } else { String::new() };
            let mac: String =
                bytes[ac::wire::LENGTH..].iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat();
            let hex = |n: u64| format!("0x{n:016x}");
            let (granted, challenge) = (m.kind == Kind::AcqOk, m.kind == Kind::Challenge);
            let want = [
                "LM-AC".to_owned(),
                (m.kind as u8).to_string(),
                reason,
                m.priority.to_string(),
                m.queue.to_string(),
                hex(m.from.0),
                hex(m.to.0),
                m.incarnation.to_string(),
                m.sequence.to_string(),
                m.echo_incarnation.to_string(),
                m.echo_sequence.to_string(),
                hex(m.address.0),
                if granted || challenge { String::new() } else { m.size.to_string() },
                if granted { "02:00:00:00:00:11".to_owned() } else { String::new() },
                if challenge { hex(m.size) } else { String::new() },
                if challenge { hex(m.request) } else { String::new() },
                if challenge { String::new() } else { m.request.to_string() },
                m.grant.to_string(),
                m.lease.to_string(),
                m.flush.to_string(),
                m.position.to_string(),
                mac,
                String::new(),
            ];
            assert_eq!(line, &want, "{name}: {m:?}");
        }
        for line in &lines[read.len()..read.len() + 3] {
            assert_eq!(line[1], "", "no kind: {line:?}");
            assert_ne!(line[FIELDS.len()], "", "marked as malformed: {line:?}");
        }
    }
    std::fs::remove_file(&script).expect("removes");
}
