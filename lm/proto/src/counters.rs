//! Named counters for everything that can happen to a frame or a datagram.
//!
//! The matcher counts, and reports read the counters by their names, which are a part of the programs'
//! output. A [`Reason`] says why a datagram or a frame was not delivered.

use crate::policy::Whole;

/// Why a datagram, or a frame, was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// The UDP checksum disagrees with the payload.
    BadChecksum,
    /// The end tag disagrees with the first fragment: halves of two datagrams met.
    BadTag,
    /// Checksum and count agree, but nothing proves the order of fragments whose headers are gone.
    OrderUnproven,
    /// The receiver's policy asks for a proof that this datagram does not have.
    Unproven,
    /// The UDP length disagrees with the IP payload.
    BadUdpLength,
    /// A datagram of several fragments, for an address or a port that this receiver does not take.
    NotOurs,
    /// An IPv4 header that doesn't parse or whose checksum is wrong.
    BadHeader,
    /// A frame longer than the MTU allows, or one spread over several buffers.
    Oversize,
    /// Frames of datagrams that never became whole, or of strangers whose headers were overwritten.
    LostFrame,
    /// Fragments overlap, or a duplicate conflicts (RFC 5722's rule).
    Overlap,
    /// Fragments disagree about where the datagram ends.
    Inconsistent,
    /// The fragments reach beyond 65,535 bytes.
    TooLong,
    /// A fragment without payload.
    Empty,
    /// A fragment that is not the last and no multiple of 8 bytes.
    Unaligned,
    /// More fragments of one datagram than the reassembler takes.
    TooMany,
    /// An incomplete datagram lost its place to another one.
    Evicted,
    /// A datagram stayed incomplete for the reassembler's time limit.
    Timeout,
    /// There was no buffer to reassemble in.
    NoBuffer,
    /// A fragment of a datagram that was discarded before.
    Discarded,
    /// A frame that is not LM's, for which there was no ordinary mbuf or no room in its queue.
    StrangerLost,
    /// Fragments of one datagram have ECN marks that exclude each other: CE and Not-ECT (RFC 3168, section
    /// 5.3).
    Ecn,
    /// A fragment of a new datagram was refused, because the reassembler was full of others that were nearer
    /// to being whole.
    ReassemblerFull,
    /// A repair was not tried, because the frames received so far do not pay for its work (the *budget*).
    OverBudget,
}

impl Reason {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 23] = [
        Self::BadChecksum,
        Self::BadTag,
        Self::OrderUnproven,
        Self::Unproven,
        Self::BadUdpLength,
        Self::NotOurs,
        Self::BadHeader,
        Self::Oversize,
        Self::LostFrame,
        Self::Overlap,
        Self::Inconsistent,
        Self::TooLong,
        Self::Empty,
        Self::Unaligned,
        Self::TooMany,
        Self::Evicted,
        Self::Timeout,
        Self::NoBuffer,
        Self::Discarded,
        Self::StrangerLost,
        Self::Ecn,
        Self::ReassemblerFull,
        Self::OverBudget,
    ];

    /// The counter's name in statistics and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadChecksum => "bad_checksum",
            Self::BadTag => "bad_tag",
            Self::OrderUnproven => "order_unproven",
            Self::Unproven => "unproven",
            Self::BadUdpLength => "bad_udp_length",
            Self::NotOurs => "not_ours",
            Self::BadHeader => "bad_header",
            Self::Oversize => "oversize",
            Self::LostFrame => "lost_frame",
            Self::Overlap => "overlap",
            Self::Inconsistent => "inconsistent",
            Self::TooLong => "too_long",
            Self::Empty => "empty",
            Self::Unaligned => "unaligned",
            Self::TooMany => "too_many",
            Self::Evicted => "evicted",
            Self::Timeout => "timeout",
            Self::NoBuffer => "no_buffer",
            Self::Discarded => "discarded",
            Self::StrangerLost => "stranger_lost",
            Self::Ecn => "ecn",
            Self::ReassemblerFull => "reassembler_full",
            Self::OverBudget => "over_budget",
        }
    }
}

/// What a receiver counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams delivered.
    pub datagrams: u64,
    /// Bytes of UDP payload delivered.
    pub bytes: u64,
    /// Datagrams delivered that were copied to become whole, or to become one slice.
    pub copied_datagrams: u64,
    /// Bytes of UDP payload copied for them.
    pub copied_bytes: u64,
    /// Datagrams delivered in pieces, each fragment where it landed.
    pub pieces: u64,
    /// Of those, how many were copied together later, because somebody wanted one slice: they are among the
    /// copied ones, too.
    pub joined: u64,
    /// Frames received.
    pub frames: u64,
    /// Frames that were not LM's and were handed out.
    pub foreign: u64,
    /// Duplicate fragments that were tolerated.
    pub duplicates: u64,
    /// Frames received in a bounce slot and copied into place.
    pub bounced: u64,
    /// How often slots were laid overlapping by what had arrived ([`crate::auto_layout`]).
    pub to_overlapping: u64,
    /// And separate again.
    pub to_separate: u64,
    dropped: [u64; Reason::COUNT],
}

impl Counters {
    /// Counts one drop.
    #[inline]
    pub fn drop_one(&mut self, reason: Reason) {
        self.drop_many(reason, 1);
    }

