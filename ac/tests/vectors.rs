//! The wire format: the test vectors of `docs/admission-control.md`, and random messages.
//!
//! Encoding a vector gives the bytes in the document, and decoding them gives the message again.

use ac::wire::{DecodeError, LENGTH, Message};
use ac::{Key, Kind, MAX_LENGTH, NodeId, Reason};
use proptest::prelude::*;

const A: NodeId = NodeId(0x0a00_0001);
const B: NodeId = NodeId(0x0a00_0002);

/// What a challenge asks for.
const NONCE: u64 = 0x0123_4567_89ab_cdef;

/// A landing queue's address.
const LANDING: u64 = 0x0200_0000_0012;

/// The key of the signed vectors: 00 01 02 … 1f.
fn key() -> Key {
    Key::new(std::array::from_fn(|i| i as u8))
}

/// One request from asking to end, as in the page.
fn vectors() -> [(Message, Option<Key>); 10] {
    let applicant = |kind| Message { incarnation: 0x11, address: B, request: 5, ..Message::new(kind, A, B) };
    let receiver = |kind, to| Message { incarnation: 0x22, address: B, ..Message::new(kind, B, to) };
    let answer = |kind| Message { echo_incarnation: 0x11, echo_sequence: 7, request: 5, ..receiver(kind, A) };
    let req = Message { sequence: 7, priority: 3, size: 65_507, lease: 95_000, ..applicant(Kind::Req) };
    let all = NodeId::ALL;
    let asks = Message {
        incarnation: 0x22,
        echo_incarnation: 0x11,
        echo_sequence: 8,
        size: NONCE,
        ..Message::new(Kind::Challenge, B, A)
    };
    [
        (req, None),
        (Message { sequence: 8, grant: 9, echo_incarnation: 0x22, ..applicant(Kind::EndMe) }, None),
        (Message { sequence: 31, grant: 9, lease: 95_000, flush: 256, ..answer(Kind::AcqOk) }, None),
        (Message { sequence: 32, reason: Reason::Queued, position: 2, ..answer(Kind::AcqRej) }, None),
        (Message { sequence: 30, grant: 9, lease: 100_050, ..receiver(Kind::AppendAddr, all) }, None),
        (Message { sequence: 33, grant: 9, ..receiver(Kind::RemoveAddr, all) }, None),
        (req, Some(key())),
        (
            Message { sequence: 31, grant: 9, queue: 1, lease: 95_000, size: LANDING, ..answer(Kind::AcqOk) },
            None,
        ),
        (Message { sequence: 34, ..asks }, None),
        (
            Message { sequence: 3, incarnation: 0x12, request: NONCE, ..Message::new(Kind::Challenge, A, B) },
            None,
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// `cargo test -p ac --test vectors -- --nocapture` prints them.
#[test]
fn the_vectors_of_the_page() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/admission-control.md"));
    let page = page.expect("the page is there");
    for (message, key) in vectors() {
        let mut bytes = [0; MAX_LENGTH];
        let n = message.encode(key.as_ref(), &mut bytes);
        assert_eq!(Message::decode(&bytes[..n], key.as_ref()), Ok(message));
        let text = hex(&bytes[..n]);
        println!("{}\n{text}", message.kind.name());
        assert!(page.contains(&text), "{} is not in the page:\n{text}", message.kind.name());
    }
}

#[test]
fn what_is_no_message_is_refused_by_name() {
    let (message, _) = vectors()[0].clone();
    let mut bytes = [0; MAX_LENGTH];
    message.encode(None, &mut bytes);
    let with = |at: usize, byte: u8| {
        let mut b = bytes;
        b[at] = byte;
        Message::decode(&b[..LENGTH], None).err()
    };
    for length in (0..LENGTH).chain([LENGTH + 1, MAX_LENGTH]) {
        assert_eq!(Message::decode(&bytes[..length], None), Err(DecodeError::Length), "{length}");
    }
    assert_eq!(with(0, b'B'), Some(DecodeError::Magic));
    assert_eq!(with(2, 2), Some(DecodeError::Version(2)));
    for kind in [0, 7, 15, 17, 255] {
        assert_eq!(with(3, kind), Some(DecodeError::Kind(kind)));
    }
    assert_eq!(with(4, 2), Some(DecodeError::Flags(2)));
    assert_eq!(with(5, 6), Some(DecodeError::Field));
    assert_eq!(with(6, 8), Some(DecodeError::Field));
    let nobody = Message { from: NodeId::ALL, ..message };
    let n = nobody.encode(None, &mut bytes);
    assert_eq!(Message::decode(&bytes[..n], None), Err(DecodeError::Field));
}

proptest! {
    #[test]
    fn there_and_back(
        kind in 0_usize..7, reason in 0_usize..6, priority in 0_u8..8, queue: u8, from in 1_u64.., to: u64,
        wide: [u64; 8], lease: u32, flush: u16, position: u16, signed: bool,
    ) {
        prop_assume!(from != to);
        let reasons =
            [Reason::Busy, Reason::Landing, Reason::Queued, Reason::Full, Reason::Withdrawn, Reason::Over];
        let [incarnation, sequence, echo_incarnation, echo_sequence, address, size, request, grant] = wide;
        let message = Message {
            kind: Kind::EVERY[kind], reason: reasons[reason], priority, queue,
            from: NodeId(from), to: NodeId(to),
            incarnation, sequence, echo_incarnation, echo_sequence,
            address: NodeId(address), size, request, grant,
            lease, flush, position,
        };
        let key = signed.then(key);
        let mut bytes = [0; MAX_LENGTH];
        let n = message.encode(key.as_ref(), &mut bytes);
        // In a grant, one station's address or nothing.
        let good = Kind::EVERY[kind] != Kind::AcqOk || size == 0 || (size >> 48 == 0 && size >> 40 & 1 == 0);
        let want = if good { Ok(message) } else { Err(DecodeError::Field) };
        prop_assert_eq!(Message::decode(&bytes[..n], key.as_ref()), want);
        let landing = Message { kind: Kind::AcqOk, size: size & 0xfeff_ffff_ffff, ..message };
        let n = landing.encode(key.as_ref(), &mut bytes);
        prop_assert_eq!(Message::decode(&bytes[..n], key.as_ref()), Ok(landing));
    }

    /// Whatever bit of a signed message is turned, it is no message any more; and no bytes make the decoder
    /// panic.
    #[test]
    fn a_turned_bit_is_noticed(
        at in 0_usize..MAX_LENGTH, bit in 0_u8..8, noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (message, _) = vectors()[6].clone();
        let mut bytes = [0; MAX_LENGTH];
        let n = message.encode(Some(&key()), &mut bytes);
        bytes[at] ^= 1 << bit;
        prop_assert!(Message::decode(&bytes[..n], Some(&key())).is_err());
        prop_assert!(Message::decode(&noise, Some(&key())).is_err());
        let _ = Message::decode(&noise, None);
    }
}
