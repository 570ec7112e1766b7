//! What each rule of the reassembler says, by example; [`model`] checks all of them at once on random input.
//!
//! The store of these tests has a bound, and each test ends with all buffers given back.

mod ecn;
mod model;
mod room;
mod steps;

use proptest::prelude::*;

use super::*;

const BUFFER: usize = 65_535;
const SECOND: u64 = Limits::MAX_TIMEOUT_NS;

/// A bounded store that knows how many of its buffers are out. Used buffers keep their bytes.
struct Pool {
    free: Vec<Vec<u8>>,
    out: usize,
    bound: usize,
}

impl Pool {
    fn new(bound: usize) -> Self {
        Self { free: Vec::new(), out: 0, bound }
    }
}

impl Store for Pool {
    type Buf = Vec<u8>;

    fn take(&mut self) -> Option<Vec<u8>> {
        if self.out == self.bound {
            return None;
        }
        self.out += 1;
        Some(self.free.pop().unwrap_or_else(|| vec![0xee; BUFFER]))
    }

    fn give(&mut self, buf: Vec<u8>) {
        assert_eq!(buf.len(), BUFFER);
        self.out -= 1;
        self.free.push(buf);
    }
}

/// A reassembler and its store; when it goes, no buffer may be missing.
struct Bench {
    r: Reassembler<Vec<u8>>,
    pool: Pool,
}

/// An [`Outcome`] that can be compared.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Pending,
    Whole(Vec<u8>, u16),
    Dropped(Reason),
    Duplicate,
}

impl Bench {
    fn new(datagrams: usize, buffers: usize) -> Self {
        let limits = Limits { datagrams, ..Limits::default() };
        Self { r: Reassembler::new(limits), pool: Pool::new(buffers) }
    }

    /// A fragment without a mark of congestion.
    fn insert(&mut self, now: u64, key: Key, offset: u32, more: bool, data: &[u8]) -> Seen {
        self.insert_marked(now, key, Fragment { offset, more, service: Service::default(), data })
    }

    fn insert_marked(&mut self, now: u64, key: Key, fragment: Fragment<'_>) -> Seen {
        match self.r.insert(now, key, fragment, &mut self.pool) {
            Outcome::Pending => Seen::Pending,
            Outcome::Whole(a) => {
                assert_eq!(a.key, key);
                let bytes = a.buf[..a.len].to_vec();
                self.pool.give(a.buf);
                Seen::Whole(bytes, a.fragments)
            }
            Outcome::Dropped(reason) => Seen::Dropped(reason),
            Outcome::Duplicate => Seen::Duplicate,
        }
    }

    fn expire(&mut self, now: u64) -> Vec<(Key, Reason)> {
        let mut lost = Vec::new();
        self.r.expire(now, &mut self.pool, |key, reason| lost.push((key, reason)));
        lost
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.r.clear(&mut self.pool, |_, _| {});
            assert!(self.r.is_empty());
            assert_eq!(self.pool.out, 0, "a leak");
        }
    }
}

fn key(id: u16) -> Key {
    key_of(1, id)
}

/// A datagram of sender 1, 2, ...
fn key_of(sender: u32, id: u16) -> Key {
    Key { src: 0x0a00_0000 + sender, dst: 0x0b00_0002, id, protocol: 17 }
}

/// Random cases: Miri takes a thousand times as long for each.
fn cases(n: u32) -> ProptestConfig {
    let mut config = ProptestConfig::with_cases(if cfg!(miri) { 3 } else { n });
    if cfg!(miri) {
        config.failure_persistence = None;
    }
    config
}

