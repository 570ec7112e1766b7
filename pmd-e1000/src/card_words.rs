//! [`CardWords`]: whether a port's card can say something of each frame, and what it must be told for that.
//!
//! igb's driver copies the upper half of each descriptor's first word into `mbuf.hash.rss`, whatever it is
//! (DPDK 22.11, `igb_rxtx.c:936,1177`; 25.11, `:953,1194`). After a start it is a hash, as the driver sets
//! RXCSUM.PCSD (`:2487`). Without that bit, and with IPPCSE, it is the IP identification of the frame and the
//! sum of what is behind its IP header (I210 datasheet, 7.1.4.2, 7.1.7.2 and 8.9.4). LM never asks for
//! receive-side scaling, which needs the hash. The register is lost with each start, so it is written behind
//! each. A virtual function has no such register: it has what its physical one is set to.
//!
//! em cards write the sum of the whole frame, if RXCSUM.PCSS is 0, as it is after a reset. em neither changes
//! that nor reads the sum. It stays in the ring's memory, where [`EmRing`] finds it.
//!
//! Nobody is sure of what silicon writes. So what comes is compared before it is believed, by the matcher
//! (`lm_proto::card`). On a card that writes something else this costs a few comparisons after each start.

use lm_proto::card::Words;

use crate::em_ring::EmRing;
use crate::registers::Page;

/// The page that the register is in, where it is in that page, and its bits.
const RXCSUM_PAGE: usize = 0x5000;
const RXCSUM: usize = 0;
const IPPCSE: u32 = 1 << 12;
const PCSD: u32 = 1 << 13;

/// What a port's card can say of each frame, and how it is made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CardWords {
    /// Nothing, and why.
    Silent(&'static str),
    /// Identification and sum, once it was told to.
    Told,
    /// The same, if the physical function is set so.
    AsPhysical,
    /// The sum, in the ring.
    InRing,
}

/// What a started card may say, and how that came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spoken {
    pub(crate) words: Words,
    pub(crate) why: String,
}

impl Spoken {
    fn none(why: impl Into<String>) -> Self {
        Self { words: Words::None, why: why.into() }
    }
}

impl CardWords {
    /// What there is on a port with this driver, if it is wanted.
    pub(crate) fn of(driver: &str, wanted: bool) -> Self {
        match driver {
            _ if !wanted => Self::Silent("not wanted"),
            "net_e1000_igb" => Self::Told,
            "net_e1000_igb_vf" => Self::AsPhysical,
            "net_e1000_em" => Self::InRing,
            _ => Self::Silent("this driver hands none on"),
        }
    }

    /// Does what is to be done on a port that was just started. `ring` finds its receive ring.
    pub(crate) fn prepare(
        self,
        device: &str,
        ring: impl FnOnce() -> Result<EmRing, String>,
    ) -> (Spoken, Option<EmRing>) {
        let page = || Page::of(device, RXCSUM_PAGE);
        let spoken = match self {
            Self::Silent(why) => Spoken::none(why),
            Self::AsPhysical => {
                Spoken { words: Words::Packet, why: "as its physical function is set".to_owned() }
            }
            Self::Told => match page() {
                Ok(page) => tell(&page),
                Err(e) => Spoken::none(format!("its register RXCSUM cannot be reached: {e}")),
            },
            Self::InRing => match ring() {
                Ok(ring) => {
                    let why = "sums are read in the receive ring".to_owned();
                    return (Spoken { words: Words::Frame, why }, Some(ring));
                }
                Err(why) => Spoken::none(why),
            },
        };
        (spoken, None)
    }
}

/// Tells a card to write identification and sum in the place of the hash.
fn tell(page: &Page) -> Spoken {
    let told = page.change(RXCSUM, |before| (before & !PCSD) | IPPCSE);
    if told & (PCSD | IPPCSE) == IPPCSE {
        Spoken { words: Words::Packet, why: format!("RXCSUM = {told:#x}") }
    } else {
        Spoken::none(format!("its register RXCSUM reads {told:#x} after it was written"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_something_and_who_does_not() {
        assert_eq!(CardWords::of("net_e1000_igb", true), CardWords::Told);
        assert_eq!(CardWords::of("net_e1000_igb_vf", true), CardWords::AsPhysical);
        assert_eq!(CardWords::of("net_e1000_em", true), CardWords::InRing);
        for driver in ["net_igc", "net_memif", "net_tap"] {
            assert!(matches!(CardWords::of(driver, true), CardWords::Silent(_)), "{driver}");
        }
        let none = || Err("there is no ring".to_owned());
        for driver in ["net_e1000_igb", "net_e1000_igb_vf", "net_e1000_em"] {
            let (silent, ring) = CardWords::of(driver, false).prepare("0000:00:00.0", none);
            assert_eq!(silent, Spoken::none("not wanted"));
            assert!(ring.is_none());
        }
        let (spoken, ring) = CardWords::InRing.prepare("0000:00:00.0", none);
        assert_eq!((spoken, ring.is_none()), (Spoken::none("there is no ring"), true));
        // A device that is not there.
        let (spoken, _) = CardWords::Told.prepare("ffff:ff:1f.7", none);
        assert_eq!(spoken.words, Words::None);
        assert!(spoken.why.contains("cannot be reached"), "{}", spoken.why);
    }

    #[test]
    fn the_hash_is_switched_off_and_nothing_else_is_touched() {
        let path = std::env::temp_dir().join(format!("lm-rxcsum-{}", std::process::id()));
        let mut registers = vec![0xa5; RXCSUM_PAGE + 4096];
        registers[RXCSUM_PAGE..RXCSUM_PAGE + 4].copy_from_slice(&0x2300_u32.to_le_bytes());
        std::fs::write(&path, &registers).expect("a file");
        let spoken = tell(&Page::of_file(&path, RXCSUM_PAGE).expect("mapped"));
        let after = std::fs::read(&path).expect("the file");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(spoken, Spoken { words: Words::Packet, why: "RXCSUM = 0x1300".to_owned() });
        registers[RXCSUM_PAGE..RXCSUM_PAGE + 4].copy_from_slice(&0x1300_u32.to_le_bytes());
        assert_eq!(after, registers);
    }
}
