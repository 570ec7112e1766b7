//! Devices, policies, and the judge of what was delivered.
//!
//! [`play`] sends frames to a matcher. The judge compares everything that it delivers or gives out with the
//! frames as they were sent.

use crate::hand;
use lm_proto::alf::ChecksumMode;
use lm_proto::counters::Counters;
use lm_proto::frame::Slot;
use lm_proto::layout::Geometry;
use lm_proto::matcher::Matcher;
use lm_proto::mock::{Delivered, Mock, MockMatcher, config, lm_frames};
use lm_proto::policy::Require;
use lm_proto::reassembler::Limits;
use lm_proto::wire::{Flow, MIN_FRAME, UDP};
use std::fmt;

/// A device, and how it is polled.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    /// It writes inside the receive call only.
    pub(crate) synchronous: bool,
    pub(crate) burst: usize,
    /// Frames that it has written and not reported yet.
    pub(crate) ahead: usize,
    pub(crate) slot: Slot,
    /// Waiting proves something of it.
    pub(crate) card: bool,
    /// Nothing comes for some milliseconds behind each poll.
    pub(crate) pauses: bool,
    /// Fragments in separate slots are copied together, none waits where it landed.
    pub(crate) copies: bool,
}

pub(crate) const VIRTUAL: Way = Way {
    synchronous: true,
    burst: 1,
    ahead: 0,
    slot: Slot::Overlapping,
    card: true,
    pauses: false,
    copies: false,
};
pub(crate) const CARD: Way = Way { synchronous: false, ..VIRTUAL };
/// net_memif's zero-copy client: a peer process writes, and may be stopped in the middle of a frame.
pub(crate) const PEER: Way = Way { card: false, ..CARD };

pub(crate) const BURSTS: [usize; 4] = [1, 4, 16, 32];

impl Way {
    pub(crate) fn burst(self, burst: usize) -> Self {
        Self { burst, ..self }
    }

    pub(crate) fn separate(self) -> Self {
        Self { slot: Slot::Separate, ..self }
    }

    pub(crate) fn copying(self) -> Self {
        Self { slot: Slot::Separate, copies: true, ..self }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = match (self.synchronous, self.card) {
            (true, _) => "virtual",
            (false, true) => "card",
            (false, false) => "peer",
        };
        write!(f, "{device}, {:?}, burst {}", self.slot, self.burst)?;
        if self.ahead > 0 {
            write!(f, ", {} written ahead", self.ahead)?;
        }
        f.write_str(if self.copies { ", copying" } else { "" })?;
        f.write_str(if self.pauses { ", with pauses" } else { "" })
    }
}

/// Every way to receive in overlapping slots.
pub(crate) fn overlapping() -> Vec<Way> {
    let mut ways = Vec::new();
    for burst in BURSTS {
        ways.push(VIRTUAL.burst(burst));
        for ahead in 0..4 {
            ways.push(Way { ahead, ..CARD.burst(burst) });
            // A peer that is stopped lets time pass behind frames that it has written and not reported.
            ways.push(Way { ahead, pauses: true, ..PEER.burst(burst) });
        }
    }
    ways.push(Way { pauses: true, ..VIRTUAL });
    ways.push(Way { pauses: true, ..CARD });
    ways
}

/// And in separate ones.
pub(crate) fn separate() -> Vec<Way> {
    let ways =
        [VIRTUAL, VIRTUAL.burst(32), CARD.burst(4), Way { ahead: 1, ..CARD }, Way { ahead: 2, ..PEER }];
    [ways.map(Way::separate), ways.map(Way::copying)].concat()
}

pub(crate) fn everywhere() -> Vec<Way> {
    [overlapping(), separate()].concat()
}

/// What is asked for as proof.
#[derive(Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) headers: bool,
    pub(crate) checksum: bool,
    pub(crate) tags: bool,
}

