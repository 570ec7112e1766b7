//! Each frame's word is the sum of that frame, or says that nobody knows: whatever the card does between the
//! driver's call and the reader's, and whatever others do to what the driver hands over.
//!
//! The driver is written after `eth_em_recv_scattered_pkts`, which does for frames in one buffer what
//! `eth_em_recv_pkts` does. The card owns the descriptors that it was told of, as RDH and RDT say, and writes
//! a number into each frame's sum by which the tests know it again.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// The length of frame `number`, and the sum that the card writes of it.
fn told(number: u64) -> (u16, u16) {
    (60 + (number % 3) as u16, (number as u16).wrapping_mul(31).wrapping_add(7))
}

/// What the card writes of a frame: done, of so many bytes.
fn written(len: u16, sum: u16, status: u8) -> u64 {
    u64::from(len) | u64::from(sum) << 16 | u64::from(status) << 32 | 0x77 << 48
}

/// Done, and the last buffer of its frame.
const DONE: u8 = 1;
const LAST: u8 = 2;

/// A ring, its card, its driver and its pool.
struct Em {
    ring: Box<[u64]>,
    posted: Vec<*mut rte_mbuf>,
    /// mbufs that are free, the next one last, and all.
    free: Vec<*mut rte_mbuf>,
    all: Vec<*mut rte_mbuf>,
    /// Addresses are given out in turn.
    address: u64,
    /// Indexes of descriptors: the driver's next, the card's next, and the one that the card may not use.
    tail: usize,
    head: usize,
    stop: usize,
    held: usize,
    /// The chain that is not complete.
    chain: Vec<*mut rte_mbuf>,
    /// The numbers of the frames that the driver has not handed over.
    sent: VecDeque<u64>,
    number: u64,
}

impl Em {
    fn new(n: usize) -> Self {
        // SAFETY: zeroes are a value of this plain structure.
        let mbuf = || Box::into_raw(Box::new(unsafe { std::mem::zeroed::<rte_mbuf>() }));
        let all: Vec<_> = (0..4 * n).map(|_| mbuf()).collect();
        let mut this = Self {
            ring: vec![0; DESCRIPTOR * n].into(),
            posted: Vec::new(),
            free: all.clone(),
            all,
            address: 1 << 40,
            tail: 0,
            head: 0,
            stop: 0,
            held: 0,
            chain: Vec::new(),
            sent: VecDeque::new(),
            number: 0,
        };
        this.start(n);
        this
    }

    /// `eth_em_rx_init`.
    fn start(&mut self, n: usize) {
        for i in 0..n {
            let mbuf = self.alloc().expect("there are enough");
            self.ring[DESCRIPTOR * i..][..DESCRIPTOR].copy_from_slice(&[Self::data(mbuf).to_le(), 0]);
            self.posted.push(mbuf);
        }
        (self.tail, self.head, self.stop, self.held) = (0, 0, n - 1, 0);
    }

    /// `eth_em_stop`.
    fn stop(&mut self) {
        self.free.append(&mut self.posted);
        self.free.append(&mut self.chain);
        self.sent.clear();
    }

    /// The last in is the first out, and gets the next address.
    fn alloc(&mut self) -> Option<*mut rte_mbuf> {
        let mbuf = self.free.pop()?;
        self.address -= 2048;
        // SAFETY: nobody else has it.
        unsafe { (*mbuf).buf_iova = self.address };
        Some(mbuf)
    }

    fn data(mbuf: *const rte_mbuf) -> u64 {
        // SAFETY: one of ours.
        unsafe { (*mbuf).buf_iova + HEADROOM as u64 }
    }

    fn n(&self) -> usize {
        self.posted.len()
    }

    fn reader(&mut self) -> EmRing {
        let posted = self.posted.iter().map(|&mbuf| Self::data(mbuf)).collect();
        let ring = NonNull::from(&mut *self.ring).cast();
        EmRing { ring, posted, next: 0, follows: Follows::Yes }
    }

