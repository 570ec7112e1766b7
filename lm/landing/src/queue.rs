//! [`LandingQueue`]: a receive queue and the pool that feeds it, on one lcore.
//!
//! A poll takes a burst from the driver and gives its frames to a [`FrameSink`], in ring order. Ordinary
//! frames are given in groups, through [`Burst`], and all others one by one. [`feed`] does the same for an
//! application that received the burst itself. mbufs return to the pool at the end of the burst. The slot of
//! a frame remains in use until the sink gives its token back. `under_way` is what happens to mbufs if a sink
//! panics, and `damaged` feeds frames that lie in several slots.

mod damaged;
mod under_way;

use std::ptr;

use dpdk_sys::rte_mbuf;
use rte::port::RxQueue;

use lm_proto::frame::{Frame, Frames, Next, Received, Slot};
use lm_proto::wire::UDP;

use self::damaged::feed_damaged;
use self::under_way::UnderWay;
use crate::device::{Allowed, Traits};
use crate::landing::{HEADROOM, Plain, Single, SlotLayout, Span, TO_PAYLOAD};
use crate::pool::{Landed, LandingPool};
use crate::prefetch::prefetch;
use crate::slots::LandedSlots;
use crate::words::{Hearing, WordSource, word};

/// The most frames that one poll takes.
pub const MAX_BURST: usize = 512;

/// From a slot's buffer to the first byte behind a UDP header.
const TO_MESSAGE: usize = TO_PAYLOAD + UDP;

/// Takes the frames of a burst. The engine implements it, and tests do. Each frame comes with the token of
/// its slot, which the sink keeps until it passes it to [`LandingPool::release`] or [`LandingPool::hold`].
pub trait FrameSink {
    /// Is called before a burst is taken, so that bytes which will be read can be fetched into the cache.
    fn prepare(&self, burst: &Burst<'_>);

    /// Takes the plain frames that a burst begins with.
    fn take_plain(&mut self, pool: &LandingPool, burst: &mut Burst<'_>);

    /// Takes a frame that came in two slots, because it is longer than one. What is behind it says whether
    /// the second part may have been overwritten.
    ///
    /// # Errors
    /// The parts, if it is not taken: [`FrameSink::take`] gets them as damaged.
    fn take_two(
        &mut self,
        pool: &LandingPool,
        parts: [Part; 2],
        behind: Option<Behind>,
    ) -> Result<(), [Part; 2]>;

    /// Takes any frame.
    fn take(&mut self, pool: &LandingPool, landed: Landed);

    /// Whether it looks at what the device says of each frame.
    fn hears_words(&self) -> Hearing {
        Hearing::Never
    }

    /// From the next frame on it is not known what the device says of each.
    fn lose_words(&mut self) {}
}

/// A part of a frame that is spread over slots.
#[derive(Debug)]
pub struct Part {
    /// The slot that it took.
    pub slot: Landed,
    /// The address where its bytes start. Drivers may leave no headroom in front of the later parts.
    pub start: usize,
}

/// What was received behind a frame, in the same burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The address of its payload, or where the payload would be if the frame is in a bounce slot.
    pub at: usize,
    /// The length of the frame, or of its first part, in bytes.
    pub len: u16,
}

/// Frames of a burst that nobody has taken yet, in ring order. A *plain* frame is one segment, and lies in
/// place in its slot.
pub struct Burst<'a> {
    rest: std::slice::Iter<'a, *mut rte_mbuf>,
    plain: Plain,
    bounces: Span,
    /// The pool's number, and the distance of its overlapping slots.
    pool: u32,
    stride: usize,
    /// How many of the next frames were counted, and where the payload of the first is. They lie one stride
    /// apart.
    counted: (usize, usize),
}

impl<'a> Burst<'a> {
    /// # Safety
    /// Valid mbufs, nobody else's while this lives.
    #[inline]
    unsafe fn new(mbufs: &'a [*mut rte_mbuf], pool: &LandingPool) -> Self {
        let (plain, bounces, number) = pool.plain();
        let stride = pool.config().stride;
        Self { rest: mbufs.iter(), plain, bounces, pool: number, stride, counted: (0, 0) }
    }

    /// The frame of one of its mbufs, if it is plain.
    #[inline]
    fn plain_frame(&self, mbuf: *mut rte_mbuf) -> Option<Frame> {
        // SAFETY: `new`'s caller promised.
        let (buf, len, single, overlaps) = unsafe {
            let single = Plain::single(mbuf).is_some();
            ((*mbuf).buf_addr as usize, (*mbuf).data_len, single, self.plain.overlaps(mbuf))
        };
        let slot = if overlaps { Slot::Overlapping } else { Slot::Separate };
        let frame = Frame { at: buf + TO_PAYLOAD, len, slot, bounce: 0 };
        (single && !self.bounces.covers(buf, 1)).then_some(frame)
    }