fn byte(id: u16, at: usize, version: u8) -> u8 {
    (at.wrapping_mul(0x9e37_79b1) >> 9) as u8 ^ id as u8 ^ version
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn good_datagrams_come_out_whatever_the_order(
        lens in prop::collection::vec(prop_oneof![1..=65_515_usize, 1..4000_usize], 1..6),
        stride in prop_oneof![Just(1480_usize), Just(552), (6..=1149_usize).prop_map(|u| u * 8)],
        seed: u64,
    ) {
        let mut bench = Bench::new(lens.len(), lens.len());
        let whole: Vec<Vec<u8>> =
            lens.iter()
                .enumerate()
                .map(|(id, &len)| (0..len).map(|at| byte(id as u16, at, 0)).collect())
                .collect();
        // (datagram, offset): each fragment once, and every fifth twice.
        let mut order: Vec<(usize, usize)> =
            lens.iter()
                .enumerate()
                .flat_map(|(id, &len)| (0..len).step_by(stride).map(move |at| (id, at)))
                .collect();
        order.extend(order.clone().into_iter().step_by(5));
        let mut random = seed | 1;
        order.sort_by_cached_key(|_| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            random >> 20
        });
        let mut delivered = vec![0; lens.len()];
        for (id, at) in order {
            let end = (at + stride).min(lens[id]);
            let seen = bench.insert(1, key(id as u16), at as u32, end < lens[id], &whole[id][at..end]);
            match seen {
                Seen::Whole(bytes, fragments) => {
                    prop_assert!(bytes == whole[id]);
                    prop_assert_eq!(usize::from(fragments), lens[id].div_ceil(stride));
                    delivered[id] += 1;
                }
                Seen::Pending | Seen::Duplicate => {}
                Seen::Dropped(reason) => prop_assert!(false, "{:?}", reason),
            }
        }
        // A datagram that is one fragment may come out twice: duplicates behind a delivery are new.
        prop_assert!(delivered.iter().zip(&lens).all(|(&n, &len)| n == 1 || (n == 2 && len <= stride)));
    }

    /// One stray fragment that overlaps anything, wherever it is, and the datagram is not delivered.
    #[test]
    fn an_overlap_is_never_delivered(
        n in 2..40_usize, hole in 0..40_usize, unit in 0..39_usize, units in 2..6_usize,
    ) {
        let (mut bench, len, bytes) = (Bench::new(4, 4), n * 8, [7; 320]);
        let good = |bench: &mut Bench, i: usize| {
            bench.insert(0, key(1), i as u32 * 8, i + 1 < n, &bytes[..8])
        };
        for i in (0..n).filter(|i| *i != hole % n) {
            prop_assert_eq!(good(&mut bench, i), Seen::Pending);
        }
        let stray = unit % (n - 1) * 8;
        let end = (stray + units * 8).min(len);
        let seen = bench.insert(0, key(1), stray as u32, end < len, &bytes[stray..end]);
        prop_assert!(matches!(seen, Seen::Dropped(Reason::Overlap | Reason::Inconsistent)), "{:?}", seen);
        prop_assert_eq!(good(&mut bench, hole % n), Seen::Dropped(Reason::Discarded));
    }
}

#[test]
fn overlap_discards_and_the_tombstone_stays_until_its_time() {
    let mut b = Bench::new(4, 4);
    assert_eq!(b.insert(0, key(1), 0, true, &[1; 16]), Seen::Pending);
    assert_eq!(b.insert(1, key(1), 0, true, &[1; 16]), Seen::Duplicate);
    assert_eq!(b.insert(2, key(1), 0, true, &[2; 16]), Seen::Dropped(Reason::Overlap), "other bytes");
    assert_eq!(b.pool.out, 0, "a tombstone holds no buffer");
    assert_eq!(b.insert(3, key(1), 16, false, &[1; 3]), Seen::Dropped(Reason::Discarded));
    assert!(b.r.contains(&key(1)));
    assert_eq!(b.expire(SECOND - 1), []);
    assert!(b.r.contains(&key(1)));
    assert_eq!(b.expire(SECOND), [], "counted when it was discarded");
    assert!(!b.r.contains(&key(1)));
    // The same bytes cut in another way are no duplicate.
    assert_eq!(b.insert(SECOND, key(2), 0, true, &[1; 8]), Seen::Pending);
    assert_eq!(b.insert(SECOND, key(2), 8, true, &[1; 8]), Seen::Pending);
    assert_eq!(b.insert(SECOND, key(2), 0, true, &[1; 16]), Seen::Dropped(Reason::Overlap));
}