    /// The card receives a frame in so many buffers, if it has them.
    fn receive(&mut self, buffers: usize) {
        let free = (self.stop + self.n() - self.head) % self.n();
        if free < buffers {
            return;
        }
        let (len, sum) = told(self.number);
        for i in 1..=buffers {
            let status = if i == buffers { DONE | LAST } else { DONE };
            self.ring[DESCRIPTOR * self.head + 1] = written(len, sum, status).to_le();
            self.head = (self.head + 1) % self.n();
        }
        self.sent.push_back(self.number);
        self.number += 1;
    }

    /// `eth_em_recv_scattered_pkts`: the frames, with their numbers.
    fn burst(&mut self, most: usize, threshold: usize) -> Vec<(*mut rte_mbuf, u64)> {
        let mut frames = Vec::new();
        while frames.len() < most {
            let said = u64::from_le(self.ring[DESCRIPTOR * self.tail + 1]);
            if said >> 32 & u64::from(DONE) == 0 {
                break;
            }
            let Some(fresh) = self.alloc() else { break };
            let mbuf = std::mem::replace(&mut self.posted[self.tail], fresh);
            self.ring[DESCRIPTOR * self.tail] = Self::data(fresh).to_le();
            self.ring[DESCRIPTOR * self.tail + 1] = (said & !(0xff << 32)).to_le();
            self.tail = (self.tail + 1) % self.n();
            self.held += 1;
            // SAFETY: one of ours, that the driver has. The hash is what the frame before has left there.
            unsafe {
                (*mbuf).data_len = said as u16;
                (*mbuf).next = std::ptr::null_mut();
                (*mbuf).nb_segs = 1;
                (*mbuf).hash[0] = 0xdead_0001;
                if let [head, .., last] | [head @ last] = self.chain[..] {
                    (*head).nb_segs += 1;
                    (*last).next = mbuf;
                }
            }
            self.chain.push(mbuf);
            if said >> 32 & u64::from(LAST) != 0 {
                let chain = std::mem::take(&mut self.chain);
                frames.push((chain[0], self.sent.pop_front().expect("it was sent")));
            }
        }
        if self.held > threshold {
            self.stop = (self.tail + self.n() - 1) % self.n();
            self.held = 0;
        }
        frames
    }

    /// The reader's owner takes mbufs back.
    fn free(&mut self, frames: &[(*mut rte_mbuf, u64)]) {
        for &(mut mbuf, _) in frames {
            while !mbuf.is_null() {
                self.free.push(mbuf);
                // SAFETY: one of ours.
                mbuf = unsafe { (*mbuf).next };
            }
        }
    }
}

impl Drop for Em {
    fn drop(&mut self) {
        for &mbuf in &self.all {
            // SAFETY: made by `new`, and nobody has it any more.
            drop(unsafe { Box::from_raw(mbuf) });
        }
    }
}

/// What the reader says of these frames.
fn tell(reader: &mut EmRing, frames: &[(*mut rte_mbuf, u64)]) -> (bool, Vec<u32>) {
    let mbufs: Vec<_> = frames.iter().map(|&(mbuf, _)| mbuf).collect();
    // SAFETY: valid mbufs, and ours. The tests hand some over that are not as they should be; the reader
    // follows no address that it finds in them.
    let known = unsafe { reader.tell(&mbufs) };
    // SAFETY: as above.
    (known, mbufs.iter().map(|&mbuf| unsafe { (*mbuf).hash[0] }).collect())
}

/// The word of a frame whose sum is known.
fn word(number: u64) -> u32 {
    u32::from(told(number).1) << 16 | Words::TOLD
}

