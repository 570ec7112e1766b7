//! Checks an `lm_config`, and makes an `lm::Config` of it.
//!
//! [`crate::lifecycle`] calls it for `lm_config_init`, `lm_open` and `lm_adopt`. Every field that has a range
//! is checked, and an error names the field and its value.

use std::ffi::{CStr, c_char};
use std::net::Ipv4Addr;
use std::str::FromStr;

use lm::{ChecksumMode, Config, Key, Policy, Require};

use crate::border::{Failure, invalid, null};
use crate::types::{lm_config, lm_proof};
use crate::versions::{self, check_sizes};

/// The longest text of an address.
const LONGEST_TEXT: usize = 64;

/// A checked configuration.
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) message_size: usize,
    pub(crate) burst: usize,
}

/// The defaults.
pub(crate) fn defaults(size: usize, message_size: usize) -> lm_config {
    lm_config {
        size: size as u32,
        message_size: message_size as u32,
        address: std::ptr::null(),
        port: 0,
        mtu: 1500,
        rx_descriptors: 512,
        tx_descriptors: 0,
        burst: 32,
        reassembly: 64,
        require: lm_proof::Headers as u16 | lm_proof::Checksum as u16,
        checksum: 1,
        interrupts: 0,
        region: 4 << 20,
        peer_mac: [0; 6],
        admission: 0,
        key: std::ptr::null(),
    }
}

/// Reads a string of the C program, of at most 64 bytes.
///
/// # Safety
/// `text` is NULL or a NUL-terminated string, which lives as long as the result is used.
pub(crate) unsafe fn text<'a>(text: *const c_char, what: &str) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(null(what));
    }
    // SAFETY: no byte behind the NUL is looked at.
    let len = unsafe { libc::strnlen(text, LONGEST_TEXT + 1) };
    if len > LONGEST_TEXT {
        return Err(invalid(format_args!("{what} has more than {LONGEST_TEXT} characters")));
    }
    // SAFETY: it ends within these.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| invalid(format_args!("{what} is no UTF-8: {text:?}")))
}

impl Options {
    /// Reads a program's configuration.
    ///
    /// # Safety
    /// `config` is NULL or points to a configuration of as many bytes as it says, whose pointers are NULL or
    /// point to what their names say.
    pub(crate) unsafe fn read(config: *const lm_config) -> Result<Self, Failure> {
        if config.is_null() {
            return Err(null("config"));
        }
        // SAFETY: the first bytes of every version are its lengths.
        let (size, message_size) = unsafe { ((*config).size as usize, (*config).message_size as usize) };
        check_sizes(size, message_size)?;
        // SAFETY: so many bytes are there; any bytes are numbers and pointers.
        let c = unsafe { versions::read(config.cast(), size, defaults(size, message_size)) }?;
        // SAFETY: the caller's promise.
        let text = unsafe { text(c.address, "config.address") }?;
        let address = Ipv4Addr::from_str(text).map_err(|_| {
            invalid(format_args!("config.address is {text:?}: give an IPv4 address such as 10.1.0.2"))
        })?;
        range("config.mtu", c.mtu.into(), 576, 9216)?;
        range("config.rx_descriptors", c.rx_descriptors.into(), 1, 32_768)?;
        range("config.tx_descriptors", c.tx_descriptors.into(), 0, 32_768)?;
        range("config.burst", c.burst.into(), 1, 512)?;
        range("config.reassembly", c.reassembly.into(), 1, 256)?;
        range("config.checksum", c.checksum.into(), 0, 1)?;
        range("config.interrupts", c.interrupts.into(), 0, 1)?;
        range("config.region", c.region, 1 << 17, 1 << 36)?;
        range("config.admission", c.admission.into(), 0, 2)?;
        range("config.require", c.require.into(), 1, 7)?;
        let bit = |proof: lm_proof| c.require & proof as u16 != 0;
        let require = Require {
            headers: bit(lm_proof::Headers),
            checksum: bit(lm_proof::Checksum),
            tags: bit(lm_proof::Tags),
        };
        let mut config = Config::new(address)
            .mtu(c.mtu)
            .require(require)
            .checksum(if c.checksum == 1 { ChecksumMode::Full } else { ChecksumMode::Zero })
            .rx_descriptors(c.rx_descriptors)
            .burst(c.burst)
            .region(c.region as usize)
            .interrupts(c.interrupts == 1)
            .reassembly(c.reassembly);
        if c.port != 0 {
            config = config.udp_port(c.port);
        }
        if c.tx_descriptors != 0 {
            config = config.tx_descriptors(c.tx_descriptors);
        }
        if c.peer_mac != [0; 6] {
            config = config.peer_mac(c.peer_mac);
        }
        let key = if c.key.is_null() {
            None
        } else {
            // SAFETY: the caller's promise: 32 bytes.
            Some(Key::new(unsafe { c.key.cast::<[u8; 32]>().read() }))
        };
        let policy = match c.admission {
            0 => None,
            1 => Some(Policy::Exclusive),
            _ => Some(Policy::PerReceiver),
        };
        match (policy, key) {
            (Some(policy), key) => config = config.admission(policy, key),
            (None, Some(_)) => {
                return Err(invalid(
                    "config.key is set, and config.admission is 0: set admission to 1 or 2, or key to NULL",
                ));
            }
            (None, None) => {}
        }
        Ok(Self { config, message_size, burst: c.burst.into() })
    }
}

fn range(what: &str, value: u64, least: u64, most: u64) -> Result<(), Failure> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(invalid(format_args!("{what} is {value}: give {least} to {most}")))
}

/// Reads `IP:PORT`, or `IP`.
pub(crate) fn parse(text: &str) -> Result<std::net::SocketAddrV4, Failure> {
    let wrong = || invalid(format_args!("{text:?} is no address such as 10.1.0.2:7000"));
    let (ip, port) = text.split_once(':').unwrap_or((text, "0"));
    let ip = Ipv4Addr::from_str(ip).map_err(|_| wrong())?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
    Ok(std::net::SocketAddrV4::new(ip, port))
}