#[test]
fn ends_have_to_agree() {
    let inconsistent = Seen::Dropped(Reason::Inconsistent);
    for (offset, more, len) in
        [(8, false, 9), (24, false, 8), (16, true, 8), (24, true, 8), (0, true, 24), (0, false, 8)]
    {
        let mut b = Bench::new(4, 4);
        assert_eq!(b.insert(0, key(1), 16, false, &[1; 8]), Seen::Pending);
        assert_eq!(b.insert(0, key(1), offset, more, &vec![1; len]), inconsistent, "{offset} {more} {len}");
    }
    let mut b = Bench::new(4, 4);
    assert_eq!(b.insert(0, key(1), 16, true, &[1; 8]), Seen::Pending);
    assert_eq!(b.insert(0, key(1), 16, false, &[1; 8]), inconsistent);
}

#[test]
fn sizes_at_the_limits() {
    let mut b = Bench::new(4, 4);
    let bytes = vec![5; 65_536];
    for (offset, more, len, reason) in [
        (0, true, 0, Reason::Empty),
        (8, false, 0, Reason::Empty),
        (0, true, 9, Reason::Unaligned),
        (4, true, 8, Reason::Unaligned),
        (u32::MAX, false, 1, Reason::Unaligned),
        (u32::MAX - 7, true, 8, Reason::TooLong),
        (65_512, false, 4, Reason::TooLong),
        (65_512, true, 8, Reason::TooLong),
        (0, false, 65_516, Reason::TooLong),
        (0, true, 65_536, Reason::TooLong),
    ] {
        assert_eq!(b.insert(0, key(1), offset, more, &bytes[..len]), Seen::Dropped(reason));
        assert!(b.r.is_empty());
    }
    assert_eq!(b.insert(0, key(1), 0, false, &bytes[..65_515]), Seen::Whole(bytes[..65_515].to_vec(), 1));
    assert_eq!(b.insert(0, key(1), 65_512, false, &bytes[..3]), Seen::Pending);
    assert_eq!(b.insert(0, key(1), 0, true, &bytes[..65_512]), Seen::Whole(bytes[..65_515].to_vec(), 2));
}

#[test]
fn fragments_are_bounded_by_the_smallest_mtu() {
    let bytes = vec![5; 65_515];
    let mut b = Bench::new(4, 4);
    let offsets: Vec<usize> = (0..65_515).step_by(48).collect();
    for (i, &at) in offsets.iter().enumerate().rev() {
        let end = (at + 48).min(65_515);
        let seen = b.insert(0, key(1), at as u32, end < 65_515, &bytes[at..end]);
        let expected = if i == 0 { Seen::Whole(bytes.clone(), Limits::MAX_FRAGMENTS) } else { Seen::Pending };
        assert!(seen == expected);
    }
    for unit in 0..u32::from(Limits::MAX_FRAGMENTS) {
        assert_eq!(b.insert(0, key(2), unit * 8, true, &[0; 8]), Seen::Pending);
    }
    assert_eq!(b.insert(0, key(2), 8, true, &[0; 8]), Seen::Duplicate);
    assert_eq!(b.insert(0, key(2), 60_000, true, &[0; 8]), Seen::Dropped(Reason::TooMany));
}

#[test]
fn what_is_overdue_goes_one_by_one_the_oldest_first() {
    let mut b = Bench::new(4, 4);
    for id in 0..4 {
        assert_eq!(b.insert(u64::from(id), key(id), 0, true, &[0; 8]), Seen::Pending);
    }
    // Progress does not put the deadline off.
    assert_eq!(b.insert(SECOND - 1, key(0), 8, true, &[0; 8]), Seen::Pending);
    for id in 0..4 {
        assert_eq!(b.expire(SECOND + u64::from(id) - 1), []);
        assert_eq!(b.expire(SECOND + u64::from(id)), [(key(id), Reason::Timeout)]);
    }
    for id in 0..4 {
        assert_eq!(b.insert(SECOND + 9 + u64::from(id), key(id), 0, true, &[0; 8]), Seen::Pending);
    }
    let all: Vec<_> = (0..4).map(|id| (key(id), Reason::Timeout)).collect();
    assert_eq!(b.expire(u64::MAX), all);
}

