//! The Wireshark dissector reads what the crate writes: a capture of a whole exchange, through tshark.
//!
//! It is loaded in each way that its users have: by `-X`, from the personal folder, and for root, whom tshark
//! gives neither of these from 4.4 on, from the global one. Where there is no tshark the tests say so and
//! pass, unless `LM_TOOLS=must` (CI).

mod net;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
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
    fs::write(path, file).expect("writes");
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

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// Whether a program is there. In CI it must be.
fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
    let must = std::env::var("LM_TOOLS").is_ok_and(|v| v == "must");
    assert!(there || !must, "no {program}");
    if !there {
        println!("no {program} here: not tested");
    }
    there
}

/// A folder with copies of the dissector and its installer that every user may read, whoever owns the tree.
/// It is a home, too, that every user may write to. It goes at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lm-ac-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("ours");
        let this = Self(path);
        for (file, mode) in [("lm-ac.lua", 0o644), ("install.sh", 0o755)] {
            let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("wireshark").join(file);
            fs::write(this.file(file), fs::read(ours).expect("reads")).expect("writes");
            fs::set_permissions(this.file(file), Permissions::from_mode(mode)).expect("ours");
        }
        this
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A program at home here; not as root.
    fn user(&self, program: &str) -> Command {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
            command
        } else {
            Command::new(program)
        };
        command.env("HOME", &self.0).env_remove("XDG_CONFIG_HOME").env_remove("WIRESHARK_PLUGIN_DIR");
        command
    }

    /// Runs the installer as a user.
    fn install(&self, options: &[&str]) -> String {
        let ran = self.user("sh").arg(self.file("install.sh")).args(options).output().expect("runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("text")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn tshark_reads_what_we_write() {
    if !is_there("tshark") {
        return;
    }
    let folder = Folder::new("user");
    let option = format!("lua_script:{}", folder.file("lm-ac.lua").display());
    let key = Key::new([5; 32]);
    // By the option; installed; and both, which is once too often.
    for (name, key, installed, option) in [
        ("open", None, false, Some(&option)),
        ("keyed", Some(key), true, None),
        ("twice", None, true, Some(&option)),
    ] {
        if installed {
            let told = folder.install(&[]);
            assert!(told.starts_with(&format!("installed: {}", folder.0.display())), "{told}");
        }
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
        let path = folder.file(&format!("{name}.pcap"));
        capture(&path, &frames);
        let mut tshark = folder.user("tshark");
        tshark.arg("-r").arg(&path);
        if let Some(option) = option {
            tshark.arg("-X").arg(option);
        }
        tshark.args(["-T", "fields", "-E", "separator=,", "-e", "_ws.col.Protocol"]);
        for field in FIELDS {
            tshark.arg("-e").arg(format!("lm_ac.{field}"));
        }
        let output = tshark.output().expect("tshark runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !complaints.contains("Lua:"), "{name}: {complaints}");
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
    let told = folder.install(&["-u"]);
    let removed = Path::new(told.trim().strip_prefix("removed: ").expect("says what"));
    assert!(removed.starts_with(&folder.0) && !removed.exists(), "{told}");
}

/// Installs with `$1` into a global folder of its own, in a name space of mounts, and reads `$2` as root.
const AS_ROOT: &str = r#"
folder=$(tshark -G folders 2>/dev/null | sed -n 's/^Global Lua Plugins:[[:space:]]*//p')
mount -t tmpfs none "$folder"
"$1" >&2
HOME=$3 tshark -r "$2" -T fields -e lm_ac.kind
"#;

#[test]
fn tshark_reads_it_as_root_from_the_global_folder() {
    if !is_there("tshark") {
        return;
    }
    let unshare = ["--mount", "--propagation=private"];
    if !is_root() || !Command::new("unshare").args(unshare).arg("true").status().is_ok_and(|s| s.success()) {
        println!("only root can be given a folder of its own: not tested");
        return;
    }
    let folder = Folder::new("root");
    let messages = exchange(None);
    let frames: Vec<_> = messages.iter().map(|(to, bytes)| frame(9, *to as u8 + 1, bytes)).collect();
    let path = folder.file("root.pcap");
    capture(&path, &frames);
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-ec", AS_ROOT, "sh"]);
    command.arg(folder.file("install.sh")).arg(&path).arg(&folder.0);
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kind = |bytes| Message::decode(bytes, None).expect("a message").kind as u8;
    let want: Vec<_> = messages.iter().map(|(_, bytes)| kind(bytes).to_string()).collect();
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text.lines().collect::<Vec<_>>(), want);
}
