//! A PCI function as Linux's sysfs shows it, and where its configuration space keeps the relaxed-ordering
//! bit.
//!
//! `order` clears and restores the bit with it, and `overlap` asks it for the ids of a card. It trusts
//! nothing in the configuration space: a chain of capabilities that is broken or does not end is an error.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::{error, fmt, io};

/// The ids by which a card is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Vendor: 0x8086 is Intel.
    pub vendor: u16,
    /// Device.
    pub device: u16,
    /// Revision.
    pub revision: u8,
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x} rev {:02x}", self.vendor, self.device, self.revision)
    }
}

/// The bit that lets a function mark its writes as relaxed: a word of configuration space, and the bit in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelaxedBit {
    /// Offset of the word.
    pub offset: usize,
    /// The bit.
    pub mask: u16,
}

/// Why configuration space does not show the bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Only this many bytes could be read.
    Short(usize),
    /// All ones: the function does not answer.
    Gone,
    /// The list of capabilities has an entry at an impossible offset.
    Wild(u8),
    /// The list of capabilities never ends.
    Endless,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(n) => {
                write!(f, "only {n} bytes of configuration space can be read: run as root (CAP_SYS_ADMIN)")
            }
            Self::Gone => {
                f.write_str("its configuration space reads all ones: check that it is powered and plugged in")
            }
            Self::Wild(at) => {
                write!(f, "its list of capabilities leads to offset {at:#x}, where none can be")
            }
            Self::Endless => f.write_str("its list of capabilities never ends"),
        }
    }
}

impl error::Error for ConfigError {}

/// Bytes of the header that every function has; capabilities lie behind it.
const HEADER: usize = 0x40;
/// Bytes in which capabilities may lie.
const SPACE: usize = 0x100;
const STATUS: usize = 0x06;
const STATUS_CAPABILITIES: u16 = 1 << 4;
const CAPABILITIES: usize = 0x34;
const CAPABILITY_PCIX: u8 = 0x07;
const CAPABILITY_PCIE: u8 = 0x10;
/// PCI Express: Device Control is 8 bytes into the capability, Enable Relaxed Ordering is its bit 4 (PCIe
/// base specification, 7.5.3.4).
const PCIE_CONTROL: (usize, u16) = (8, 1 << 4);
/// PCI-X: the command register is 2 bytes in, Enable Relaxed Ordering is its bit 1 (PCI-X addendum, 7.2.3).
const PCIX_COMMAND: (usize, u16) = (2, 1 << 1);

fn word(space: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes([*space.get(at)?, *space.get(at + 1)?]))
}

/// Where configuration space keeps the bit; `None`: the function is neither PCI Express nor PCI-X, and its
/// writes cannot be marked.
///
/// # Errors
/// [`ConfigError`]: it cannot be told.
pub fn relaxed_bit(space: &[u8]) -> Result<Option<RelaxedBit>, ConfigError> {
    let short = || ConfigError::Short(space.len());
    let header = space.get(..HEADER).ok_or_else(short)?;
    if header.iter().all(|&b| b == 0xff) {
        return Err(ConfigError::Gone);
    }
    if word(header, STATUS).ok_or_else(short)? & STATUS_CAPABILITIES == 0 {
        return Ok(None);
    }
    let mut at = header[CAPABILITIES];
    let mut found = None;
    // A list with more entries than there is room for visits some of them twice.
    for _ in 0..(SPACE - HEADER) / 4 {
        let here = usize::from(at & !3);
        if here == 0 {
            return Ok(found);
        }
        if here < HEADER {
            return Err(ConfigError::Wild(at));
        }
        let id = *space.get(here).ok_or_else(short)?;
        let next = *space.get(here + 1).ok_or_else(short)?;
        let bit = match id {
            CAPABILITY_PCIE => Some(PCIE_CONTROL),
            CAPABILITY_PCIX => Some(PCIX_COMMAND),
            _ => None,
        };
        if let Some((offset, mask)) = bit.filter(|_| found.is_none()) {
            let offset = here + offset;
            if offset + 2 > SPACE {
                return Err(ConfigError::Wild(at));
            }
            word(space, offset).ok_or_else(short)?;
            found = Some(RelaxedBit { offset, mask });
        }
        at = next;
    }
    Err(ConfigError::Endless)
}

/// A PCI function in sysfs.
#[derive(Clone, Debug)]
pub struct Function {
    dir: PathBuf,
}

impl Function {
    /// The function of this address, such as `0000:01:00.0`.
    pub fn of(address: &str) -> Self {
        Self::under(Path::new("/sys/bus/pci/devices"), address)
    }

    /// The same under another directory than sysfs's.
    pub fn under(devices: &Path, address: &str) -> Self {
        Self { dir: devices.join(address) }
    }

