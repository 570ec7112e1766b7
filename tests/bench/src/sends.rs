//! `receive --sends FORM,SIZE,N`: N datagrams of SIZE bytes are sent on a device that frees what it gets at
//! once. Nothing is timed: `tests/scripts/polls.sh` has callgrind count what [`Sends::go`] executes, which
//! includes that the device frees the mbufs.

use lm_engine::{Message, SendBuffer, Sender, SenderConfig, Unsent};
use lm_landing::SendPool;
use lm_proto::alf::{ChecksumMode, Ends};
use lm_proto::layout::Geometry;
use lm_proto::wire::MAX_PAYLOAD;
use rte::Eal;
use rte::mempool::Mempool;
use rte::port::{Port, PortConfig, PortId, RxConf, TxConf};

use crate::traffic::{FLOW, Traffic, pattern};
use crate::variant::{Failure, SETS, VARIANTS, Variant};

/// The device, for EAL.
pub(crate) const DEVICE: &str = "--vdev=net_null0";

/// How a datagram comes to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A payload is copied into a buffer, which is sent.
    Send,
    /// A received message is sent on.
    Forward,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sends {
    form: Form,
    size: usize,
    n: usize,
}

/// What a datagram is made of.
enum Datagram<'a> {
    Payload(&'a [u8]),
    Message(Message),
}

impl Sends {
    /// `FORM,SIZE,N`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || format!("--sends={text}: give send or forward, SIZE and N, such as send,7168,1000");
        let words: Vec<_> = text.split(',').collect();
        let (form, size, n) = match words[..] {
            ["send", size, n] => (Form::Send, size, n),
            ["forward", size, n] => (Form::Forward, size, n),
            _ => return Err(wrong().into()),
        };
        let (size, n) = (size.parse().map_err(|_| wrong())?, n.parse().map_err(|_| wrong())?);
        if size > MAX_PAYLOAD {
            return Err(wrong().into());
        }
        Ok(Self { form, size, n })
    }

    /// All of them, and everything that was used comes back.
    pub(crate) fn run(self, eal: &Eal) -> Result<(), Failure> {
        let geometry = Geometry::ETHERNET;
        let mut port = Port::open(eal, PortId(0))?;
        let unused = Mempool::pktmbuf(eal, "b_unused", 63, 0, 0, 2048 + 128, None)?;
        port.configure(&PortConfig::default())?;
        port.rx_queue_setup(0, 0, &RxConf::default(), &unused)?;
        port.tx_queue_setup(0, 0, &TxConf::default())?;
        port.start()?;
        let tx = port.take_tx(0).ok_or("the queue is out")?;
        // As a node has it on net_memif, whose mbufs in flight are bounded.
        let headers = Mempool::pktmbuf(eal, "b_heads", 4095, 256, 0, 128 + 1514, None)?;
        let buffers = SendPool::create(eal, 64, geometry.buffer_len(), None)?;
        let config =
            SenderConfig { geometry, checksum: ChecksumMode::Full, in_flight: Some(2000), refuses: false };
        let mut sender = Sender::new(tx, config, buffers, headers.clone())?;

        let (name, kind) = VARIANTS[3];
        let mut variant = Variant::new(eal, name, kind, &SETS[0])?;
        let traffic = Traffic::new(kind.cut(), self.size, 1, false);
        let payload = pattern(self.size, 0);
        for _ in 0..self.n {
            match self.form {
                Form::Send => Self::go(&mut sender, Datagram::Payload(&payload))?,
                Form::Forward => {
                    variant.dma(&traffic, false);
                    let mut message = None;
                    variant.messages(|m| message = Some(m.take()));
                    let message = message.ok_or("a datagram was not delivered")?;
                    Self::go(&mut sender, Datagram::Message(message))?;
                }
            }
        }
        let stats = sender.stats();
        let want = (self.n as u64, (self.n * traffic.frames()) as u64);
        if (stats.datagrams, stats.frames) != want {
            return Err(format!("{stats:?}, not {want:?} datagrams and frames").into());
        }
        let (free, all) = sender.buffers();
        drop(sender);
        port.close().map_err(|(_, e)| e)?;
        if (free, headers.in_use()) != (all, 0) {
            return Err(format!("{free} of {all} buffers, {} mbufs are out", headers.in_use()).into());
        }
        variant.close()
    }

    /// Sends one. This is what is counted.
    #[inline(never)]
    fn go(sender: &mut Sender, datagram: Datagram<'_>) -> Result<(), Failure> {
        let ends = Ends { src_mac: [2, 0, 0, 0, 0, 2], dst_mac: [2, 0, 0, 0, 0, 1], flow: FLOW.reversed() };
        match datagram {
            Datagram::Payload(payload) => {
                if sender.send_small(payload, &ends) {
                    return Ok(());
                }
                let mut buffer: SendBuffer = sender.buffer().ok_or("no buffer")?;
                buffer.fill(payload);
                sender.send(buffer, &ends).map_err(|_| "it is not sent")?;
            }
            // As a node does it.
            Datagram::Message(message) => match sender.send_message(message, &ends) {
                Ok(()) => {}
                Err(Unsent::NotFromHere(message)) => {
                    let buffer = sender.buffer_of(&message).ok_or("no buffer")?;
                    sender.send(buffer, &ends).map_err(|_| "it is not sent on as a copy")?;
                }
                Err(Unsent::NotNow(_)) => return Err("it is not sent on".into()),
            },
        }
        Ok(())
    }
}