    /// Takes the next mbuf, whatever it holds.
    #[inline]
    fn pop(&mut self) -> Option<*mut rte_mbuf> {
        self.counted = (0, 0);
        self.rest.next().copied()
    }

    /// Fetches into the cache what will be read of the datagrams that end with every `n`th frame from the one
    /// at index `first` on. These are the first bytes of the message in that frame, and byte `tail` of the
    /// payload in the frame behind it, with which the next datagram begins. The driver fetches the start of
    /// each frame itself, and all headers that are read lie in that line or in the message's.
    #[inline]
    pub fn fetch_every(&self, first: usize, n: usize, tail: usize) {
        let mut rest = self.rest.as_slice().get(first..).unwrap_or_default();
        while let [end, behind @ ..] = rest {
            // SAFETY: `new`'s caller promised.
            prefetch(unsafe { (**end).buf_addr } as usize + TO_MESSAGE);
            if let Some(&next) = behind.first() {
                // SAFETY: as above.
                prefetch(unsafe { (*next).buf_addr } as usize + TO_PAYLOAD + tail);
            }
            rest = rest.get(n.max(1)..).unwrap_or_default();
        }
    }

    /// [`Burst::fetch_every`] if it is not known which frames end datagrams. The first frame of each datagram
    /// is the one that is not full, so the frame before it ends another datagram.
    #[inline]
    pub fn fetch_ends(&self, full: u16) {
        let mbufs = self.rest.as_slice();
        // SAFETY: `new`'s caller promised.
        let front = |mbuf: *mut rte_mbuf| prefetch(unsafe { (*mbuf).buf_addr } as usize + TO_MESSAGE);
        for (i, &mbuf) in mbufs.iter().enumerate() {
            // SAFETY: as above.
            let (buf, len) = unsafe { ((*mbuf).buf_addr as usize, (*mbuf).data_len) };
            if len != full {
                prefetch((buf + HEADROOM + usize::from(len)).wrapping_sub(8));
                if i > 0 {
                    front(mbufs[i - 1]);
                }
            }
        }
        if let Some(&last) = mbufs.last() {
            front(last);
        }
    }
}

impl Frames for Burst<'_> {
    type Slots = LandedSlots;

    #[inline]
    fn peek(&self) -> Next {
        let Some(&mbuf) = self.rest.as_slice().first() else { return Next::Nothing };
        let frame = self.plain_frame(mbuf).filter(|frame| frame.slot == Slot::Overlapping);
        frame.map_or(Next::Other, |Frame { at, len, .. }| Next::Plain { at, len })
    }

    #[inline]
    fn count_contiguous(
        &mut self,
        at: usize,
        stride: usize,
        full: u16,
        ahead: usize,
        last: u16,
        behind: usize,
    ) -> usize {
        self.counted = (0, 0);
        let Some(&first) = self.rest.as_slice().first() else { return 0 };
        let buf = at.wrapping_sub(TO_PAYLOAD);
        // SAFETY: `new`'s caller promised.
        let overlapping = unsafe { self.plain.overlaps(first) };
        if !overlapping || stride != self.stride || self.bounces.covers(buf, 1) {
            return 0;
        }
        // SAFETY: `new`'s caller promised.
        let n = unsafe { count_contiguous(self.rest.as_slice(), buf, stride, (full, ahead), (last, behind)) };
        // A token has no more.
        let n = n.min(u16::MAX.into());
        self.counted = (n, at);
        n
    }

    #[inline]
    fn append_words(&self, n: usize, words: &mut Vec<u32>) {
        let (counted, _) = self.counted;
        let next = self.rest.as_slice().iter().take(n.min(counted));
        // SAFETY: `new`'s caller promised.
        words.extend(next.map(|&mbuf| unsafe { word(mbuf) }));
    }

    #[inline]
    fn take_counted(&mut self, n: usize) -> Option<LandedSlots> {
        let (counted, at) = self.counted;
        if n == 0 || n > counted {
            return None;
        }
        self.rest = self.rest.as_slice().get(n..).unwrap_or_default().iter();
        self.counted = (counted - n, at.wrapping_sub(n * self.stride));
        // SAFETY: `count_contiguous` has checked that the first of these frames is in an overlapping slot of
        // this pool and in no bounce slot, with its payload at `at`, and that each of the others lies a
        // stride below the one before. So the others are in such slots, too. All of them were received, were
        // not taken before, and are not in the burst any more.
        Some(unsafe { LandedSlots::overlapping(self.pool, at, n, self.stride) })
    }

    #[inline]
    fn next(&mut self) -> Option<Received<LandedSlots>> {
        let &mbuf = self.rest.as_slice().first()?;
        let frame = self.plain_frame(mbuf)?;
        // SAFETY: `new`'s caller promised.
        let word = unsafe { word(mbuf) };
        self.pop();
        // SAFETY: this frame was received, in a slot of this pool and of this layout that is none of the
        // bounce slots. It was not taken before, and is not in the burst any more.
        let slots = unsafe {
            match frame.slot {
                Slot::Overlapping => LandedSlots::overlapping(self.pool, frame.at, 1, self.stride),
                _ => LandedSlots::separate(self.pool, frame.at),
            }
        };
        Some(Received { frame, slots, word })
    }
}

