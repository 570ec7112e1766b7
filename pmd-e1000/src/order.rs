//! [`OrderGuard`]: proof that a card's writes reach memory in the order in which frames arrived.
//!
//! PCI Express lets a function mark its writes as *relaxed*. Such writes may overtake each other on their way
//! to memory. A frame that lands directly below the one before overwrites its headers. If the two writes
//! change their order, the headers overwrite the payload instead, without any error. One bit of the
//! function's configuration space allows relaxed writes. LM clears it before a port is started, and reads it
//! again after the start, because drivers reset their cards while they start.

use std::{error, fmt, io};

use crate::cards::{Bus, Card};
use crate::pci::{ConfigError, Function, RelaxedBit, relaxed_bit};

/// Why writes are known to keep their order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// On conventional PCI, writes always keep their order.
    Conventional,
    /// The bit is off at the function of this address.
    Off {
        /// The function, or the physical function of a virtual one.
        function: String,
        /// Whether it was on, and LM has switched it off.
        switched: bool,
    },
    /// It is not known, but the user of the port assumes it.
    Assumed,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conventional => f.write_str("none on conventional PCI"),
            Self::Off { function, switched: true } => write!(f, "was on at {function}, switched off"),
            Self::Off { function, switched: false } => write!(f, "off at {function}"),
            Self::Assumed => f.write_str("assumed to be off, on your word"),
        }
    }
}

/// Why writes may not keep their order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Doubt {
    /// The physical function of this virtual one is not visible, and the bit of the virtual one proves
    /// nothing.
    NoPhysical(String),
    /// Configuration space cannot be read or written.
    Io(String, &'static str, io::Error),
    /// The configuration space does not show it.
    Config(String, ConfigError),
    /// A card that should have the bit has none.
    NoBit(String, &'static str),
    /// The bit cannot be switched off.
    StaysOn(String),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPhysical(at) => {
                write!(
                    f,
                    "{at} is a virtual function, and the physical function that decides about ordering is \
                     not visible here; run LM where it is visible"
                )
            }
            Self::Io(at, what, e) => write!(f, "the configuration space of {at} cannot be {what}: {e}"),
            Self::Config(at, e) => write!(f, "{at}: {e}"),
            Self::NoBit(at, name) => {
                write!(f, "{at} ({name}) has no PCI Express capability, which would tell whether it is on")
            }
            Self::StaysOn(at) => {
                write!(
                    f,
                    "relaxed ordering at {at} is on, and could not be switched off: run as root \
                     setpci -s {at} CAP_EXP+8.w=0:10"
                )
            }
        }
    }
}

impl error::Error for Doubt {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io(_, _, e) => Some(e),
            Self::Config(_, e) => Some(e),
            Self::NoPhysical(_) | Self::NoBit(..) | Self::StaysOn(_) => None,
        }
    }
}

/// What a port needs to prove the order of its card's writes.
#[derive(Clone, Debug)]
pub struct OrderGuard {
    function: Function,
    card: &'static Card,
    assume: bool,
    /// Relaxed ordering was on, and LM has switched it off.
    switched: bool,
}

impl OrderGuard {
    /// The guard of a card. With `assume`, writes count as ordered if nothing can be proven. If relaxed
    /// ordering is seen to be on, they never do.
    pub fn new(function: Function, card: &'static Card, assume: bool) -> Self {
        Self { function, card, assume, switched: false }
    }

    /// Switches relaxed ordering off. Call it before a port is started.
    ///
    /// # Errors
    /// [`Doubt`].
    pub fn settle(&mut self) -> Result<Proof, Doubt> {
        let proof = self.prove(true);
        self.switched |= matches!(proof, Ok(Proof::Off { switched: true, .. }));
        self.or_assume(proof)
    }

    /// Checks that relaxed ordering is still off. Call it after a port was started.
    ///
    /// # Errors
    /// [`Doubt`].
    pub fn verify(&self) -> Result<Proof, Doubt> {
        self.or_assume(self.prove(false))
    }

    fn or_assume(&self, proof: Result<Proof, Doubt>) -> Result<Proof, Doubt> {
        match proof {
            Err(Doubt::StaysOn(at)) => Err(Doubt::StaysOn(at)),
            Err(_) if self.assume => Ok(Proof::Assumed),
            proof => proof,
        }
    }

    fn prove(&self, switch: bool) -> Result<Proof, Doubt> {
        let at = self.function.address();
        let physical = self.function.physical();
        let function = match (physical, self.card.is_virtual()) {
            (Some(physical), _) => physical,
            (None, true) => return Err(Doubt::NoPhysical(at)),
            (None, false) => self.function.clone(),
        };
        let at = function.address();
        let read = || function.config().map_err(|e| Doubt::Io(at.clone(), "read", e));
        let space = read()?;
        let bit = relaxed_bit(&space).map_err(|e| Doubt::Config(at.clone(), e))?;
        let Some(bit) = bit else {
            // A PCI-X card shows the capability even in a conventional slot, so one without it is emulated.
            return match self.card.bus {
                Bus::Pci | Bus::PciX => Ok(Proof::Conventional),
                Bus::Express | Bus::Chipset => Err(Doubt::NoBit(at, self.card.name)),
            };
        };
        let word = word(&space, bit);
        if word & bit.mask == 0 {
            return Ok(Proof::Off { function: at, switched: self.switched });
        }
        if !switch {
            return Err(Doubt::StaysOn(at));
        }
        // Relaxed ordering is on. If it cannot be switched off, that must not be overruled by `assume`.
        if let Err(e) = function.write_word(bit.offset, word & !bit.mask) {
            log::warn!("the configuration space of {at} cannot be written: {e}");
            return Err(Doubt::StaysOn(at));
        }
        let space = read()?;
        match relaxed_bit(&space) {
            Ok(Some(again)) if again == bit && self::word(&space, bit) & bit.mask == 0 => {
                Ok(Proof::Off { function: at, switched: true })
            }
            _ => Err(Doubt::StaysOn(at)),
        }
    }
}

