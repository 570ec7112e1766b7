//! Checks the virtual devices on EAL's part of the command line before EAL makes them.
//!
//! EAL reports little about wrong arguments, and truncates a capture file that it is to write.
//! [`crate::start`] calls [`Vdevs::of`] before EAL starts. This module only reads: it changes no file.
//! Devices whose driver it does not know are left to EAL.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use pmd_e1000::demands::check_keys;
use pmd_e1000::devargs::{Devargs, Memif};
use pmd_e1000::device::driver_of;

use crate::capture::{self, Capture, LinkType};
use crate::file_uses::FileUse;
use crate::regular_file;

/// What EAL's options say of virtual devices.
#[derive(Debug, Default)]
pub(crate) struct Vdevs {
    /// The files that they read and write.
    pub(crate) files: Vec<FileUse>,
    /// Captures that will not be received to their end, and why.
    pub(crate) flaws: Vec<String>,
    /// Names of sockets that net_memif's servers will listen at.
    pub(crate) sockets: Vec<PathBuf>,
}

impl Vdevs {
    /// Looks at the devices of EAL's options, the program's name first.
    pub(crate) fn of(eal_args: &[String]) -> Result<Self, String> {
        let mut this = Self::default();
        for device in devices(eal_args) {
            let (name, args) = device.split_once(',').unwrap_or((device, ""));
            let Some(driver) = driver_of(name) else { continue };
            let args = Devargs::parse(args);
            check_keys(driver, &args).map_err(|e| format!("{name}: {e}"))?;
            if driver == "net_pcap" {
                this.captures(name, &args)?;
            }
            if driver == "net_memif" && Memif::of(&args).server && args.last("socket-abstract") == Some("no")
            {
                this.sockets.push(args.last("socket").unwrap_or("/run/memif.sock").into());
            }
        }
        Ok(this)
    }

    fn captures(&mut self, name: &str, args: &Devargs<'_>) -> Result<(), String> {
        // libpcap's word for standard input and output.
        let file = |path: &&str| *path != "-";
        // net_pcap makes a receive queue of each capture, and a port has one queue here.
        let captures = args.all("rx_pcap").count();
        if captures > 1 {
            return Err(format!(
                "{name} is given {captures} captures, of which one would be received: give each a \
                 --vdev of its own"
            ));
        }
        for path in args.all("rx_pcap").filter(file) {
            let path = Path::new(path);
            let what = format!("{name}'s rx_pcap={}", path.display());
            if let Some(capture) = look(path).map_err(|why| format!("{what}: {why}"))? {
                if capture.link != capture::ETHERNET {
                    return Err(format!(
                        "{what}: its frames are {}, not Ethernet: capture on an Ethernet interface",
                        LinkType(capture.link)
                    ));
                }
                self.flaws.extend(capture.missing().map(|why| format!("{what}: {why}")));
            } else {
                log::warn!("{what}: it is no regular file, so its link type and its end are not checked");
            }
            self.files.push(FileUse::read(what, path));
        }
        for path in args.all("tx_pcap").filter(file) {
            let path = Path::new(path);
            self.files.push(FileUse::written(format!("{name}'s tx_pcap={}", path.display()), path));
        }
        Ok(())
    }
}

/// Reads a capture. `None`: it is a pipe or a device, whose bytes would be gone once they are read here.
fn look(path: &Path) -> Result<Option<Capture>, String> {
    if path.metadata().is_ok_and(|data| !data.is_file() && !data.is_dir()) {
        return Ok(None);
    }
    let file = regular_file::open(path).map_err(|e| e.to_string())?;
    capture::read(&mut BufReader::with_capacity(1 << 16, file)).map(Some).map_err(|e| e.to_string())
}