/// Feeds what a driver handed over to `sink`, frame by frame in ring order, and takes the mbufs back. Their
/// slots stay out: the token of each is the sink's.
///
/// # Safety
/// The mbufs came from the queue that `pool` feeds, in this order, and nobody else has them. They were not
/// fed before. The device fills slots in the order in which they were posted. It is one of those that the
/// pool's setup was made for: it writes at any time only if the pool was told so, and where slots overlap no
/// more than [`HEAD`](lm_proto::frame::HEAD) and a stride from the start of a frame.
#[inline]
pub unsafe fn feed(pool: &mut LandingPool, mbufs: &[*mut rte_mbuf], sink: &mut impl FrameSink) {
    // SAFETY: the caller's promise.
    let mut burst = unsafe {
        pool.begin_burst(mbufs);
        Burst::new(mbufs, pool)
    };
    // SAFETY: as above; `feed_one` recycles nothing but what hangs behind these, and unchains it before.
    let under_way = unsafe { UnderWay::new(pool, mbufs) };
    if mbufs.len() > 1 {
        // What is read at once need not be fetched before.
        sink.prepare(&burst);
    }
    loop {
        sink.take_plain(under_way.pool, &mut burst);
        let Some(mbuf) = burst.pop() else { break };
        let behind = burst.rest.as_slice().first().copied();
        // SAFETY: as above; nobody took it from the burst.
        unsafe { feed_one(under_way.pool, mbuf, behind, sink) };
    }
    under_way.end();
}

/// How many of `mbufs`, from the first on, have one segment and the lengths that [`Burst::count_contiguous`]
/// says, and lie one `stride` below the one before, the first with its buffer at `buf`. No bounce slot has an
/// address at which a slot of the region is expected, and no separate slot lies a stride below an overlapping
/// one. So the addresses tell that all are overlapping slots of the region.
///
/// # Safety
/// Valid mbufs, nobody else's.
#[inline(never)]
unsafe fn count_contiguous(
    mbufs: &[*mut rte_mbuf],
    mut buf: usize,
    stride: usize,
    (full, ahead): (u16, usize),
    (last, behind): (u16, usize),
) -> usize {
    let Some(&first) = mbufs.first() else { return 0 };
    // SAFETY: the caller's promise.
    let Some(single) = (unsafe { Plain::single(first) }) else { return 0 };
    let mut rest = mbufs;
    let mut fulls = ahead;
    loop {
        let (run, beyond) = rest.split_at(fulls.min(rest.len()));
        let mut frames = run.iter();
        while let Some(&mbuf) = frames.next() {
            // SAFETY: the caller's promise.
            if !unsafe { is_plain_at(mbuf, buf, full, single) } {
                return mbufs.len() - beyond.len() - frames.as_slice().len() - 1;
            }
            buf = buf.wrapping_sub(stride);
        }
        let [end, behind_it @ ..] = beyond else { return mbufs.len() };
        // SAFETY: as above.
        if !unsafe { is_plain_at(*end, buf, last, single) } {
            return mbufs.len() - beyond.len();
        }
        buf = buf.wrapping_sub(stride);
        (rest, fulls) = (behind_it, behind);
    }
}

/// Whether an mbuf is as `single` says, has `len` bytes, and its buffer at `buf`.
///
/// # Safety
/// A valid mbuf, nobody else's.
#[inline]
unsafe fn is_plain_at(mbuf: *const rte_mbuf, buf: usize, len: u16, single: Single) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (*mbuf).buf_addr as usize == buf && (*mbuf).data_len == len && single.fits(mbuf) }
}