pub(crate) const DEFAULT: Policy = Policy { headers: true, checksum: true, tags: false };
pub(crate) const HEADERS: Policy = Policy { headers: true, checksum: false, tags: false };
pub(crate) const TAGS: Policy = Policy { headers: false, checksum: false, tags: true };
pub(crate) const ALL: Policy = Policy { headers: true, checksum: true, tags: true };

/// All that `--require` can say.
pub(crate) fn policies() -> impl Iterator<Item = Policy> + Clone {
    (1..8).map(|bits| Policy { headers: bits & 1 != 0, checksum: bits & 2 != 0, tags: bits & 4 != 0 })
}

impl From<Policy> for Require {
    fn from(Policy { headers, checksum, tags }: Policy) -> Self {
        Self { headers, checksum, tags }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.headers, "headers"), (self.checksum, "checksum"), (self.tags, "tags")];
        let words: Vec<&str> = words.iter().filter(|w| w.0).map(|w| w.1).collect();
        write!(f, "--require={}", words.join(","))
    }
}

/// What was seen of frames that were received.
pub(crate) struct Seen {
    /// Without the good datagram at the end.
    pub(crate) delivered: Vec<Delivered>,
    pub(crate) strangers: Vec<Vec<u8>>,
    pub(crate) counters: Counters,
}

impl Seen {
    /// How often something was dropped under this name; no counter has it: none.
    pub(crate) fn dropped(&self, name: &str) -> u64 {
        self.counters.drops().find(|(n, _)| *n == name).map_or(0, |(_, n)| n)
    }

    /// Whatever was dropped, and why.
    pub(crate) fn drops(&self) -> Vec<(&'static str, u64)> {
        self.counters.drops().filter(|d| d.1 > 0).collect()
    }

    pub(crate) fn has(&self, flow: Flow, payload: &[u8]) -> bool {
        self.delivered.iter().any(|d| d.whole.flow == flow && d.payload == payload)
    }
}

const GOOD: Flow = Flow { src: 0x0a00_0009, dst: 0x0a00_00fe, src_port: 9, dst_port: 9 };

/// Frames that come at once, and nanoseconds that pass behind them.
pub(crate) type Act = (Vec<Vec<u8>>, u64);

/// Receives these frames, and a good datagram of LM's behind them.
///
/// An error: something was delivered, or handed out, that was not sent; the good datagram was not delivered;
/// a slot or a buffer did not come back; what was counted is not what was seen.
pub(crate) fn play(
    geometry: Geometry,
    require: Policy,
    way: Way,
    frames: &[Vec<u8>],
) -> Result<Seen, String> {
    play_acts(geometry, require, way, &[(frames.to_vec(), 0)])
}

