//! LM's sender, on port 0: it sends the same payload again and again. It fails if a send buffer or the
//! transmit queue stays occupied for five seconds.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lm_engine::{SendBuffer, Sender, SenderConfig, WouldBlock};
use lm_landing::{LandingPool, LandingQueue, SendPool};
use lm_proto::alf::Ends;
use lm_proto::layout::Geometry;
use lm_proto::wire::Flow;
use pmd_e1000::{LandingPort, PortSetup};
use rte::Eal;
use rte::mempool::Mempool;
use rte::port::PortId;

use crate::{Failure, Options, Outlet};

/// Who receives, unless it is a socket with an address of its own.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// The port that it receives on.
pub(crate) const UDP_PORT: u16 = 9000;

/// Sends the same payload again and again.
pub(crate) struct Source {
    port: LandingPort,
    sender: Sender,
    pool: LandingPool,
    // A card keeps what it has sent until it is closed.
    headers: Mempool,
    payload: Vec<u8>,
    in_place: bool,
    ends: Ends,
}

/// Byte `i` of the payload.
pub(crate) fn byte(i: usize) -> u8 {
    (i.wrapping_mul(31) ^ (i >> 8)) as u8
}

impl Source {
    pub(crate) fn open(eal: &Eal, o: &Options, to: [u8; 6]) -> Result<Self, Failure> {
        let geometry = Geometry::ETHERNET;
        let mut port =
            LandingPort::open(eal, PortId(0), &PortSetup { promiscuous: false, ..PortSetup::default() })?;
        let (queue, tx) = port.start()?.ok_or("the queues of port 0 are out")?;
        let pool = LandingQueue::into_pool(queue);
        let buffers = SendPool::create(eal, 64, geometry.buffer_len(), None)?;
        let headers = Mempool::pktmbuf(eal, "cost_headers", 2047, 64, 0, 256, None)?;
        let config = SenderConfig { geometry, checksum: o.checksum, in_flight: None, refuses: false };
        let flow = Flow {
            src: u32::from(Ipv4Addr::new(198, 18, 0, 1)),
            dst: o.to.unwrap_or(ADDRESS).into(),
            src_port: 7000,
            dst_port: UDP_PORT,
        };
        let ends = Ends { src_mac: port.port().mac()?.0, dst_mac: to, flow };
        let payload = (0..o.size).map(byte).collect();
        Ok(Self {
            sender: Sender::new(tx, config, buffers, headers.clone())?,
            port,
            pool,
            headers,
            payload,
            in_place: false,
            ends,
        })
    }

    /// The same, with its payload where it goes from.
    pub(crate) fn in_place(self) -> Self {
        Self { in_place: true, ..self }
    }

    /// In how many fragments a datagram goes.
    pub(crate) fn fragments(&self) -> usize {
        crate::shape(self.payload.len()).0
    }

    fn fill(&self, buffer: &mut SendBuffer) {
        if self.in_place {
            while buffer.len() < self.payload.len() {
                let left = self.payload.len() - buffer.len();
                let room = buffer.room().len();
                buffer.advance(left.min(room));
            }
        } else {
            buffer.fill(&self.payload);
        }
    }

    /// Sends so many, and waits until they are on the wire; to `to`, if it is not the usual one.
    pub(crate) fn send(&mut self, datagrams: usize, to: Option<[u8; 6]>) -> Result<(), Failure> {
        let until = Instant::now() + Duration::from_secs(5);
        let ends = Ends { dst_mac: to.unwrap_or(self.ends.dst_mac), ..self.ends };
        for _ in 0..datagrams {
            let mut buffer = loop {
                match self.sender.buffer() {
                    Some(buffer) => break buffer,
                    None if Instant::now() > until => return Err("no send buffer comes back".into()),
                    None => _ = self.sender.flush(),
                }
            };
            self.fill(&mut buffer);
            while let Err(WouldBlock(again)) = self.sender.send(buffer, &ends) {
                if Instant::now() > until {
                    return Err("the transmit queue stays full".into());
                }
                buffer = again;
                self.sender.flush();
            }
        }
        while self.sender.flush() > 0 {
            if Instant::now() > until {
                return Err("frames stay in the transmit queue".into());
            }
        }
        Ok(())
    }

    pub(crate) fn close(self) -> Result<(), Failure> {
        let Self { mut port, sender, pool, headers, .. } = self;
        drop(sender);
        port.stop(pool)?;
        port.close()?;
        if headers.in_use() != 0 {
            return Err(format!("{} header mbufs did not come back", headers.in_use()).into());
        }
        Ok(())
    }
}

impl Outlet for Source {
    fn send(&mut self, datagrams: usize) -> Result<(), Failure> {
        Self::send(self, datagrams, None)
    }

    fn frames(&self) -> Result<Option<u64>, Failure> {
        Ok(Some(self.port.port().stats()?.opackets))
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Self::close(*self)
    }
}