#[derive(Clone, Debug)]
enum Step {
    /// Frames in so many buffers each arrive.
    Arrive(Vec<usize>),
    /// The driver is asked for so many. Between this and the reader, so many more arrive.
    Poll(usize, usize),
    /// The driver is asked for so many, and nobody looks at what the card says.
    Pass(usize),
    /// Somebody keeps so many mbufs, or gives all back.
    Keep(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop::collection::vec(prop_oneof![6 => Just(1_usize), 1 => 2..4_usize], 0..40).prop_map(Step::Arrive),
        3 => (1..64_usize, prop_oneof![Just(0), 0..40_usize]).prop_map(|(n, more)| Step::Poll(n, more)),
        1 => (0..100_usize).prop_map(Step::Keep),
        1 => (1..64_usize).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn a_word_is_its_own_frames_or_unknown(steps in steps(), rings in 1..5_usize, threshold in 0..8_usize) {
        let n = 8 * rings + 8;
        let mut em = Em::new(n);
        let mut reader = em.reader();
        let mut kept = Vec::new();
        // Whether the reader follows the ring, whatever comes.
        let mut follows = true;
        for step in steps {
            match step {
                Step::Pass(most) => {
                    let frames = em.burst(most, threshold);
                    if !frames.is_empty() {
                        let mbufs: Vec<_> = frames.iter().map(|&(mbuf, _)| mbuf).collect();
                        // SAFETY: valid mbufs, just received, and ours.
                        unsafe { reader.pass(&mbufs) };
                        // SAFETY: as above.
                        let silent = mbufs.iter().all(|&mbuf| unsafe { (*mbuf).hash[0] == 0 });
                        prop_assert!(silent);
                        follows = false;
                    }
                    em.free(&frames);
                }
                Step::Arrive(frames) => frames.into_iter().for_each(|buffers| em.receive(buffers)),
                Step::Keep(some) => {
                    em.free.append(&mut kept);
                    kept = em.free.split_off(em.free.len().saturating_sub(some));
                }
                Step::Poll(most, more) => {
                    let begun = !em.chain.is_empty();
                    let frames = em.burst(most, threshold);
                    // The card goes on meanwhile.
                    (0..more).for_each(|_| em.receive(1));
                    let (known, words) = tell(&mut reader, &frames);
                    if !known {
                        // Of a chain that was begun before, the first descriptors have been used again.
                        prop_assert!(begun);
                        return Ok(());
                    }
                    let mut unknown = 0;
                    for (&(mbuf, number), word) in frames.iter().zip(words) {
                        // SAFETY: ours.
                        let single = unsafe { (*mbuf).nb_segs == 1 };
                        if single && word != 0 {
                            prop_assert_eq!(word, self::word(number));
                        } else {
                            prop_assert_eq!(word, 0);
                            unknown += usize::from(single);
                        }
                    }
                    if more == 0 && follows {
                        prop_assert_eq!(unknown, 0, "nothing came between");
                    }
                    em.free(&frames);
                }
            }
        }
    }
}

#[test]
fn a_ring_is_followed_again_once_somebody_looks_for_some_time() {
    let mut em = Em::new(8);
    let mut reader = em.reader();
    let mut turn = |passes: bool| {
        (0..3).for_each(|_| em.receive(1));
        let frames = em.burst(32, 0);
        assert_eq!(frames.len(), 3);
        let mbufs: Vec<_> = frames.iter().map(|&(mbuf, _)| mbuf).collect();
        let said = if passes {
            // SAFETY: valid mbufs, just received, and ours.
            unsafe { reader.pass(&mbufs) };
            (true, vec![0; 3])
        } else {
            tell(&mut reader, &frames)
        };
        let right: Vec<_> = frames.iter().map(|&(_, number)| word(number)).collect();
        em.free(&frames);
        assert!(said.0);
        assert!(said.1 == right || said.1 == [0; 3], "{said:?}");
        said.1 == right
    };
    for passes in [1, 2, 5, 30] {
        assert!(turn(false), "it is followed");
        (0..passes).for_each(|_| assert!(!turn(true)));
        (0..STEADY).for_each(|_| assert!(!turn(false), "not yet"));
        assert!(turn(false));
    }
}

#[test]
fn a_descriptor_that_the_card_has_used_again_tells_nothing() {
    let mut em = Em::new(8);
    let mut reader = em.reader();
    for round in 0..20 {
        // The ring is full, which are seven frames; then the driver gives descriptors back.
        (0..8).for_each(|_| em.receive(1));
        let frames = em.burst(32, 0);
        assert_eq!(frames.len(), 7);
        // The card uses the descriptor that was free, and the first three of those that the driver gave back.
        (0..4).for_each(|_| em.receive(1));
        let (known, words) = tell(&mut reader, &frames);
        assert!(known);
        let first = frames[0].1;
        assert_eq!(words[..3], [0; 3], "round {round}");
        assert_eq!(words[3..], [3, 4, 5, 6].map(|i| word(first + i)));
        em.free(&frames);
        let frames = em.burst(32, 0);
        assert_eq!(tell(&mut reader, &frames), (true, [7, 8, 9, 10].map(|i| word(first + i)).to_vec()));
        em.free(&frames);
    }
}

#[test]
fn a_frame_with_errors_or_another_length_tells_nothing() {
    let mut em = Em::new(8);
    let mut reader = em.reader();
    let mut change = |em: &mut Em, by: u64| {
        em.receive(1);
        let frames = em.burst(1, 0);
        let at = DESCRIPTOR * ((em.tail + 7) % 8) + 1;
        em.ring[at] = (u64::from_le(em.ring[at]) ^ by).to_le();
        let said = tell(&mut reader, &frames);
        em.free(&frames);
        (said.0, said.1[0] != 0)
    };
    // An error, a status, another length; another tag does not matter.
    for (by, told) in
        [(0, true), (1 << 40, false), (1 << 47, false), (1 << 33, false), (1, false), (1 << 50, true)]
    {
        assert_eq!(change(&mut em, by), (true, told), "{by:#x}");
    }
}

#[test]
fn who_takes_frames_away_or_brings_others_is_noticed() {
    type Harm = fn(&mut Vec<(*mut rte_mbuf, u64)>);
    let harms: [(&str, Harm); 4] = [
        ("none", |_| {}),
        ("one is taken away", |frames| {
            frames.remove(1);
        }),
        ("two change places", |frames| frames.swap(1, 2)),
        ("one comes again", |frames| frames.insert(3, frames[2])),
    ];
    for (harm, change) in harms {
        let mut em = Em::new(16);
        let mut reader = em.reader();
        (0..5).for_each(|_| em.receive(1));
        let mut frames = em.burst(32, 0);
        change(&mut frames);
        let (known, words) = tell(&mut reader, &frames);
        assert_eq!(known, harm == "none", "{harm}");
        // What was told before is right, and nothing is told behind.
        let expected = |i: usize| if known || i == 0 || words[i] != 0 { word(i as u64) } else { 0 };
        assert!(words.iter().enumerate().all(|(i, &word)| word == expected(i)), "{harm}: {words:x?}");
        assert_eq!(words[words.len() - 1] != 0, known, "{harm}");
    }
    // The last of a burst is seen to be missing at the next one.
    let mut em = Em::new(16);
    let mut reader = em.reader();
    (0..5).for_each(|_| em.receive(1));
    let frames = em.burst(32, 0);
    assert!(tell(&mut reader, &frames[..4]).0);
    em.receive(1);
    assert_eq!(tell(&mut reader, &em.burst(32, 0)), (false, vec![0]));
}

#[test]
fn a_reader_of_before_a_start_tells_nothing_behind_it() {
    let mut em = Em::new(8);
    let mut old = em.reader();
    (0..3).for_each(|_| em.receive(1));
    let frames = em.burst(32, 0);
    assert!(tell(&mut old, &frames).0);
    em.free(&frames);
    em.stop();
    em.start(8);
    em.receive(1);
    let frames = em.burst(32, 0);
    assert_eq!(tell(&mut old, &frames), (false, vec![0]));
    // A new one does.
    let mut em = Em::new(8);
    em.stop();
    em.start(8);
    let mut new = em.reader();
    em.receive(1);
    let frames = em.burst(32, 0);
    assert_eq!(tell(&mut new, &frames), (true, vec![word(0)]));
}

#[test]
fn a_ring_is_known_by_what_was_posted() {
    assert!(are_posted(&[3, 1, 2], vec![1, 2, 3]));
    // A chain of which the driver has the first part still.
    assert!(are_posted(&[3, 1, 2], vec![7, 2, 3, 1]));
    for ring in [[0; 3], [1, 2, 4], [1, 2, 2]] {
        assert!(!are_posted(&ring, vec![1, 2, 3]), "{ring:?}");
    }
    assert!(!are_posted(&[1], Vec::new()));
}
