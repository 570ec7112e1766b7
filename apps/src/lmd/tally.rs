//! [`Tally`]: the counters of lmd: what crossed in each direction, and what was lost, by reason.
//!
//! [`super::kernelward`] and [`super::wireward`] count in it, in lmd's only loop. lmd's report at its end and
//! `lmd status` show it.

/// The counters of both directions. Each has a name, under which reports show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Datagrams that came whole out of fragments.
    pub(crate) whole: u64,
    /// Packets of other protocols that came whole out of fragments.
    pub(crate) other_whole: u64,
    /// Frames that crossed to the kernel as they came.
    pub(crate) frames: u64,
    /// Long TCP that segments were joined to.
    pub(crate) joined: u64,
    /// Frames that the kernel refused because its interface is down.
    pub(crate) down: u64,
    /// Frames for which the kernel had no room.
    pub(crate) refused: u64,
    /// Fragments of other protocols whose packet never became whole.
    pub(crate) fragments_lost: u64,
    /// Frames that the kernel sent, and that crossed as they are.
    pub(crate) sent: u64,
    /// Datagrams that the kernel sent, and that were cut as LM cuts them.
    pub(crate) sent_whole: u64,
    /// Other packets that were cut.
    pub(crate) sent_cut: u64,
    /// Long TCP that was cut into segments.
    pub(crate) sent_segmented: u64,
    /// Pieces of datagrams of which the other one never came.
    pub(crate) pieces_lost: u64,
    /// Packets that did not fit and must not be cut.
    pub(crate) too_big: u64,
    /// ICMP messages that told the senders of such packets.
    pub(crate) told: u64,
    /// Frames that cannot be sent, such as frames that do not fit and are not IPv4.
    pub(crate) never: u64,
    /// Frames that were dropped because the link was down.
    pub(crate) no_link: u64,
    /// Datagrams that went to a node of LM's which gave no leave in time (`--ac`).
    pub(crate) without_leave: u64,
    /// TCP SYNs whose maximum segment size was lowered.
    pub(crate) clamped: u64,
}

impl Tally {
    /// All counters, with their names.
    pub(crate) fn fields(&self) -> [(&'static str, u64); 18] {
        [
            ("datagrams from the wire, whole", self.whole),
            ("other packets from the wire, whole", self.other_whole),
            ("frames from the wire, as they came", self.frames),
            ("long TCP from the wire, of segments", self.joined),
            ("lost: the interface is down", self.down),
            ("lost: the kernel has no room", self.refused),
            ("lost: fragments of other protocols", self.fragments_lost),
            ("frames to the wire, as they are", self.sent),
            ("datagrams to the wire, cut by LM", self.sent_whole),
            ("other packets to the wire, cut", self.sent_cut),
            ("long TCP to the wire, in segments", self.sent_segmented),
            ("lost: pieces without the other one", self.pieces_lost),
            ("lost: too big, and not to be cut", self.too_big),
            ("senders told so", self.told),
            ("lost: cannot be sent on this wire", self.never),
            ("lost: the link is down", self.no_link),
            ("datagrams to the wire, without leave", self.without_leave),
            ("SYNs clamped", self.clamped),
        ]
    }

    /// Lines of a report: what is not zero.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.fields().iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{n:>12} {name}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_is_told() {
        assert_eq!(Tally::default().lines(), Vec::<String>::new());
        let tally = Tally { whole: 3, told: 1, ..Tally::default() };
        assert_eq!(
            tally.lines(),
            ["           3 datagrams from the wire, whole", "           1 senders told so"]
        );
    }
}
