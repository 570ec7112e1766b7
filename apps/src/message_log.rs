//! [`MessageLog`]: a JSON object for each received datagram, one a line.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use lm::Message;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::parse;

/// A file of lines.
pub(crate) struct MessageLog {
    out: BufWriter<File>,
    /// A line could not be written, and nothing is any more.
    broken: bool,
    unflushed: bool,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    src: &'a str,
    dst: &'a str,
    len: usize,
    sha256: &'a str,
    copied: usize,
    whole_by: &'a str,
    fragments: usize,
}

impl MessageLog {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            out: BufWriter::with_capacity(1 << 16, File::create(path)?),
            broken: false,
            unflushed: false,
        })
    }

    /// Writes the line of a datagram.
    pub(crate) fn record(&mut self, message: &Message) {
        let flow = message.flow();
        let line = Line {
            src: &parse::endpoint(flow.src, flow.src_port),
            dst: &parse::endpoint(flow.dst, flow.dst_port),
            len: message.len(),
            sha256: &sha256(message),
            copied: message.copied(),
            whole_by: message.whole_by().name(),
            fragments: message.fragments(),
        };
        if !self.broken {
            self.unflushed = true;
            let line = serde_json::to_writer(&mut self.out, &line).map_err(io::Error::from);
            let written = line.and_then(|()| self.out.write_all(b"\n"));
            self.check(written);
        }
    }

    /// Lets others read what was written so far.
    pub(crate) fn flush(&mut self) {
        if self.unflushed && !self.broken {
            self.unflushed = false;
            let flushed = self.out.flush();
            self.check(flushed);
        }
    }

    fn check(&mut self, written: io::Result<()>) {
        if let Err(e) = written {
            self.broken = true;
            log::error!("the message log ends here: {e}; make room and start again");
        }
    }
}

/// SHA-256 in hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_line_has_the_promised_keys() {
        let line = Line {
            src: "198.18.0.1:9",
            dst: "198.18.0.2:9",
            len: 1,
            sha256: "00",
            copied: 0,
            whole_by: "headers",
            fragments: 1,
        };
        assert_eq!(
            serde_json::to_string(&line).expect("a line"),
            r#"{"src":"198.18.0.1:9","dst":"198.18.0.2:9","len":1,"sha256":"00","copied":0,"whole_by":"headers","fragments":1}"#
        );
    }
}
