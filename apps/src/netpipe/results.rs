//! [`Results`]: what was measured, a [`Cell`] for each transport and size.
//!
//! The initiator adds one block after another, by [`Ping::add`] and [`Stream::add`]. [`super::output`] reads
//! the sums. The figure of a cell is the median of its blocks, so one disturbed block does not change it
//! much.

use std::collections::BTreeMap;

use super::order::Account;
use super::transport::{Kind, Transport};
use crate::histogram::Histogram;

/// A transport as results name it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its kind.
    pub(crate) kind: &'static Kind,
    /// How its work is measured: if polled, the time of polls that found something; else its thread's CPU
    /// time.
    pub(crate) is_polled: bool,
    /// The wire that it ran over.
    pub(crate) wire: String,
    /// Bytes of payload at most.
    pub(crate) limit: usize,
}

/// All results of a run.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// The transports, in the order in which they were given.
    pub(crate) rows: Vec<Row>,
    /// By size and row.
    pub(crate) cells: BTreeMap<(usize, usize), Cell>,
}

/// The results of one transport at one payload size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    /// Round trips.
    pub(crate) ping: Ping,
    /// Round trips with each echo summed anew.
    pub(crate) ping_anew: Ping,
    /// One way, as fast as the sender goes.
    pub(crate) stream: Stream,
    /// One way, with a window.
    pub(crate) window: Stream,
}

/// Round trips.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ping {
    /// How long they took.
    pub(crate) trips: Histogram,
    /// The median of each block, ns.
    pub(crate) medians: Vec<u64>,
    /// Echoes that did not come in time.
    pub(crate) lost: u64,
    /// Datagrams that were not the echo that was awaited.
    pub(crate) late: u64,
    /// Echoes with other bytes, in the warm-up.
    pub(crate) wrong: u64,
    /// The initiator's account.
    pub(crate) ours: Account,
    /// The responder's.
    pub(crate) theirs: Account,
}

/// One block of round trips: the trips that were measured, and the datagrams that do not count.
#[derive(Clone, Debug, Default)]
pub(crate) struct PingBlock {
    /// How long the round trips took, ns; those of the warm-up are left out.
    pub(crate) trips: Histogram,
    /// Echoes that did not come in time; those of the warm-up are left out.
    pub(crate) lost: u64,
    /// Datagrams that were not the echo that was awaited.
    pub(crate) late: u64,
    /// Echoes with other bytes. Only the warm-up compares every byte.
    pub(crate) wrong: u64,
}

/// A stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// Datagrams sent.
    pub(crate) sent: u64,
    /// Bits of payload a second, received, of each block, in the order of size once sorted.
    pub(crate) rates: Vec<f64>,
    /// The initiator's account.
    pub(crate) ours: Account,
    /// The responder's.
    pub(crate) theirs: Account,
}

impl Results {
    /// Empty results for these transports.
    pub(crate) fn of(transports: &[Box<dyn Transport>]) -> Self {
        let row = |t: &dyn Transport| Row {
            kind: t.kind(),
            is_polled: t.is_polled(),
            wire: t.wire(),
            limit: t.limit(),
        };
        Self { rows: transports.iter().map(|t| row(t.as_ref())).collect(), cells: BTreeMap::new() }
    }

    /// The cell of a row at a size.
    pub(crate) fn cell(&mut self, row: usize, size: usize) -> &mut Cell {
        self.cells.entry((size, row)).or_default()
    }

    /// The cells of a row, by size.
    pub(crate) fn of_row(&self, row: usize) -> impl Iterator<Item = (usize, &Cell)> {
        self.cells.iter().filter(move |((_, of), _)| *of == row).map(|(&(size, _), cell)| (size, cell))
    }
}

impl Ping {
    /// Adds a block.
    pub(crate) fn add(&mut self, block: &PingBlock, ours: &Account, theirs: &Account) {
        self.medians.extend(block.trips.quantile(0.5));
        self.trips.merge(&block.trips);
        self.lost += block.lost;
        self.late += block.late;
        self.wrong += block.wrong;
        self.ours.add(ours);
        self.theirs.add(theirs);
    }

    /// The median of the blocks' medians, ns: one block that was disturbed does not count.
    pub(crate) fn median(&self) -> Option<u64> {
        let mut medians = self.medians.clone();
        medians.sort_unstable();
        medians.get(medians.len() / 2).copied()
    }

    /// Bits of payload a second, one way, as NetPIPE has it: the size by half a round trip.
    pub(crate) fn bandwidth(&self, size: usize) -> Option<f64> {
        self.median().map(|ns| size as f64 * 8.0 * 2e9 / ns.max(1) as f64)
    }
}

impl Stream {
    /// Adds a block of datagrams of `size` bytes.
    pub(crate) fn add(&mut self, size: usize, sent: u64, ours: &Account, theirs: &Account) {
        self.sent += sent;
        // The time begins with the first datagram, so that one does not count.
        if theirs.datagrams > 1 && theirs.span_ns > 0 {
            self.rates.push((theirs.datagrams - 1) as f64 * size as f64 * 8e9 / theirs.span_ns as f64);
            self.rates.sort_by(f64::total_cmp);
        }
        self.ours.add(ours);
        self.theirs.add(theirs);
    }

    /// The median of the blocks' rates, bits a second.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rates.get(self.rates.len() / 2).copied()
    }

    /// Datagrams that did not arrive, of those sent.
    pub(crate) fn loss(&self) -> f64 {
        self.sent.saturating_sub(self.theirs.datagrams) as f64 / self.sent.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_block_does_not_count() {
        let mut ping = Ping::default();
        for ns in [100, 9000, 110] {
            let mut block = PingBlock::default();
            block.trips.add(ns);
            ping.add(&block, &Account::default(), &Account::default());
        }
        assert_eq!((ping.median(), ping.trips.max()), (Some(110), Some(9000)));
        // 55 ns one way.
        assert_eq!(ping.bandwidth(55).map(f64::round), Some(8e9));
    }

    #[test]
    fn a_stream_is_what_arrived() {
        let mut stream = Stream::default();
        let theirs = Account { datagrams: 11, span_ns: 1000, ..Account::default() };
        stream.add(100, 22, &Account::default(), &theirs);
        assert_eq!(stream.rate(), Some(8e9));
        assert!((stream.loss() - 0.5).abs() < 1e-9);
    }
}