/// The devices that EAL's options name, as its getopt reads them.
fn devices(eal_args: &[String]) -> impl Iterator<Item = &str> {
    let mut words = eal_args.iter().skip(1).map(String::as_str);
    std::iter::from_fn(move || {
        loop {
            let word = words.next()?;
            if let Some(long) = word.strip_prefix("--") {
                let (option, value) = long.split_once('=').map_or((long, None), |(o, v)| (o, Some(v)));
                // A long option may be shortened as long as no other one begins so.
                let is_device = ["vdev", "allow"].iter().any(|full| {
                    full.starts_with(option) && option.len() >= if *full == "vdev" { 2 } else { 1 }
                });
                if is_device {
                    return value.or_else(|| words.next()).map(unbound);
                }
            } else if let Some(value) = word.strip_prefix("-a") {
                return if value.is_empty() { words.next() } else { Some(value) }.map(unbound);
            }
        }
    })
}

/// Removes the name of the bus in front of a device.
fn unbound(device: &str) -> &str {
    device.strip_prefix("vdev:").unwrap_or(device)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::words::words;

    fn wrong(line: &str) -> String {
        Vdevs::of(&words(line)).expect_err(line)
    }

    /// A file in a folder of the test's own.
    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("lm-vdevs-{}-{name}", std::process::id()))
    }

    /// A capture of one frame.
    fn capture(name: &str, link: u32, bytes: usize) -> PathBuf {
        let words = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link, 0, 0, 60, 60];
        let mut file: Vec<u8> = words.iter().flat_map(|n: &u32| n.to_le_bytes()).collect();
        file.resize(bytes, 0);
        let path = place(name);
        std::fs::write(&path, file).expect("a file");
        path
    }

    #[test]
    fn devices_are_found_as_getopt_finds_them() {
        let line = words(
            "lm -l 0 --vdev net_null0 --vdev=net_tap0,iface=x --vd=net_null1 -a vdev:net_null2 \
             -anet_null3 --allow=0000:01:00.0 \
             --version --vdev",
        );
        let found: Vec<_> = devices(&line).collect();
        let all = ["net_null0", "net_tap0,iface=x", "net_null1", "net_null2", "net_null3", "0000:01:00.0"];
        assert_eq!(found, all);
    }

    #[test]
    fn unknown_keys_are_told_before_eal_starts() {
        let told = wrong("lm --vdev=net_memif7,role=server,bufsize=9014");
        for word in ["net_memif7", "\"bufsize\"", "bsize", "zero-copy"] {
            assert!(told.contains(word), "{told}");
        }
        assert!(Vdevs::of(&words("lm --vdev=net_other0,anything=1 -a 0000:01:00.0,key=1")).is_ok());
    }

    #[test]
    fn captures_are_looked_at() {
        let whole = capture("whole", 1, 100);
        let vdevs = Vdevs::of(&words(&format!("lm --vdev=net_pcap0,rx_pcap={}", whole.display())));
        let vdevs = vdevs.expect("a capture");
        assert!(vdevs.flaws.is_empty() && vdevs.files.len() == 1);
        let cut = capture("cut", 1, 99);
        let vdevs = Vdevs::of(&words(&format!("lm --vdev=eth_pcap0,rx_pcap={}", cut.display())));
        assert!(vdevs.expect("a capture").flaws[0].contains("it is cut"));
        let cooked = capture("cooked", 113, 100);
        assert!(wrong(&format!("lm --vdev net_pcap0,rx_pcap={}", cooked.display())).contains("LINUX_SLL"));
        let missing = place("missing");
        assert!(wrong(&format!("lm --vdev net_pcap0,rx_pcap={}", missing.display())).contains("missing"));
        for (path, says) in [("/", "no regular file"), ("/proc/self/status", "no capture")] {
            assert!(wrong(&format!("lm --vdev=net_pcap0,rx_pcap={path}")).contains(says), "{path}");
        }
        let twice = format!("lm --vdev=net_pcap0,rx_pcap={0},rx_pcap={0}", whole.display());
        assert!(wrong(&twice).contains("2 captures"));
        let unseen = Vdevs::of(&words("lm --vdev=net_pcap0,rx_pcap=-,tx_pcap=-")).expect("streams");
        assert!(unseen.files.is_empty());
        [whole, cut, cooked].iter().for_each(|path| std::fs::remove_file(path).expect("was there"));
    }
}