    /// Counts `n` drops.
    #[inline]
    pub fn drop_many(&mut self, reason: Reason, n: u64) {
        self.dropped[reason as usize] += n;
    }

    /// A datagram was counted as delivered, and then there was no way to hand it over: to be taken
    /// [off](Self::without), and its frames are lost.
    pub fn lose(&mut self, whole: &Whole, copied: bool) {
        let bytes = whole.len as u64;
        self.datagrams += 1;
        self.bytes += bytes;
        if copied {
            self.copied_datagrams += 1;
            self.copied_bytes += bytes;
        }
        self.drop_many(Reason::LostFrame, whole.fragments.into());
    }

    /// The same without what was delivered to nobody, which is dropped instead.
    pub fn without(mut self, lost: &Self) -> Self {
        self.datagrams -= lost.datagrams;
        self.bytes -= lost.bytes;
        self.copied_datagrams -= lost.copied_datagrams;
        self.copied_bytes -= lost.copied_bytes;
        self.pieces -= lost.pieces;
        for (all, lost) in self.dropped.iter_mut().zip(lost.dropped) {
            *all += lost;
        }
        self
    }

    /// How often something was dropped for this reason.
    pub fn dropped(&self, reason: Reason) -> u64 {
        self.dropped[reason as usize]
    }

    /// All drop counters with their names.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let dropped = self.dropped;
        Reason::ALL.into_iter().map(move |reason| (reason.name(), dropped[reason as usize]))
    }

    /// Every counter with its name. Drops come last.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Self { datagrams, bytes, copied_datagrams, copied_bytes, pieces, joined, .. } = *self;
        let Self { frames, foreign, duplicates, bounced, to_overlapping, to_separate, .. } = *self;
        let received = [
            ("datagrams", datagrams),
            ("bytes", bytes),
            ("copied_datagrams", copied_datagrams),
            ("copied_bytes", copied_bytes),
            ("pieces", pieces),
            ("joined", joined),
            ("frames", frames),
            ("foreign", foreign),
            ("duplicates", duplicates),
            ("bounced", bounced),
            ("to_overlapping", to_overlapping),
            ("to_separate", to_separate),
        ];
        received.into_iter().chain(self.drops())
    }

    /// Counter by counter: both, by `f`.
    pub fn combine(&self, other: &Self, f: fn(u64, u64) -> u64) -> Self {
        Self {
            datagrams: f(self.datagrams, other.datagrams),
            bytes: f(self.bytes, other.bytes),
            copied_datagrams: f(self.copied_datagrams, other.copied_datagrams),
            copied_bytes: f(self.copied_bytes, other.copied_bytes),
            pieces: f(self.pieces, other.pieces),
            joined: f(self.joined, other.joined),
            frames: f(self.frames, other.frames),
            foreign: f(self.foreign, other.foreign),
            duplicates: f(self.duplicates, other.duplicates),
            bounced: f(self.bounced, other.bounced),
            to_overlapping: f(self.to_overlapping, other.to_overlapping),
            to_separate: f(self.to_separate, other.to_separate),
            dropped: std::array::from_fn(|i| f(self.dropped[i], other.dropped[i])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::WholeBy;
    use crate::wire::Flow;

    #[test]
    fn what_nobody_got_is_dropped_and_not_delivered() {
        let whole = Whole {
            flow: Flow { src: 1, dst: 2, src_port: 3, dst_port: 4 },
            len: 7168,
            fragments: 5,
            by: WholeBy::Tags,
            carried: None,
        };
        let mut counted = Counters {
            datagrams: 3,
            bytes: 8000,
            copied_datagrams: 1,
            copied_bytes: 100,
            ..Counters::default()
        };
        counted.drop_one(Reason::LostFrame);
        let mut lost = Counters::default();
        assert_eq!(counted.without(&lost), counted);
        lost.lose(&whole, false);
        lost.lose(&Whole { len: 100, fragments: 1, ..whole }, true);
        let left = counted.without(&lost);
        assert_eq!((left.datagrams, left.bytes, left.copied_datagrams, left.copied_bytes), (1, 732, 0, 0));
        assert_eq!(left.drops().map(|(_, n)| n).sum::<u64>(), 7);
        assert_eq!(left.dropped(Reason::LostFrame), 7);
    }

    #[test]
    fn the_list_is_in_order_and_names_are_unique() {
        for (i, r) in Reason::ALL.iter().enumerate() {
            assert_eq!(*r as usize, i);
            assert!(Reason::ALL[..i].iter().all(|o| o.name() != r.name()));
        }
    }

    #[test]
    fn every_counter_has_a_name_of_its_own_and_is_added() {
        let mut one = Counters { to_separate: 5, bounced: 3, ..Counters::default() };
        one.drop_one(Reason::OverBudget);
        let two = one.combine(&one, u64::wrapping_add);
        assert_eq!(two.combine(&one, u64::wrapping_sub), one);
        for ((name, one), (same, two)) in one.named().zip(two.named()) {
            assert_eq!((name, 2 * one), (same, two));
        }
        let names: std::collections::BTreeSet<_> = one.named().map(|(name, _)| name).collect();
        assert_eq!(names.len() * size_of::<u64>(), size_of::<Counters>());
        assert_eq!(one.named().map(|(_, n)| n).sum::<u64>(), 9);
    }
}
