//! [`MessageLog`]: the file of `--message-log`, with a JSON object for each received datagram, one a line.
//!
//! The forwarding loop of lm-testpmd calls [`MessageLog::record`] for each datagram before an engine gets it.
//! [`Writer`] writes the file in another thread, so the loop never waits for the disk. [`MessageLog::finish`]
//! is an error if a line is missing.

use std::fmt::Write as _;
use std::path::Path;

use lm_engine::Message;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::parse;
use crate::writer::Writer;

/// A file of lines, which [`Writer`] writes: no thread that forwards waits for it.
pub(crate) struct MessageLog {
    out: Writer,
    line: Vec<u8>,
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
    pieces: usize,
}

impl MessageLog {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        Ok(Self { out: Writer::create(path)?, line: Vec::new() })
    }

    /// Writes the line of a datagram.
    pub(crate) fn record(&mut self, message: &Message) {
        let flow = message.flow();
        let line = Line {
            src: &parse::endpoint(flow.src, flow.src_port),
            dst: &parse::endpoint(flow.dst, flow.dst_port),
            len: message.len(),
            sha256: &sha256(message.pieces()),
            copied: message.copied(),
            whole_by: message.proof().name(),
            fragments: message.fragments(),
            pieces: message.pieces().len(),
        };
        self.line.clear();
        if let Err(e) = serde_json::to_writer(&mut self.line, &line) {
            // Texts and numbers are written into memory, which cannot fail.
            log::error!("a line of the message log is not written: {e}");
            return;
        }
        self.line.push(b'\n');
        self.out.push(&self.line);
    }

    /// Lets others read what was written so far.
    pub(crate) fn flush(&mut self) {
        self.out.flush();
    }

    /// The end: whether every line is written.
    pub(crate) fn finish(self) -> Result<(), String> {
        self.out.finish()
    }
}

/// SHA-256 of all pieces, in hexadecimal digits.
fn sha256<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut digest = Sha256::new();
    pieces.for_each(|piece| digest.update(piece));
    let mut text = String::with_capacity(64);
    for byte in digest.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(
            sha256([&b"a"[..], b"bc"].into_iter()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
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
            pieces: 1,
        };
        assert_eq!(
            serde_json::to_string(&line).expect("a line"),
            concat!(
                r#"{"src":"198.18.0.1:9","dst":"198.18.0.2:9","len":1,"sha256":"00","copied":0,"#,
                r#""whole_by":"headers","fragments":1,"pieces":1}"#
            )
        );
    }
}
