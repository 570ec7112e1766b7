//! `lmd status`: what a running lmd has counted, by DPDK's telemetry.
//!
//! A running lmd registers the telemetry command `/lm/lmd`. Its answer has the counters of lmd's report,
//! under their names in small letters and underscores. `lmd status` connects to the telemetry socket in the
//! folder that EAL keeps for lmd's file prefix: in `/var/run`, or in the folder that systemd made for the
//! service.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lm_node::watch::OnDemand;
use rte::Eal;
use rte::telemetry::{Value, register};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType};
use rustix::net::{connect, recv, send, socket};
use serde_json::{Map, Value as Json};

use super::configuration::Invocation;
use crate::console::{say, visible};

/// What the loop shows: names and numbers.
pub(crate) static SHOWN: OnDemand<Vec<(String, u64)>> = OnDemand::new();

/// The word of the command line.
pub(crate) const WORD: &str = "status";
/// The options that may follow it.
const KNOWN: [&str; 2] = ["--file-prefix", "--config"];
/// The command of telemetry.
const COMMAND: &str = "/lm/lmd";
/// How long somebody may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer.
const LONGEST: usize = 1 << 16;

/// Offers the command to telemetry.
pub(crate) fn offer(eal: &Eal) {
    let answer = |params: Option<&str>| {
        if params.is_some_and(|params| !params.is_empty()) {
            return None;
        }
        let (at, shown) = SHOWN.look()?;
        let age = ("age_ms".to_owned(), Value::Number(at.elapsed().as_millis() as u64));
        let shown = shown.iter().map(|(name, n)| (key(name), Value::Number(*n)));
        Some(Value::Dict(std::iter::once(age).chain(shown).collect()))
    };
    if let Err(e) =
        register(eal, c"/lm/lmd", c"What lmd moved, and what it lost and why. No parameter", answer)
    {
        log::warn!("{e}");
    }
}

/// A name as telemetry has them.
fn key(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_lowercase()
}

/// Prints the counters of the running lmd that has the file prefix in these words of the command line.
pub(crate) fn print(args: &[String]) -> Result<(), String> {
    known(args)?;
    let Invocation { words, .. } = Invocation::of(args)?;
    let prefix = prefix(&words)?;
    let shown = folders().into_iter().map(|folder| counters(&folder, &prefix));
    // The answer of the first lmd that answers. If none does, the error of the first folder.
    let shown = shown.reduce(|first, next| first.or_else(|why| next.map_err(|_| why)));
    for (name, n) in shown.unwrap_or_else(|| Ok(Map::new()))? {
        say!("{}", line(&name, &n));
    }
    Ok(())
}

/// The line of a counter. Another program than lmd may have answered.
fn line(name: &str, n: &Json) -> String {
    visible(&format!("{:>12} {}", n.to_string(), name.replace('_', " ")))
}

/// Refuses words that are none of this command's: the counters of another lmd would be shown.
fn known(args: &[String]) -> Result<(), String> {
    let mut words = args.iter().skip(1);
    while let Some(word) = words.next() {
        if KNOWN.contains(&word.as_str()) {
            words.next();
        } else if !KNOWN.iter().any(|name| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
        {
            return Err(format!("{WORD} takes {} NAME or {} FILE, and no {word:?}", KNOWN[0], KNOWN[1]));
        }
    }
    Ok(())
}

/// The counters of the lmd whose files EAL keeps in this folder, under this file prefix.
fn counters(folder: &Path, prefix: &str) -> Result<Map<String, Json>, String> {
    let path = folder.join("dpdk").join(prefix).join("dpdk_telemetry.v2");
    let answer = ask(&path).map_err(|e| {
        format!("no lmd answers at {} ({e}): name its --file-prefix, or its file by --config", path.display())
    })?;
    let answer: Json = serde_json::from_str(&answer).unwrap_or_default();
    let shown = answer.get(COMMAND).and_then(Json::as_object);
    shown.cloned().ok_or_else(|| format!("{} belongs to another program than lmd", path.display()))
}

/// EAL's file prefix in these words of a command line. Without the option it is `rte`.
fn prefix(words: &[String]) -> Result<String, String> {
    let mut words = words.iter().skip(1).take_while(|word| *word != "--");
    let mut prefix = "rte".to_owned();
    while let Some(word) = words.next() {
        if let Some(rest) = word.strip_prefix("--file-prefix") {
            let given = rest.strip_prefix('=').map(str::to_owned).or_else(|| words.next().cloned());
            prefix =
                given.filter(|p| !p.is_empty() && !p.contains('/')).ok_or("--file-prefix: give a name")?;
        }
    }
    Ok(prefix)
}

/// The folders in one of which EAL keeps what belongs to a run, as far as its environment is not known. A
/// service has a folder of its own there, of any name.
fn folders() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut all: Vec<_> = variable("RUNTIME_DIRECTORY").into_iter().collect();
    if rustix::process::getuid().is_root() {
        all.push(PathBuf::from("/var/run"));
    } else {
        all.push(variable("XDG_RUNTIME_DIR").unwrap_or_else(|| PathBuf::from("/tmp")));
    }
    let mut services: Vec<_> =
        std::fs::read_dir("/run").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    services.sort();
    all.extend(services.into_iter().filter(|path| path.join("dpdk").is_dir()));
    all
}