/// The same, with time that passes in between.
pub(crate) fn play_acts(geometry: Geometry, require: Policy, way: Way, acts: &[Act]) -> Result<Seen, String> {
    let count: usize = acts.iter().map(|a| a.0.len()).sum();
    let region = ((count + 64) * (usize::from(geometry.mtu()) + 2100)).next_multiple_of(1 << 12);
    let mut mock = Mock::new(geometry, region, true);
    mock.slot = way.slot;
    let mut setup = config(geometry, way.synchronous);
    setup.require = require.into();
    setup.mirror = mock.mirror();
    // The region has room for all.
    setup.limits.window = Limits::MAX_WINDOW;
    if way.copies {
        setup.limits.waiting = 0;
    }
    if !way.card {
        mock.blind = true;
        setup.quiet = None;
    }
    // What is written ahead of what is reported is being written while somebody looks.
    mock.tearing = way.card && way.ahead > 0;
    mock.tear_by((count + way.ahead) as u64);
    let mut matcher = Matcher::new(setup);
    let mut now = 0;
    let pass = |time: u64, mock: &mut Mock, matcher: &mut MockMatcher, now: &mut u64| {
        let mut left = time;
        while left > 0 {
            let step = left.min(100_000_000);
            *now += step;
            matcher.look(*now, 0, mock);
            left -= step;
        }
    };
    for (frames, time) in acts {
        for some in frames.chunks(way.burst) {
            some.iter().for_each(|f| mock.arrive(f));
            mock.receive(&mut matcher, way.burst, way.ahead, &mut now);
            if way.pauses {
                for _ in 0..3 {
                    pass(2_000_000, &mut mock, &mut matcher, &mut now);
                }
            }
        }
        if *time > 0 {
            mock.receive(&mut matcher, way.burst, 0, &mut now);
            pass(*time, &mut mock, &mut matcher, &mut now);
        }
    }
    mock.receive(&mut matcher, way.burst, 0, &mut now);
    let mut last = lm_frames(geometry, GOOD, 999, &hand::bytes(5000, 999), ChecksumMode::Full);
    // Behind a short frame the last one is known to be as it arrived.
    last.push(hand::arp(251));
    for some in last.chunks(way.burst) {
        some.iter().for_each(|f| mock.arrive(f));
        mock.receive(&mut matcher, way.burst, 0, &mut now);
    }
    mock.finish(&mut matcher, &mut now)?;
    let sent: Vec<Vec<u8>> =
        acts.iter().flat_map(|a| a.0.iter()).chain(&last).map(|f| as_received(f)).collect();
    let mut delivered = std::mem::take(&mut mock.delivered);
    let seen = &matcher.counters;
    judge(&delivered, &mock.strangers, &sent).map_err(|e| format!("{e}; {:?}", drops(seen)))?;
    let bytes: usize = delivered.iter().map(|d| d.payload.len()).sum();
    if (seen.datagrams, seen.bytes) != (delivered.len() as u64, bytes as u64) {
        return Err(format!(
            "{} datagrams of {} bytes are counted, {} of {bytes} were delivered",
            seen.datagrams,
            seen.bytes,
            delivered.len()
        ));
    }
    let good = delivered.iter().position(|d| d.whole.flow == GOOD);
    match good {
        Some(at) => drop(delivered.remove(at)),
        // Nothing but headers proves it, and most of them die within a burst.
        None if !require.checksum && !require.tags && way.slot == Slot::Overlapping => {}
        None => return Err(format!("the next good datagram is not delivered; {:?}", drops(seen))),
    }
    Ok(Seen { delivered, strangers: mock.strangers, counters: *seen })
}

fn drops(counters: &Counters) -> Vec<(&'static str, u64)> {
    counters.drops().filter(|d| d.1 > 0).collect()
}

fn as_received(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame.resize(frame.len().max(MIN_FRAME), 0);
    frame
}

/// A fragment, as its own header has it.
struct Fragment {
    src: u32,
    dst: u32,
    id: u16,
    offset: usize,
    more: bool,
    data: Vec<u8>,
}

fn fragment(frame: &[u8]) -> Option<Fragment> {
    let field = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let address = |at: usize| Some(u32::from(field(at)?) << 16 | u32::from(field(at + 2)?));
    let ip = match field(12)? {
        0x0800 => 14,
        // Number 0: a priority and no VLAN.
        0x8100 if field(14)? & 0xfff == 0 && field(16)? == 0x0800 => 18,
        _ => return None,
    };
    let header = usize::from(frame[ip] & 15) * 4;
    let (total, place) = (usize::from(field(ip + 2)?), field(ip + 6)?);
    let good = frame[ip] >> 4 == 4 && header >= 20 && total >= header && ip + total <= frame.len();
    if !good || hand::sum(frame.get(ip..ip + header)?) != 0xffff || frame[ip + 9] != 17 {
        return None;
    }
    Some(Fragment {
        src: address(ip + 12)?,
        dst: address(ip + 16)?,
        id: field(ip + 4)?,
        offset: usize::from(place & 0x1fff) * 8,
        more: place & 0x2000 != 0,
        data: frame[ip + header..ip + total].to_vec(),
    })
}

