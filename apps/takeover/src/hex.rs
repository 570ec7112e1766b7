//! Bytes as hexadecimal text: the kernel's messages in the file of a card.
//!
//! [`crate::address`] and [`crate::route`] write and read their messages with it. A text with other
//! characters, or with half a byte, is refused.

/// Two letters for each byte.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a text. `None`: it has other letters, or half a byte.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&text(&all)), Some(all));
        assert_eq!((bytes("0"), bytes("0g"), bytes("é0"), bytes("")), (None, None, None, Some(vec![])));
    }
}