fn ask(path: &Path) -> io::Result<String> {
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
    for which in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(&socket, which, Some(PATIENCE))?;
    }
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    let mut answer = vec![0; LONGEST];
    // DPDK introduces itself first.
    recv(&socket, &mut answer[..], RecvFlags::empty())?;
    send(&socket, COMMAND.as_bytes(), SendFlags::empty())?;
    let (n, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    String::from_utf8(answer[..n.min(LONGEST)].to_vec()).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;

    #[test]
    fn what_is_shown_does_not_act_on_a_terminal() {
        assert_eq!(line("frames_to_the_wire", &Json::from(7)), "           7 frames to the wire");
        let said = line("\u{1b}[2J_\u{202e}x\n", &Json::from("\u{9b}1A\u{7f}"));
        assert!(!said.chars().any(char::is_control), "{said:?}");
        assert!(said.ends_with(r"\u{1b}[2J \u{202e}x\u{a}"), "{said:?}");
    }

    #[test]
    fn keys_are_different_words() {
        assert_eq!(key("lost: too big, and not to be cut"), "lost_too_big_and_not_to_be_cut");
        let mut keys: Vec<_> = Tally::default().fields().iter().map(|(name, _)| key(name)).collect();
        assert!(keys.iter().all(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        let n = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), n);
    }

    #[test]
    fn the_prefix_is_eals() {
        let of = |line: &str| prefix(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of("lmd"), Ok("rte".to_owned()));
        assert_eq!(of("lmd -l 0 --file-prefix=a -- --file-prefix=b"), Ok("a".to_owned()));
        assert_eq!(of("lmd --file-prefix a"), Ok("a".to_owned()));
        assert!(of("lmd --file-prefix").is_err() && of("lmd --file-prefix=../x").is_err());
    }

    #[test]
    fn words_that_mean_nothing_here_are_refused() {
        let of = |line: &str| print(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for (line, wrong) in [
            ("lmd frob", "frob"),
            ("lmd --file-prefx=a", "prefx"),
            ("lmd --file-prefix=a b", "\"b\""),
            ("lmd --file-prefixes=a", "prefixes"),
            ("lmd --help", "--help"),
            ("lmd --check", "--check"),
            ("lmd -- --file-prefix=a", "\"--\""),
        ] {
            let why = of(line).expect_err(line);
            assert!(why.contains(wrong) && why.contains("--config FILE") && !why.contains('\n'), "{why}");
        }
        for line in ["lmd --file-prefix nobody-has-this", "lmd --config=/nowhere", "lmd --config"] {
            let why = of(line).expect_err(line);
            assert!(!why.contains("takes"), "{why}");
        }
    }

    #[test]
    fn nobody_answers_where_nobody_is() {
        let words: Vec<_> = ["lmd", "--file-prefix=nobody-has-this"].map(str::to_owned).into();
        let why = print(&words).expect_err("nobody");
        assert!(why.contains("nobody-has-this") && !why.contains('\n'), "{why}");
    }
}
