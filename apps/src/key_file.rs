//! A cluster's key in a file: 32 bytes, or 64 hexadecimal digits, which only its owner may read.
//!
//! [`crate::port_options`] calls [`read`] for `--ac-key-file`. A file that its group or others may use is
//! refused. The buffers of this module are wiped when it returns.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ac::Key;
use zeroize::Zeroizing;

use crate::regular_file;

/// Bytes of a key.
const KEY: usize = 32;
/// Hexadecimal digits of a key.
const DIGITS: usize = 2 * KEY;
/// The digits, a newline, and one byte that is too much.
const MOST: usize = DIGITS + 2;

/// Reads a key. What was read of the file is wiped.
pub(crate) fn read(path: &Path) -> Result<Key, String> {
    read_file(path).map_err(|why| format!("--ac-key-file={}: {why}", path.display()))
}

fn read_file(path: &Path) -> Result<Key, String> {
    let mut file = regular_file::open(path).map_err(|e| e.to_string())?;
    let mode = file.metadata().map_err(|e| e.to_string())?.permissions().mode() & 0o7777;
    // As ssh does, refuse a key that others can read.
    if mode & 0o077 != 0 {
        return Err(format!("others may use it (mode {mode:04o}), so it is no secret: chmod 600"));
    }
    // The buffer has a fixed size: one that grows leaves copies of the key behind.
    let mut bytes = Zeroizing::new([0; MOST]);
    let mut n = 0;
    while n < MOST {
        match file.read(&mut bytes[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.to_string()),
        }
    }
    key(&bytes[..n]).ok_or_else(|| {
        "it is no key: a key is 32 bytes, or 64 hexadecimal digits and nothing else".to_owned()
    })
}

/// The key in the bytes of a file.
fn key(bytes: &[u8]) -> Option<Key> {
    // Digits are never taken for bytes: half as many as there should be are half a key.
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let is_text = line.strip_suffix(b"\r").unwrap_or(line).iter().all(u8::is_ascii_hexdigit);
    let mut key = Zeroizing::new([0; KEY]);
    if is_text {
        if line.len() != DIGITS {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(line.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
    } else {
        key.copy_from_slice(bytes.get(..KEY).filter(|_| bytes.len() == KEY)?);
    }
    Some(Key::new(*key))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|n| n as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_32_bytes_or_64_digits() {
        let digits = b"00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221100";
        let mut same = [0; KEY];
        for (i, byte) in same.iter_mut().enumerate() {
            *byte = if i < 16 { i as u8 * 0x11 } else { (31 - i) as u8 * 0x11 };
        }
        assert!(key(digits) == Some(Key::new(same)) && key(&same) == Some(Key::new(same)));
        let line = |end: &[u8]| key(&[&digits[..], end].concat());
        assert!(line(b"\n") == Some(Key::new(same)));
        for end in [&b"\n\n"[..], b"\r\n", b" ", b" \n", b"0", b"00", b"\0"] {
            assert!(line(end).is_none(), "{end:?}");
        }
        for bad in [
            &b""[..],
            b"\n",
            b"secret",
            &digits[..32],
            &digits[..63],
            // 32 bytes that are digits and a line's end.
            &[&digits[..31], b"\n"].concat(),
            &[&digits[..30], b"\r\n"].concat(),
            &b"+1".repeat(32),
            &b" 1".repeat(32),
            &b"0x".repeat(32),
            &[b'x'; 64],
            &[7; 31],
            &[7; 33],
            &[7; 64],
        ] {
            assert!(key(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_for_its_owner_alone_and_in_a_file() {
        let path = std::env::temp_dir().join(format!("lm-key-{}", std::process::id()));
        std::fs::write(&path, [7; KEY]).expect("a file");
        let mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
            read(&path)
        };
        assert!(mode(0o600) == Ok(Key::new([7; KEY])) && mode(0o400).is_ok());
        for bits in [0o640, 0o604, 0o620, 0o602, 0o610, 0o666] {
            let told = mode(bits).expect_err("others may use it");
            assert!(told.contains(&format!("{bits:04o}")) && told.contains("chmod 600"), "{told}");
        }
        std::fs::remove_file(&path).expect("was there");
        assert!(read(&path).expect_err("gone").contains("--ac-key-file"));
        assert!(read(Path::new("/dev/zero")).expect_err("endless").contains("regular"));
    }

    proptest! {
        /// Any 32 bytes are a key, unless they are text of digits; a text of digits is one if it has 64.
        #[test]
        fn lengths_decide(bytes in prop::collection::vec(any::<u8>(), 0..MOST), text in "[0-9a-fA-F]{0,66}") {
            let is_text = bytes.iter().all(u8::is_ascii_hexdigit);
            prop_assume!(!is_text && !bytes.ends_with(b"\n"));
            prop_assert_eq!(key(&bytes).is_some(), bytes.len() == KEY);
            prop_assert_eq!(key(text.as_bytes()).is_some(), text.len() == DIGITS);
        }
    }
}