#[test]
fn every_loss_is_reported_once() {
    let mut b = Bench::new(2, 2);
    for id in 0..50 {
        let now = u64::from(id) * Limits::STILL_NS / 2;
        assert_eq!(b.insert(now, key(id), 0, true, &[0; 8]), Seen::Pending);
        assert!(b.r.contains(&key(id)) && b.pool.out <= 2);
    }
    let now = 49 * Limits::STILL_NS / 2;
    let lost = b.expire(now);
    assert_eq!(lost.len(), 48);
    assert_eq!(lost[..2], [(key(0), Reason::Evicted), (key(1), Reason::Evicted)]);
    assert!(
        lost[2..].iter().all(|&l| l == (key(47), Reason::Evicted)),
        "beyond the bound: under the last key"
    );
    assert_eq!(b.expire(now), []);
    // Evicted when it was due: that is a timeout.
    assert_eq!(b.insert(now + SECOND, key(50), 0, true, &[0; 8]), Seen::Pending);
    assert_eq!(b.expire(now + SECOND), [(key(48), Reason::Timeout), (key(49), Reason::Timeout)]);
}

#[test]
fn the_clock_does_not_run_backwards() {
    let mut b = Bench::new(2, 2);
    assert_eq!(b.insert(5, key(1), 0, true, &[0; 8]), Seen::Pending);
    // Overdue, but the clock came with a fragment: a new datagram begins.
    assert_eq!(b.insert(SECOND + 5, key(1), 8, false, &[0; 8]), Seen::Pending);
    assert_eq!(b.expire(0), [(key(1), Reason::Timeout)]);
    assert_eq!(b.insert(3, key(2), 8, false, &[0; 8]), Seen::Pending);
    assert_eq!(b.expire(2 * SECOND + 4), []);
    assert_eq!(b.expire(2 * SECOND + 5), [(key(1), Reason::Timeout), (key(2), Reason::Timeout)]);
}

/// Gives buffers that are too small, and counts them.
struct Small(usize);

impl Store for Small {
    type Buf = Vec<u8>;
    fn take(&mut self) -> Option<Vec<u8>> {
        self.0 += 1;
        Some(vec![0; 1500])
    }
    fn give(&mut self, _: Vec<u8>) {
        self.0 -= 1;
    }
}

#[test]
fn without_buffers_nothing_is_kept() {
    let mut b = Bench::new(4, 1);
    assert_eq!(b.insert(0, key(1), 0, true, &[0; 8]), Seen::Pending);
    assert_eq!(b.insert(0, key(2), 0, true, &[0; 8]), Seen::Dropped(Reason::NoBuffer));
    assert!(!b.r.contains(&key(2)));
    // The rest of it does not wait in vain for what was refused.
    assert_eq!(b.insert(0, key(1), 8, false, &[0; 8]), Seen::Whole(vec![0; 16], 2));
    assert_eq!(b.insert(0, key(2), 8, false, &[0; 8]), Seen::Dropped(Reason::NoBuffer));
    assert_eq!(b.insert(SECOND, key(2), 8, false, &[0; 8]), Seen::Pending, "forgotten with time");
    let (mut r, mut store) = (Reassembler::new(Limits::default()), Small(0));
    let fragment = Fragment { offset: 0, more: true, service: Service::default(), data: &[0; 8] };
    let outcome = r.insert(0, key(1), fragment, &mut store);
    assert!(matches!(outcome, Outcome::Dropped(Reason::NoBuffer)) && r.is_empty() && store.0 == 0);
}

#[test]
fn limits_are_kept_within_bounds() {
    let r = Reassembler::<Vec<u8>>::new(Limits { datagrams: 0, timeout_ns: u64::MAX, ..Limits::default() });
    assert_eq!(r.limits, Limits { datagrams: 1, timeout_ns: SECOND, ..Limits::default() });
    let r = Reassembler::<Vec<u8>>::new(Limits {
        datagrams: usize::MAX,
        timeout_ns: 5,
        waiting: usize::MAX,
        window: 7,
    });
    let most =
        Limits { datagrams: Limits::MAX_DATAGRAMS, timeout_ns: 5, waiting: Limits::MAX_WAITING, window: 7 };
    assert_eq!(r.limits, most);
}