/// Gives a frame that is not plain to the sink, with the one that was received behind it.
///
/// # Safety
/// As for [`feed`]; nobody has a token of its slots.
#[inline(never)]
unsafe fn feed_one(
    pool: &mut LandingPool,
    mbuf: *mut rte_mbuf,
    behind: Option<*mut rte_mbuf>,
    sink: &mut impl FrameSink,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if LandingPool::is_damaged(mbuf) {
            feed_damaged(pool, mbuf, behind, sink);
        } else {
            let landed = pool.received(mbuf);
            sink.take(pool, landed);
        }
    }
}

/// A receive queue that lands. `Send`, not `Sync`: it belongs to one lcore at a time.
pub struct LandingQueue {
    // The pool goes before the queue: once the queue is back, its port may be stopped, on any thread, which
    // uses the pool.
    pool: LandingPool,
    rx: RxQueue,
    mbufs: Box<[*mut rte_mbuf; MAX_BURST]>,
    traits: Traits,
    /// What finds the words of frames, if the driver does not hand them over.
    words: Option<Box<dyn WordSource>>,
}

// SAFETY: the array holds pointers only during a poll.
unsafe impl Send for LandingQueue {}

impl LandingQueue {
    /// A queue of a device with these traits, and the pool that it is fed from.
    ///
    /// # Safety
    /// The queue was set up with this pool and no other, and the device has these traits. So has the one that
    /// the pool's setup was made for ([`feed`]).
    pub unsafe fn new(rx: RxQueue, pool: LandingPool, traits: Traits) -> Self {
        Self { pool, rx, mbufs: Box::new([ptr::null_mut(); MAX_BURST]), traits, words: None }
    }

    /// The same with a source of words, for a driver that does not hand them over.
    ///
    /// # Safety
    /// The source is this queue's, and was made since its port was started last. Nothing was received since.
    pub unsafe fn with_words(self, words: Box<dyn WordSource>) -> Self {
        Self { words: Some(words), ..self }
    }

    /// Receives at most `burst` frames, gives each to `sink` in ring order, and returns how many there were.
    /// The port's RX callbacks run, as by `rte_eth_rx_burst`.
    #[inline]
    pub fn poll(&mut self, burst: usize, sink: &mut impl FrameSink) -> usize {
        self.pool.maintain();
        let n = self.rx.burst(&mut self.mbufs[..burst.min(MAX_BURST)]);
        if n > 0 {
            if self.words.is_some() {
                self.find_words(n, sink);
            }
            // SAFETY: the queue is fed from this pool, and these mbufs were just received.
            unsafe { feed(&mut self.pool, &self.mbufs[..n], sink) };
        }
        n
    }

    /// Finds the words of the `n` frames that were just received, as long as somebody wants to know them.
    #[inline(never)]
    fn find_words(&mut self, n: usize, sink: &mut impl FrameSink) {
        let Some(source) = &mut self.words else { return };
        let mbufs = &self.mbufs[..n];
        match sink.hears_words() {
            // SAFETY: all that the queue has just given, in order, and ours; it gave everything before to
            // this source, too, since its port was started (`with_words`). The port is not stopped while the
            // queue is out.
            Hearing::Now if unsafe { source.tell(mbufs) } => {}
            Hearing::Now => {
                self.words = None;
                sink.lose_words();
            }
            // SAFETY: as above.
            Hearing::Later => unsafe { source.pass(mbufs) },
            Hearing::Never => self.words = None,
        }
    }

    /// The pool.
    pub fn pool(&self) -> &LandingPool {
        &self.pool
    }

    /// The properties of the device.
    pub fn traits(&self) -> Traits {
        self.traits
    }

    /// Sets the layout of the slots that are posted from now on, if the device allows it.
    pub fn set_layout(&mut self, layout: SlotLayout) {
        set_layout(&mut self.pool, &self.traits, layout);
    }

    /// Ends polling. Once its port has the pool back, when that is stopped, or it is dropped,
    /// the port can be stopped.
    pub fn into_pool(self) -> LandingPool {
        let Self { mut pool, rx, .. } = self;
        pool.lease = Some(rx);
        pool
    }
}

/// Sets the layout of the slots that are posted from now on, if the device that the pool feeds allows it.
pub fn set_layout(pool: &mut LandingPool, traits: &Traits, layout: SlotLayout) {
    if let (Allowed::SeparateOnly(why), SlotLayout::Overlapping) = (traits.allowed, layout) {
        log::warn!("slots of pool {} stay separate: {why}", pool.config().name);
        return;
    }
    pool.set_layout(layout);
}
