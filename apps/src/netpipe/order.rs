//! [`Order`]: the messages between the two ends, in datagrams of the transport that is measured.
//!
//! ```text
//! initiator   Begin(round, task)  ->   repeated until it is answered
//! responder   <-   Ready(round)
//! initiator   payloads            ->   echoed, or counted
//! responder   <-   Credit(round, payloads counted), every so many of them, where the task says so
//! initiator   End(round)          ->   repeated until it is answered
//! responder   <-   Report(round, what it saw)
//! initiator   Bye                 ->   thrice, at the very end
//! ```
//! 160 bytes: a mark that no payload begins with, then little-endian words of 8 bytes.

/// The first bytes of an order. A payload begins with its number instead.
const MARK: [u8; 8] = *b"lm-NP v1";
const WORDS: usize = 19;
/// Bytes of an order.
pub(crate) const LEN: usize = 8 * (1 + WORDS);

/// What is done with the payloads of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Each payload is sent back.
    Echo,
    /// Each payload is sent back, and its checksum is computed again.
    EchoAnew,
    /// Payloads are counted.
    Sink,
    /// Payloads are counted, and the initiator is told the count each time that so many more have come.
    Credit(u64),
}

impl Task {
    /// The number of this task in an order.
    fn code(self) -> u64 {
        match self {
            Self::Echo => 0,
            Self::Sink => 1,
            Self::EchoAnew => 2,
            Self::Credit(_) => 3,
        }
    }

    /// The task of this number; `every` is the word behind it in the order.
    fn of_code(code: u64, every: u64) -> Option<Self> {
        [Self::Echo, Self::Sink, Self::EchoAnew, Self::Credit(every)]
            .into_iter()
            .find(|task| task.code() == code)
    }
}

/// What one end has counted in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Datagrams received, orders not counted.
    pub(crate) datagrams: u64,
    /// Bytes of their payload.
    pub(crate) bytes: u64,
    /// From the first to the last of them, ns.
    pub(crate) span_ns: u64,
    /// Bytes of payload that were copied to deliver them.
    pub(crate) copied: u64,
    /// Ticks spent where something was found or sent.
    pub(crate) work_ticks: u64,
    /// Ticks spent on polls that found nothing.
    pub(crate) idle_ticks: u64,
    /// Polls that found something.
    pub(crate) polls: u64,
    /// Polls that found nothing.
    pub(crate) empty_polls: u64,
    /// The thread's CPU time, ns.
    pub(crate) cpu_ns: u64,
    /// The round's length, ns.
    pub(crate) wall_ns: u64,
    /// Ticks a second.
    pub(crate) hz: u64,
}

/// An order or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// A round of this number begins.
    Begin(u64, Task),
    /// The round can begin: the responder is ready.
    Ready(u64),
    /// So many datagrams of the round have come.
    Credit(u64, u64),
    /// The round of this number is over.
    End(u64),
    /// What the responder has counted in this round.
    Report(u64, Account),
    /// There are no more rounds.
    Bye,
}

impl Order {
    /// The bytes of the datagram that carries it.
    pub(crate) fn bytes(&self) -> [u8; LEN] {
        let mut words = [0_u64; WORDS];
        match *self {
            Self::Begin(round, task) => {
                let every = if let Task::Credit(every) = task { every } else { 0 };
                words[..4].copy_from_slice(&[1, round, task.code(), every]);
            }
            Self::Ready(round) => words[..2].copy_from_slice(&[2, round]),
            Self::End(round) => words[..2].copy_from_slice(&[3, round]),
            Self::Report(round, a) => words[..13].copy_from_slice(&[
                4,
                round,
                a.datagrams,
                a.bytes,
                a.span_ns,
                a.copied,
                a.work_ticks,
                a.idle_ticks,
                a.polls,
                a.empty_polls,
                a.cpu_ns,
                a.wall_ns,
                a.hz,
            ]),
            Self::Bye => words[0] = 5,
            Self::Credit(round, datagrams) => words[..3].copy_from_slice(&[6, round, datagrams]),
        }
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&MARK);
        for (to, word) in bytes[8..].chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads an order from a datagram; `None`: the datagram is a payload.
    #[inline]
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        if payload.len() != LEN || payload[..8] != MARK {
            return None;
        }
        let mut words = [0; WORDS];
        for (word, from) in words.iter_mut().zip(payload[8..].as_chunks().0) {
            *word = u64::from_le_bytes(*from);
        }
        let round = words[1];
        Some(match words[0] {
            1 => Self::Begin(round, Task::of_code(words[2], words[3])?),
            2 => Self::Ready(round),
            3 => Self::End(round),
            4 => Self::Report(
                round,
                Account {
                    datagrams: words[2],
                    bytes: words[3],
                    span_ns: words[4],
                    copied: words[5],
                    work_ticks: words[6],
                    idle_ticks: words[7],
                    polls: words[8],
                    empty_polls: words[9],
                    cpu_ns: words[10],
                    wall_ns: words[11],
                    hz: words[12],
                },
            ),
            5 => Self::Bye,
            6 => Self::Credit(round, words[2]),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let account = Account {
            datagrams: 1,
            bytes: 2,
            span_ns: 3,
            copied: 4,
            work_ticks: 5,
            idle_ticks: 6,
            polls: 7,
            empty_polls: 8,
            cpu_ns: 9,
            wall_ns: 10,
            hz: 11,
        };
        for order in [
            Order::Begin(7, Task::Echo),
            Order::Begin(u64::MAX, Task::Sink),
            Order::Begin(1, Task::EchoAnew),
            Order::Begin(8, Task::Credit(3)),
            Order::Credit(8, 12),
            Order::Ready(1),
            Order::End(2),
            Order::Report(3, account),
            Order::Bye,
        ] {
            assert_eq!(Order::parse(&order.bytes()), Some(order));
        }
    }

    #[test]
    fn payloads_are_none() {
        let mut bytes = Order::Bye.bytes();
        assert_eq!(Order::parse(&bytes[..LEN - 1]), None);
        bytes[8] = 99;
        assert_eq!(Order::parse(&bytes), None);
        assert_eq!(Order::parse(&[0; LEN]), None);
    }
}
