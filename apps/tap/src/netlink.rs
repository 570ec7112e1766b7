//! Messages of the kernel's netlink (netlink(7), RFC 3549): read and written as bytes.
//!
//! [`crate::routes`], [`crate::rtnetlink`] and the crate `lm-takeover` use it. No system call is made here.
//! Bytes from the kernel are read within bounds: what is no message or attribute ends the list.

/// Bytes of a message's header.
pub const HEADER: usize = 16;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it is about.
    pub kind: u16,
    /// What holds for it, such as [`NLM_F_DUMP_INTR`](crate::numbers::NLM_F_DUMP_INTR).
    pub flags: u16,
    /// The number of the request that it answers.
    pub sequence: u32,
    /// What is behind its header.
    pub body: &'a [u8],
}

/// The messages of a buffer, up to the first bytes that are no message.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let (message, rest) = first(bytes)?;
        bytes = rest;
        Some(message)
    })
}

/// The first message of a buffer, and what is behind it. `None`: there is none.
pub fn first(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let len = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let body = bytes.get(HEADER..len)?;
    let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
    let flags = u16::from_ne_bytes([bytes[6], bytes[7]]);
    let sequence = u32::from_ne_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    Some((Message { kind, flags, sequence, body }, bytes.get(aligned(len)..).unwrap_or_default()))
}

/// The attributes of a message, each with its type and its value, up to the first bytes that are no
/// attribute.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d] = *bytes.first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(4..len)?;
        bytes = bytes.get(aligned(len)..).unwrap_or_default();
        // The upper bits say that it is nested, or in network order.
        Some((u16::from_ne_bytes([c, d]) & 0x3fff, value))
    })
}

/// A message with this body.
pub fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let len = (HEADER + body.len()) as u32;
    let mut bytes = len.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

/// Appends an attribute.
pub fn push(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    to.extend(((4 + value.len()) as u16).to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(aligned(to.len()), 0);
}

/// Messages and attributes begin at multiples of four.
fn aligned(len: usize) -> usize {
    len.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut body = vec![9; 12];
        push(&mut body, 4, &7_u32.to_ne_bytes());
        push(&mut body, 1, b"abc");
        let all = [message(24, 5, 1, &body), message(2, 0, 2, &[])].concat();
        let read: Vec<_> = messages(&all).collect();
        assert_eq!((read.len(), read[0].kind, read[1].kind, read[1].body.len()), (2, 24, 2, 0));
        assert_eq!((read[0].sequence, read[1].sequence), (1, 2));
        let values: Vec<_> = attributes(&read[0].body[12..]).collect();
        assert_eq!(values, [(4, &7_u32.to_ne_bytes()[..]), (1, b"abc")]);
    }

    #[test]
    fn no_length_is_believed() {
        let mut body = vec![9; 12];
        push(&mut body, 4, &[1; 9]);
        let all = message(24, 5, 1, &body);
        for len in 0..all.len() {
            assert_eq!(messages(&all[..len]).count(), 0, "{len}");
        }
        for len in 0..body.len() - 12 - 3 {
            assert_eq!(attributes(&body[12..12 + len]).count(), 0, "{len}");
        }
        assert_eq!(
            (messages(&[0; 40]).count(), attributes(&[0; 40]).count()),
            (0, 0),
            "shorter than a header"
        );
    }
}
