//! [`Saved`]: the state of a card and its interface before the card was moved, which is what it is given back
//! as.
//!
//! [`crate::refusal`] makes it from the facts, [`crate::store`] keeps it in a file, and [`crate::plan`] makes
//! the moves from it. A file with unknown fields is refused.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Address, Settings};

/// The version of the file.
pub const VERSION: u32 = 1;

/// A card as it was. [`Saved::of_text`] reads one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// [`VERSION`].
    pub version: u32,
    /// The card's interface.
    pub card: String,
    /// lmd's interface, which takes the place of the card's.
    pub tap: String,
    /// Whether lmd's interface was up before.
    pub tap_was_up: bool,
    /// The card's place on the PCI bus.
    pub device: String,
    /// The kernel's driver that had the card.
    pub driver: String,
    /// The only driver that was allowed to have the card (`driver_override`). `None`: any was.
    pub overridden: Option<String>,
    /// The driver that DPDK works with.
    pub to: String,
    /// What the card's interface had.
    #[serde(flatten)]
    pub settings: Settings,
    /// When the card was as this says: seconds since the machine's start.
    pub at: u64,
}

impl Saved {
    /// Reads the text of a card's file.
    ///
    /// # Errors
    /// Which field is missing, wrong, or unknown. serde refuses no unknown fields where some are those of a
    /// structure of their own, so they are looked for here.
    pub fn of_text(text: &str) -> Result<Self, String> {
        let read = || -> Result<_, serde_json::Error> {
            let saved: Self = serde_json::from_str(text)?;
            let given: Map<String, Value> = serde_json::from_str(text)?;
            Ok((serde_json::to_value(&saved)?, saved, given))
        };
        let (known, saved, given) = read().map_err(|e| e.to_string())?;
        match given.keys().find(|field| known.get(field).is_none()) {
            Some(field) => Err(format!("unknown field {field:?}")),
            None => Ok(saved),
        }
    }

    /// What has to be given back at a later moment: lifetimes went on. `taken` are the addresses that lmd's
    /// interface has now, of which some may have been renewed.
    pub fn later(&self, now: u64, taken: &[Address]) -> Self {
        let seconds = u32::try_from(now.saturating_sub(self.at)).unwrap_or(u32::MAX);
        let addresses = self.settings.addresses.iter();
        let settings = Settings {
            addresses: addresses.filter_map(|a| a.renewed(taken).or_else(|| a.after(seconds))).collect(),
            routes: self.settings.routes.iter().filter_map(|route| route.after(seconds)).collect(),
            ..self.settings.clone()
        };
        Self { settings, at: now, ..self.clone() }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::address::tests::v4;
    use crate::route::tests::route;

    /// A card with something of each kind.
    pub(crate) fn saved() -> Saved {
        Saved {
            version: VERSION,
            card: "eth0".to_owned(),
            tap: "lm0".to_owned(),
            tap_was_up: false,
            device: "0000:01:00.0".to_owned(),
            driver: "igb".to_owned(),
            overridden: None,
            to: "vfio-pci".to_owned(),
            settings: Settings {
                mac: [2, 0, 0, 0, 0, 9],
                mtu: 1400,
                up: true,
                addresses: vec![
                    v4([10, 0, 0, 1], "eth0", [u32::MAX; 2]),
                    v4([10, 0, 0, 2], "eth0:1", [100, 100]),
                ],
                routes: vec![route(false, None), route(true, Some([10, 0, 0, 254]))],
                groups: vec![[1, 0, 0x5e, 1, 2, 3]],
                joins: vec![[239, 1, 2, 3].into()],
            },
            at: 1000,
        }
    }

    /// What version 1 has written of that card.
    const WRITTEN: &str = include_str!("../testdata/eth0.json");

    #[test]
    fn files_of_version_1_are_read_and_written() {
        assert_eq!(Saved::of_text(WRITTEN), Ok(saved()));
        assert_eq!(serde_json::to_string_pretty(&saved()).expect("text"), WRITTEN.trim_end());
    }

    #[test]
    fn other_fields_than_its_own_are_refused() {
        let with = |field: &str| WRITTEN.replacen('{', &format!("{{ {field},"), 1);
        let why = Saved::of_text(&with("\"spe\\ned\": 1000")).expect_err("unknown");
        assert!(why.contains("spe\\ned") && !why.contains('\n'), "{why}");
        for twice in ["\"card\": \"eth0\"", "\"mtu\": 1400"] {
            let why = Saved::of_text(&with(twice)).expect_err(twice);
            assert!(why.contains("duplicate"), "{why}");
        }
        for field in ["tap", "mtu", "joins"] {
            let why = Saved::of_text(&WRITTEN.replace(&format!("\"{field}\":"), "\"x\":")).expect_err(field);
            assert!(why.contains(&format!("missing field `{field}`")), "{why}");
        }
    }

    #[test]
    fn later_some_is_over_and_some_was_renewed() {
        let all = saved();
        assert_eq!(all.later(1099, &[]).settings.addresses.len(), 2);
        let left: Vec<_> = all.later(1100, &[]).settings.addresses.iter().map(Address::ip).collect();
        assert_eq!(left, [Some([10, 0, 0, 1].into())]);
        let renewed = v4([10, 0, 0, 2], "lm0:1", [500, 500]);
        let later = all.later(1100, std::slice::from_ref(&renewed));
        assert_eq!(later.settings.addresses[1].to_string(), renewed.to_string());
        assert_eq!((later.at, later.settings.routes.len()), (1100, 2));
    }
}
