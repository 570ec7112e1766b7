//! Tests of the matcher over a mock of the slot memory: what is delivered, what is counted, and that each
//! slot comes back.
//!
//! There is a test for each row of `docs/strangers.md`. `tests/table.rs` reads the tables of `docs/proof.md`.

use super::*;
use crate::alf::ChecksumMode;
use crate::checksum;
use crate::mock::{self, Delivered, Mock, MockMatcher, fragment, lm_frames, plain_frames};
use crate::policy::{Accept, WholeBy};
use crate::reassembler::Limits;
use crate::service::Service;
use crate::wire::{self, Arp, ETHERNET, Flow, HEADERS, Udp};
use std::collections::VecDeque;

mod arrival;
mod card;
mod expected;
mod kept;
mod layout;
mod looks;
mod proof;
mod single;
mod strangers;
mod table;

const A: Flow = Flow { src: 0x0a00_0001, dst: 0x0a00_00fe, src_port: 7000, dst_port: 9000 };
const B: Flow = Flow { src: 0x0a00_0002, dst: 0x0a00_00fe, src_port: 7001, dst_port: 9000 };
const G: Geometry = Geometry::ETHERNET;

fn payload(len: usize, seed: u8) -> Vec<u8> {
    let mut x = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(len as u64 + 1);
    (0..len)
        .map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 56) as u8
        })
        .collect()
}

fn lm(id: u16, data: &[u8]) -> Vec<Vec<u8>> {
    lm_frames(G, A, id, data, ChecksumMode::Full)
}

fn arp() -> Vec<u8> {
    let a = Arp { operation: 1, sender_mac: [2; 6], sender: 9, target_mac: [0; 6], target: 10 };
    a.frame(wire::BROADCAST).to_vec()
}

/// A TCP segment of `len` bytes of frame.
fn tcp(len: usize) -> Vec<u8> {
    let mut f = fragment(A, 99, 0, false, &payload(len - HEADERS, 77));
    f[23] = 6;
    mend(&mut f);
    f
}

/// Makes the checksum of a frame's IPv4 header good.
fn mend(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let sum = checksum::header(&frame[ETHERNET..HEADERS]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

/// The frame with so many bytes more or less behind, as far as a frame can have them.
fn resized(mut frame: Vec<u8>, by: i8) -> Vec<u8> {
    let len = frame.len().saturating_add_signed(by.into()).clamp(HEADERS + 1, 1514);
    frame.resize(len, 0x55);
    frame
}

struct Run {
    mock: Mock,
    matcher: MockMatcher,
    now: u64,
    burst: usize,
    ahead: usize,
}

impl Run {
    fn new(burst: usize, synchronous: bool) -> Self {
        let mut mock = Mock::new(G, 1 << 22, false);
        mock.hides = !synchronous;
        let matcher = Matcher::new(mock::config(G, synchronous));
        Self { mock, matcher, now: 0, burst, ahead: 0 }
    }

    fn ahead(mut self, ahead: usize) -> Self {
        self.ahead = ahead;
        self
    }

    fn separate(mut self) -> Self {
        self.mock.slot = Slot::Separate;
        self
    }

    /// In separate slots, and all is copied.
    fn copying(self) -> Self {
        self.limited(Limits { waiting: 0, ..Limits::default() })
    }

    /// In separate slots, with these limits.
    fn limited(self, limits: Limits) -> Self {
        let config = Config { limits, ..*self.matcher.config() };
        Self { matcher: Matcher::new(config), ..self }.separate()
    }

    fn arrive(&mut self, frames: &[Vec<u8>]) {
        // A synchronous device writes no further than the burst that is asked for.
        let together = if self.matcher.config().synchronous { self.burst } else { usize::MAX };
        for burst in frames.chunks(together) {
            for f in burst {
                self.mock.arrive(f);
            }
            self.mock.receive(&mut self.matcher, self.burst, self.ahead, &mut self.now);
        }
        self.mock.receive(&mut self.matcher, self.burst, self.ahead, &mut self.now);
    }

    /// The same; the frame of this number bounces.
    fn arrive_bounced(&mut self, frames: &[Vec<u8>], bounced: Option<usize>) {
        for (i, f) in frames.iter().enumerate() {
            self.mock.bounce = bounced == Some(i);
            self.arrive(std::slice::from_ref(f));
        }
    }

    /// Nothing comes: so many looks, so many nanoseconds apart.
    fn pass(&mut self, apart: u64, looks: usize) {
        for _ in 0..looks {
            self.now += apart;
            self.matcher.look(self.now, 0, &mut self.mock);
        }
    }

    /// The next good datagram is delivered whatever came before; the ledger is even.
    fn end(mut self) -> (Vec<Delivered>, Counters, Vec<Vec<u8>>) {
        let good = payload(7168, 200);
        self.arrive(&lm(9999, &good));
        self.ahead = 0;
        self.arrive(&[]);
        let last = self.mock.delivered.pop().expect("the next good datagram is delivered");
        assert!(last.payload == good, "the next good datagram is whole");
        self.mock.finish(&mut self.matcher, &mut self.now).expect("an even ledger");
        (self.mock.delivered, self.matcher.counters, self.mock.strangers)
    }
}

/// Every way to poll: (burst, synchronous, frames written ahead of what is reported).
const WAYS: [(usize, bool, usize); 5] =
    [(1, true, 0), (32, true, 0), (1, false, 0), (32, false, 3), (7, false, 1)];

/// Whatever is delivered is one of `sent`, whole; how many.
fn only(delivered: &[Delivered], sent: &[&[u8]]) -> usize {
    for d in delivered {
        assert!(sent.iter().any(|s| *s == d.payload), "{} bytes that nobody sent", d.payload.len());
    }
    delivered.len()
}
