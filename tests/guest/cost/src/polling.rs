//! The receivers on port 1 under DPDK: LM, and a loop that receives and frees. Both fail if datagrams or
//! frames do not arrive within a second.

use std::time::{Duration, Instant};

use lm_engine::{Receiver as Messages, ReceiverConfig};
use lm_proto::policy::Require;
use pmd_e1000::{LandingPort, PortSetup};
use rte::mempool::Mempool;
use rte::port::{Port, PortConfig, PortId, RxConf, RxQueue, TxConf};
use rte::{Burst, Eal};

use crate::sender::{Source, byte};
use crate::{Failure, Receiver, ticks};

const PORT: PortId = PortId(1);
/// What comes is on the wire at once; a card reports it within this.
const SETTLE: Duration = Duration::from_millis(2);
/// A round that takes longer has lost something.
const PATIENCE: Duration = Duration::from_secs(1);

/// LM's landing port, under a policy.
pub(crate) struct Lands {
    port: LandingPort,
    messages: Messages,
    burst: usize,
    level: u32,
}

impl Lands {
    pub(crate) fn open(eal: &Eal, require: Require, burst: usize) -> Result<Self, Failure> {
        let mut port =
            LandingPort::open(eal, PORT, &PortSetup { promiscuous: false, ..PortSetup::default() })?;
        let level = port.pool().ok_or("no pool")?.available();
        let (queue, _) = port.start()?.ok_or("the queues of port 1 are out")?;
        eprintln!("lm-cost: {:?} slots: {}", port.layout(), port.verdict().why);
        let messages = Messages::new(eal, queue, &ReceiverConfig { require, ..ReceiverConfig::default() })?;
        Ok(Self { port, messages, burst, level })
    }
}

impl Receiver for Lands {
    fn mac(&self) -> Option<[u8; 6]> {
        self.port.port().mac().ok().map(|mac| mac.0)
    }

    fn round(&mut self, source: &mut Source, datagrams: usize) -> Result<u64, Failure> {
        source.send(datagrams, None)?;
        std::thread::sleep(SETTLE);
        let (mut got, mut wrong) = (0, 0);
        let until = Instant::now() + PATIENCE;
        let begin = ticks();
        let mut empty = 0_u64;
        while got < datagrams {
            // A look at both ends is what the others' consumers take, too.
            let n = self.messages.receive(self.burst, |mut m| {
                let m = m.contiguous();
                wrong += usize::from(m.first() != Some(&byte(0)) || m.last() != Some(&byte(m.len() - 1)));
                got += 1;
            });
            empty += u64::from(n == 0);
            if empty > 100 && Instant::now() > until {
                let counters = self.messages.counters();
                return Err(format!("{got} of {datagrams} datagrams came: {counters:?}").into());
            }
        }
        let cost = ticks() - begin;
        if wrong > 0 {
            return Err(format!("{wrong} datagrams are wrong").into());
        }
        Ok(cost)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        let Self { mut port, messages, level, .. } = *self;
        let (pool, _) = messages.close().ok_or("closed before")?;
        port.stop(pool)?;
        let now = port.pool().ok_or("no pool")?.available();
        port.close()?;
        if now == level { Ok(()) } else { Err(format!("{now} of {level} mbufs came back").into()) }
    }
}

/// A stock pool, a burst, a free.
pub(crate) struct Bare {
    // The queue goes before its port.
    rx: RxQueue,
    port: Port,
    burst: usize,
}

impl Bare {
    pub(crate) fn open(eal: &Eal, burst: usize) -> Result<Self, Failure> {
        if burst != 1 && burst != 32 {
            return Err("bare receives bursts of 1 or 32".into());
        }
        let pool = Mempool::pktmbuf(eal, "cost_bare", 2047, 256, 0, 2048 + 128, None)?;
        let mut port = Port::open(eal, PORT)?;
        port.configure(&PortConfig::default())?;
        port.rx_queue_setup(0, 512, &RxConf { wthresh: Some(1), ..RxConf::default() }, &pool)?;
        port.tx_queue_setup(0, 512, &TxConf::default())?;
        port.start()?;
        let rx = port.take_rx(0).ok_or("the queue of port 1 is out")?;
        Ok(Self { rx, port, burst })
    }

    fn take<const N: usize>(&mut self, frames: usize) -> Result<u64, Failure> {
        let mut burst = Burst::<N>::new();
        let until = Instant::now() + PATIENCE;
        let (mut got, mut empty) = (0, 0_u64);
        let begin = ticks();
        while got < frames {
            let n = self.rx.receive(&mut burst);
            burst.clear();
            got += n;
            empty += u64::from(n == 0);
            if empty > 100 && Instant::now() > until {
                return Err(format!("{got} of {frames} frames came").into());
            }
        }
        Ok(ticks() - begin)
    }
}

impl Receiver for Bare {
    fn mac(&self) -> Option<[u8; 6]> {
        self.port.mac().ok().map(|mac| mac.0)
    }

    fn round(&mut self, source: &mut Source, datagrams: usize) -> Result<u64, Failure> {
        source.send(datagrams, None)?;
        std::thread::sleep(SETTLE);
        let frames = datagrams * source.fragments();
        if self.burst == 1 { self.take::<1>(frames) } else { self.take::<32>(frames) }
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        let Self { rx, mut port, .. } = *self;
        drop(rx);
        port.stop()?;
        port.close().map_err(|(_, e)| e)?;
        Ok(())
    }
}