    /// Its address.
    pub fn address(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The physical function of a virtual one, if the system knows it. A guest that was given a virtual
    /// function does not know it.
    pub fn physical(&self) -> Option<Self> {
        let dir = fs::canonicalize(self.dir.join("physfn")).ok()?;
        Some(Self { dir })
    }

    fn number(&self, name: &str) -> io::Result<u32> {
        let text = fs::read_to_string(self.dir.join(name))?;
        let digits = text.trim().trim_start_matches("0x");
        u32::from_str_radix(digits, 16).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }

    /// Its ids.
    ///
    /// # Errors
    /// There is no sysfs, or no such function in it.
    pub fn ids(&self) -> io::Result<Ids> {
        let (vendor, device) = (self.number("vendor")? as u16, self.number("device")? as u16);
        Ok(Ids { vendor, device, revision: self.number("revision").unwrap_or_default() as u8 })
    }

    /// As much of its configuration space as may be read, at most 256 bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn config(&self) -> io::Result<Vec<u8>> {
        let file = File::open(self.dir.join("config"))?;
        let mut space = vec![0; SPACE];
        let mut n = 0;
        while n < SPACE {
            match file.read_at(&mut space[n..], n as u64)? {
                0 => break,
                more => n += more,
            }
        }
        space.truncate(n);
        Ok(space)
    }

    /// Writes a word of its configuration space.
    ///
    /// # Errors
    /// It may not be written.
    pub fn write_word(&self, offset: usize, value: u16) -> io::Result<()> {
        let file = File::options().write(true).open(self.dir.join("config"))?;
        file.write_all_at(&value.to_le_bytes(), offset as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Configuration space with these capabilities: offset, id, next.
    fn space(first: u8, capabilities: &[(usize, u8, u8)]) -> Vec<u8> {
        let mut space = vec![0; SPACE];
        space[..4].copy_from_slice(&[0x86, 0x80, 0xc9, 0x10]);
        space[STATUS] = STATUS_CAPABILITIES as u8;
        space[CAPABILITIES] = first;
        for &(at, id, next) in capabilities {
            space[at] = id;
            space[at + 1] = next;
        }
        space
    }

    #[test]
    fn the_bit_is_found_behind_other_capabilities() {
        let s = space(0x40, &[(0x40, 0x01, 0x50), (0x50, 0x05, 0xa0), (0xa0, CAPABILITY_PCIE, 0)]);
        assert_eq!(relaxed_bit(&s), Ok(Some(RelaxedBit { offset: 0xa8, mask: 0x10 })));
        let s = space(0xdc, &[(0xdc, 0x01, 0xe4), (0xe4, CAPABILITY_PCIX, 0)]);
        assert_eq!(relaxed_bit(&s), Ok(Some(RelaxedBit { offset: 0xe6, mask: 0x02 })));
    }

    #[test]
    fn conventional_pci_has_none() {
        let s = space(0xdc, &[(0xdc, 0x01, 0)]);
        assert_eq!(relaxed_bit(&s), Ok(None));
        let mut s = space(0x40, &[(0x40, CAPABILITY_PCIE, 0)]);
        s[STATUS] = 0;
        assert_eq!(relaxed_bit(&s), Ok(None), "without the status bit the pointer means nothing");
    }

    #[test]
    fn what_an_unprivileged_reader_sees_is_too_short() {
        let s = space(0x40, &[(0x40, 0x01, 0xa0), (0xa0, CAPABILITY_PCIE, 0)]);
        for n in [0, 1, 63, 64, 65, 0xa0, 0xa1, 0xa8, 0xa9] {
            assert_eq!(relaxed_bit(&s[..n]), Err(ConfigError::Short(n)), "{n} bytes");
        }
        assert!(relaxed_bit(&s[..0xaa]).is_ok());
    }

    #[test]
    fn hostile_lists_are_refused() {
        let looped = space(0x40, &[(0x40, 0x01, 0x48), (0x48, 0x05, 0x40)]);
        assert_eq!(relaxed_bit(&looped), Err(ConfigError::Endless));
        let own = space(0x40, &[(0x40, CAPABILITY_PCIE, 0x40)]);
        assert_eq!(relaxed_bit(&own), Err(ConfigError::Endless));
        for wild in [0x04, 0x10, 0x3f] {
            assert_eq!(relaxed_bit(&space(wild, &[])), Err(ConfigError::Wild(wild)));
        }
        let at_the_end = space(0xfc, &[(0xfc, CAPABILITY_PCIE, 0)]);
        assert_eq!(relaxed_bit(&at_the_end), Err(ConfigError::Wild(0xfc)));
        assert_eq!(relaxed_bit(&[0xff; SPACE]), Err(ConfigError::Gone));
    }

    #[test]
    fn no_space_of_bytes_panics() {
        let mut random = 1_u64;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..SPACE)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (random >> 56) as u8
                })
                .collect();
            if let Ok(Some(bit)) = relaxed_bit(&bytes) {
                assert!(bit.offset >= HEADER && bit.offset + 2 <= SPACE);
            }
        }
    }
}