/// Everything that was delivered is what the fragments of one datagram make, everything handed out is a
/// frame, and neither more often than it was sent.
fn judge(delivered: &[Delivered], strangers: &[Vec<u8>], sent: &[Vec<u8>]) -> Result<(), String> {
    let fragments: Vec<Fragment> = sent.iter().filter_map(|f| fragment(f)).collect();
    for d in delivered {
        let Delivered { whole, payload, .. } = d;
        if whole.len != payload.len() {
            return Err(format!("{whole:?} has {} bytes", payload.len()));
        }
        if !is_sent(d, &fragments) {
            let start = String::from_utf8_lossy(&payload[..payload.len().min(24)]);
            return Err(format!("nobody sent {whole:?}: {start:?}"));
        }
        let times = delivered.iter().filter(|o| o.whole.flow == whole.flow && o.payload == *payload).count();
        let begins = fragments.iter().filter(|f| f.offset == 0 && f.src == whole.flow.src);
        let fits = |f: &&Fragment| {
            f.data.len() < UDP || payload.starts_with(&f.data[UDP..(UDP + payload.len()).min(f.data.len())])
        };
        if times > begins.filter(fits).count() {
            return Err(format!("{whole:?} was delivered {times} times"));
        }
    }
    for stranger in strangers {
        let times = strangers.iter().filter(|o| *o == stranger).count();
        let came = sent.iter().filter(|f| f.starts_with(stranger) && f.len() <= stranger.len() + 4).count();
        if times > came {
            return Err(format!(
                "a frame of {} bytes was handed out {times} times and came {came} times: {:02x?}",
                stranger.len(),
                &stranger[..stranger.len().min(42)]
            ));
        }
    }
    Ok(())
}

fn is_sent(d: &Delivered, fragments: &[Fragment]) -> bool {
    let flow = d.whole.flow;
    // The checksum, bytes 6 and 7, is the sender's own.
    let datagram = hand::udp(flow, &d.payload, false);
    let ours = |f: &&Fragment| (f.src, f.dst) == (flow.src, flow.dst);
    let mut ids: Vec<u16> = fragments.iter().filter(ours).map(|f| f.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().any(|id| {
        let mut covered = vec![false; datagram.len()];
        let mut ended = false;
        for f in fragments.iter().filter(ours).filter(|f| f.id == id) {
            let end = (f.offset + f.data.len()).min(datagram.len());
            let same = |i: usize| i == 6 || i == 7 || datagram[i] == f.data[i - f.offset];
            if f.offset < end && (f.offset..end).all(same) {
                covered[f.offset..end].fill(true);
            }
            ended |= !f.more && f.offset + f.data.len() >= datagram.len();
        }
        ended && covered.into_iter().all(|c| c)
    })
}

/// What went wrong in many runs: how many, and some of them.
#[derive(Default)]
pub(crate) struct Faults {
    runs: usize,
    what: Vec<String>,
}

impl Faults {
    /// A run that went right gives what was seen.
    pub(crate) fn watch(
        &mut self,
        result: Result<Seen, String>,
        what: impl FnOnce() -> String,
    ) -> Option<Seen> {
        self.runs += 1;
        match result {
            Ok(seen) => Some(seen),
            Err(e) => {
                self.what.push(format!("{}: {e}", what()));
                None
            }
        }
    }

    pub(crate) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.what.push(what());
        }
    }

    /// There were runs, and nothing went wrong.
    pub(crate) fn none(self) {
        assert!(self.runs > 0, "nothing was run");
        let step = self.what.len().div_ceil(16).max(1);
        let shown = self.what.iter().step_by(step).cloned().collect::<Vec<_>>().join(
            "
  ",
        );
        assert!(self.what.is_empty(), "{} faults in {} runs:\n  {shown}", self.what.len(), self.runs);
    }
}
