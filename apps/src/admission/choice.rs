//! What `--ac` and its companions choose.

use std::path::Path;

use ac::{Key, Policy};

/// What `--ac` chooses; `None`: off.
pub(crate) type Choice = Option<Policy>;

/// The policy of `--ac`.
pub(crate) fn policy(text: &str) -> Result<Choice, String> {
    match text {
        "off" => Ok(None),
        "exclusive" => Ok(Some(Policy::Exclusive)),
        "per-receiver" => Ok(Some(Policy::PerReceiver)),
        _ => Err("give off, exclusive or per-receiver".to_owned()),
    }
}

/// A cluster's key: a file of 32 bytes, or of 64 hexadecimal digits.
pub(crate) fn key(path: &Path) -> Result<Key, String> {
    let wrong = || format!("--ac-key-file={}: a key is 32 bytes, or 64 hexadecimal digits", path.display());
    let bytes = std::fs::read(path).map_err(|e| format!("--ac-key-file={}: {e}", path.display()))?;
    if let Ok(key) = <[u8; 32]>::try_from(&bytes[..]) {
        return Ok(Key::new(key));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?.trim();
    let mut key = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    for (i, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
    }
    Ok(Key::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_their_names() {
        assert_eq!(policy("off"), Ok(None));
        assert_eq!(policy("exclusive"), Ok(Some(Policy::Exclusive)));
        assert_eq!(policy("per-receiver"), Ok(Some(Policy::PerReceiver)));
        assert!(policy("maybe").expect_err("no policy").contains("per-receiver"));
    }

    #[test]
    fn keys_are_32_bytes_or_64_digits() {
        let path = std::env::temp_dir().join(format!("lm-key-{}", std::process::id()));
        for (text, good) in [
            (&[7_u8; 32][..], true),
            (&[b'a'; 64], true),
            (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", true),
            (&[b'x'; 64], false),
            (b"secret", false),
        ] {
            std::fs::write(&path, text).expect("a file");
            assert_eq!(key(&path).is_ok(), good, "{text:?}");
        }
        std::fs::remove_file(&path).expect("was there");
        assert!(key(&path).expect_err("gone").contains("--ac-key-file"));
    }
}