/// `relaxed_bit` found the word within the bytes.
fn word(space: &[u8], bit: RelaxedBit) -> u16 {
    u16::from_le_bytes([space[bit.offset], space[bit.offset + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cards::find;
    use std::fs;
    use std::path::PathBuf;

    /// A stand-in for sysfs, gone at the end.
    struct Devices(PathBuf);

    impl Devices {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("lm-order-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).expect("a directory");
            Self(dir)
        }

        /// A function with a PCIe capability at 0xa0 whose control word is this.
        fn add(&self, at: &str, control: u16) -> Function {
            let mut space = vec![0_u8; 256];
            (space[6], space[0x34], space[0xa0]) = (0x10, 0xa0, 0x10);
            space[0xa8..0xaa].copy_from_slice(&control.to_le_bytes());
            self.add_raw(at, &space)
        }

        fn add_raw(&self, at: &str, space: &[u8]) -> Function {
            fs::create_dir_all(self.0.join(at)).expect("a directory");
            fs::write(self.0.join(at).join("config"), space).expect("a file");
            Function::under(&self.0, at)
        }

        fn control(&self, at: &str) -> u16 {
            let space = fs::read(self.0.join(at).join("config")).expect("the file");
            u16::from_le_bytes([space[0xa8], space[0xa9]])
        }
    }

    impl Drop for Devices {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn card(id: u16) -> &'static Card {
        find(0x8086, id).expect("in the table")
    }

    #[test]
    fn relaxed_ordering_is_switched_off_and_the_other_bits_stay() {
        let devices = Devices::new("off");
        let mut guard = OrderGuard::new(devices.add("0000:01:00.0", 0x2810 | 0x10), card(0x10c9), false);
        assert!(matches!(guard.verify(), Err(Doubt::StaysOn(_))), "looking does not switch");
        let off = |switched| Proof::Off { function: "0000:01:00.0".into(), switched };
        assert_eq!(guard.settle().expect("off"), off(true));
        assert_eq!(devices.control("0000:01:00.0"), 0x2800);
        assert_eq!(guard.verify().expect("off"), off(true), "what was done stays known");
        assert_eq!(guard.settle().expect("off"), off(true));
    }

    #[test]
    fn a_virtual_function_is_judged_by_its_physical_one() {
        let devices = Devices::new("vf");
        devices.add("0000:01:00.0", 0x10);
        let vf = devices.add("0000:01:10.0", 0);
        let mut guard = OrderGuard::new(vf, card(0x10ca), false);
        assert!(
            matches!(guard.settle(), Err(Doubt::NoPhysical(_))),
            "its own bit is off, and proves nothing"
        );
        std::os::unix::fs::symlink("../0000:01:00.0", devices.0.join("0000:01:10.0/physfn")).expect("a link");
        assert!(matches!(guard.verify(), Err(Doubt::StaysOn(at)) if at == "0000:01:00.0"));
        assert!(
            matches!(guard.settle(), Ok(Proof::Off { function, switched: true }) if function == "0000:01:00.0")
        );
        assert_eq!((devices.control("0000:01:00.0"), devices.control("0000:01:10.0")), (0, 0));
    }

    #[test]
    fn without_proof_there_is_doubt_unless_it_is_waived() {
        let devices = Devices::new("doubt");
        let nowhere = Function::under(&devices.0, "0000:09:00.0");
        let short = devices.add_raw("0000:02:00.0", &[0; 40]);
        let bare = devices.add_raw("0000:03:00.0", &[0; 256]);
        for function in [nowhere, short, bare] {
            let doubt =
                OrderGuard::new(function.clone(), card(0x10d3), false).settle().expect_err("no proof");
            assert!(doubt.to_string().contains(&function.address()), "{doubt}");
            assert_eq!(
                OrderGuard::new(function, card(0x10d3), true).settle().expect("waived"),
                Proof::Assumed
            );
        }
        let on = OrderGuard::new(devices.add("0000:04:00.0", 0x10), card(0x10d3), true);
        assert!(matches!(on.verify(), Err(Doubt::StaysOn(_))), "what is seen to be on is not waived");
    }

    #[test]
    fn conventional_pci_keeps_order_and_a_chipset_does_not_tell() {
        let devices = Devices::new("pci");
        let bare = devices.add_raw("0000:00:04.0", &[0; 256]);
        let pci = OrderGuard::new(bare.clone(), card(0x100e), false);
        assert_eq!(pci.verify().expect("conventional"), Proof::Conventional);
        let chipset = OrderGuard::new(bare, card(0x15b8), false).settle();
        assert!(matches!(chipset, Err(Doubt::NoBit(_, "I217/I218/I219 (PCH)"))));
    }
}
