//! A receiver that is dropped gives everything back, whatever it was doing and whatever goes before it: port,
//! EAL, messages.
//!
//! One EAL a process, and each order ends it: so this program runs itself again for each, and prints a line
//! for it.

use std::error::Error;
use std::io::Write as _;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lm_engine::{Message, Receiver, ReceiverConfig, Sender, SenderConfig};
use lm_landing::{OwedByDevices, SendPool, orphans, owed_by_devices};
use lm_proto::alf::{ChecksumMode, Ends};
use lm_proto::layout::Geometry;
use lm_proto::wire::Flow;
use pmd_e1000::{LandingPort, PortSetup};
use rte::mempool::Mempool;
use rte::port::{PortId, StopError, TxQueue};
use rte::{Eal, Mbuf, Release};

type Failed = Box<dyn Error>;

const G: Geometry = Geometry::ETHERNET;
const ENDS: Ends = Ends {
    src_mac: [2, 0, 0, 0, 0, 1],
    dst_mac: [2, 0, 0, 0, 0, 2],
    flow: Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 7000, dst_port: 9000 },
};

fn ensure(ok: bool, what: &str) -> Result<(), Failed> {
    if ok { Ok(()) } else { Err(what.into()) }
}

/// Who sends.
struct Source {
    sender: Sender,
    receiver: Receiver,
    port: LandingPort,
}

impl Source {
    fn open(eal: &Eal) -> Result<Self, Failed> {
        let mut port =
            LandingPort::open(eal, PortId(0), &PortSetup { mirror: false, ..PortSetup::default() })?;
        let (queue, tx) = port.start()?.ok_or("queues are out")?;
        let receiver = Receiver::new(eal, queue, &ReceiverConfig::default())?;
        let pool = SendPool::create(eal, 16, G.buffer_len(), None)?;
        let headers = Mempool::pktmbuf(eal, "heads", 1023, 64, 0, 128 + 192, None)?;
        let config =
            SenderConfig { geometry: G, checksum: ChecksumMode::Full, in_flight: None, refuses: false };
        Ok(Self { sender: Sender::new(tx, config, pool, headers)?, receiver, port })
    }

    fn send(&mut self, len: usize) -> Result<(), Failed> {
        let mut buffer = self.sender.buffer().ok_or("no buffer")?;
        buffer.write_all(&payload(len))?;
        self.sender.send(buffer, &ENDS)?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Failed> {
        let until = Instant::now() + Duration::from_secs(1);
        while self.sender.flush() > 0 {
            ensure(Instant::now() < until, "the queue stays full")?;
        }
        Ok(())
    }

    fn close(self) -> Result<(), Failed> {
        let Self { sender, receiver, mut port } = self;
        drop(sender);
        let (pool, _) = receiver.close().ok_or("closed")?;
        port.stop(pool)?;
        port.close()?;
        Ok(())
    }
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(31) ^ (i >> 8)) as u8).collect()
}

/// All that can be dropped, each in whatever order.
struct Stage {
    receiver: Option<Receiver>,
    port: Option<LandingPort>,
    messages: Option<Vec<Message>>,
    tx: Option<TxQueue>,
    stranger: Option<Mbuf>,
    eal: Option<Eal>,
    strangers: Mempool,
    source: Source,
}

impl Stage {
    /// Messages are held, strangers wait and one is out, and the first fragments of a datagram are there.
    fn set(zero_copy: bool) -> Result<Self, Failed> {
        let socket = std::env::temp_dir().join(format!("lm-drops-{}.sock", std::process::id()));
        let vdev = |i: usize, role: &str| {
            let zero = if zero_copy && role == "client" { ",zero-copy=yes" } else { "" };
            let socket = socket.display();
            format!("--vdev=net_memif{i},role={role},id=0,socket-abstract=no,rsize=8,socket={socket}{zero}")
        };
        let prefix = format!("--file-prefix=lmd{}", std::process::id());
        let mut args = vec!["drops", "-l", "0", "-m", "64", "--no-pci", "--no-telemetry"];
        args.extend(["--log-level=4", &prefix]);
        if zero_copy {
            args.push("--single-file-segments");
        }
        // From 25.11 on EAL takes one of the two: memory that a peer can map is hugepages.
        if !zero_copy || Eal::release() < Release(25, 11, 0) {
            args.push("--no-huge");
        }
        let args = args.into_iter().map(str::to_owned).chain([vdev(0, "server"), vdev(1, "client")]);
        let (eal, _) = Eal::init(args)?;
        let mut source = Source::open(&eal)?;
        let mut port = LandingPort::open(&eal, PortId(1), &PortSetup::default())?;
        ensure(port.traits().synchronous != zero_copy, "the device is not what it should be")?;
        let (queue, tx) = port.start()?.ok_or("queues are out")?;
        let strangers = Mempool::pktmbuf(&eal, "strangers", 63, 0, 0, 2176, None)?;
        let config = ReceiverConfig { strangers: Some(strangers.clone()), ..ReceiverConfig::default() };
        let mut receiver = Receiver::new(&eal, queue, &config)?;
        let until = Instant::now() + Duration::from_secs(10);
        while !(source.port.port().link()?.up && port.port().link()?.up) {
            ensure(Instant::now() < until, "the link stays down")?;
            std::thread::sleep(Duration::from_millis(5));
        }
        // The client posts what the server sends into.
        ensure(receiver.receive(1, |_| ()) == 0, "nothing was sent")?;

        let mut messages = Vec::new();
        for len in [7168, 20_000, 100] {
            source.send(len)?;
        }
        while messages.len() < 3 {
            ensure(Instant::now() < until, "messages are missing")?;
            receiver.receive(32, |m| messages.push(m.take()));
        }
        // Somebody else's: neither IP nor ARP.
        let mut bytes = [0; 60];
        bytes[..6].copy_from_slice(&ENDS.dst_mac);
        (bytes[12], bytes[13]) = (0x88, 0xb5);
        for _ in 0..5 {
            let frame = source.sender.frame(&bytes).ok_or("no mbuf")?;
            source.sender.send_frame(frame).map_err(|_| "the queue is full")?;
            source.flush()?;
        }
        // Where a peer writes, the newest frame is not judged before the next one is there.
        while strangers.in_use() < 4 {
            ensure(Instant::now() < until, "strangers are missing")?;
            receiver.receive(1, |_| ());
        }
        let stranger = receiver.next_stranger();
        ensure(stranger.is_some(), "no stranger")?;
        source.send(7168)?;
        while receiver.waiting() < 2 {
            ensure(Instant::now() < until, "no run is in progress")?;
            ensure(receiver.receive(1, |_| ()) <= 1, "a burst of one")?;
        }
        ensure(
            receiver.counters().datagrams == 3 && receiver.waiting() == 2,
            "the datagram is whole already",
        )?;
        Ok(Self {
            receiver: Some(receiver),
            port: Some(port),
            messages: Some(messages),
            tx: Some(tx),
            stranger,
            eal: Some(eal),
            strangers,
            source,
        })
    }

    /// Drops one, here or on another thread, as an application may.
    fn drop_one(&mut self, what: char) -> Result<(), Failed> {
        fn elsewhere<T: Send + 'static>(value: Option<T>) -> Result<(), Failed> {
            std::thread::spawn(move || drop(value)).join().map_err(|_| "the dropper panicked".into())
        }
        match what {
            'r' => drop(self.receiver.take()),
            'R' => elsewhere(self.receiver.take())?,
            'c' => {
                // Closed, but the pool is not given back to its port.
                let receiver = self.receiver.take().ok_or("no receiver")?;
                let (pool, engine) = receiver.close().ok_or("closed")?;
                ensure(engine.waiting() == 0, "frames wait")?;
                // No queue is out any more, but for the pool's.
                self.tx = None;
                let port = self.port.as_mut().ok_or("no port")?;
                let why = port.stop_all([]).err().ok_or("a port is stopped beside its pool")?;
                ensure(matches!(why, StopError::QueuesOut(_, 1)), "it was to say that a queue is out")?;
                drop(pool);
            }
            'w' => {
                // Closed, and the pool is given to another port.
                let receiver = self.receiver.take().ok_or("no receiver")?;
                let (pool, _) = receiver.close().ok_or("closed")?;
                self.tx = None;
                let of_another = Meanwhile::stop(&mut self.port, || self.source.port.stop(pool))?;
                ensure(of_another.is_err(), "the other port is stopped, whose queues are out")?;
            }
            'b' => {
                // Closed, and the pool is back with the port, which cannot be stopped yet.
                let receiver = self.receiver.take().ok_or("no receiver")?;
                let (pool, _) = receiver.close().ok_or("closed")?;
                let why = self.port.as_mut().ok_or("no port")?.stop(pool).err().ok_or("a queue is out")?;
                ensure(matches!(why, StopError::QueuesOut(_, 1)), "it was to say that a queue is out")?;
            }
            's' => {
                let receiver = self.receiver.take().ok_or("no receiver")?;
                let (pool, _) = receiver.close().ok_or("closed")?;
                self.tx = None;
                self.port.as_mut().ok_or("no port")?.stop(pool)?;
                let pool = self.port.as_ref().and_then(LandingPort::pool).ok_or("no pool")?;
                let held = self.messages.iter().flatten().map(|m| m.fragments() as u64).sum::<u64>();
                ensure(pool.available() == pool.size(), "the pool is not as full as it began")?;
                ensure(pool.held() == held, "slots are held that no message has")?;
            }
            'p' => drop(self.port.take()),
            'P' => elsewhere(self.port.take())?,
            'm' => drop(self.messages.take()),
            'M' => elsewhere(self.messages.take())?,
            't' => drop(self.tx.take()),
            'x' => drop(self.stranger.take()),
            'e' => drop(self.eal.take()),
            _ => return Err(format!("nothing is called {what}").into()),
        }
        Ok(())
    }

    /// All is dropped but the other end.
    fn end(self) -> Result<(), Failed> {
        let Self { receiver, port, messages, tx, stranger, eal, strangers, source } = self;
        let all = receiver.is_none() && port.is_none() && messages.is_none() && tx.is_none();
        ensure(all && stranger.is_none() && eal.is_none(), "the order leaves something out")?;
        ensure(owed_by_devices() == OwedByDevices::default(), "a closed port's device has something")?;
        ensure(orphans() == 0, "a region is left")?;
        ensure(strangers.in_use() == 0, "strangers are out")?;
        drop(strangers);
        let eal = source.port.port().eal().clone();
        source.close()?;
        ensure(owed_by_devices() == OwedByDevices::default() && orphans() == 0, "the other end")?;
        // Pools that are kept for ever would use it.
        eal.cleanup().map_err(|(_, e)| e.to_string())?;
        Ok(())
    }
}

/// Tries to stop a port at the moment at which the log says that a pool is not the port's that it was given
/// to.
struct Meanwhile(Mutex<Option<(LandingPort, Tried)>>);

/// What came of it, once it was tried.
type Tried = Option<Result<(), StopError>>;

static MEANWHILE: Meanwhile = Meanwhile(Mutex::new(None));

impl Meanwhile {
    /// Does `work`, during which this port must not be stopped.
    fn stop<T>(port: &mut Option<LandingPort>, work: impl FnOnce() -> T) -> Result<T, Failed> {
        log::set_logger(&MEANWHILE).map_err(|e| e.to_string())?;
        log::set_max_level(log::LevelFilter::Warn);
        let locked = || MEANWHILE.0.lock().map_err(|_| "the logger panicked");
        *locked()? = Some((port.take().ok_or("no port")?, None));
        let done = work();
        let (back, tried) = locked()?.take().ok_or("no port")?;
        *port = Some(back);
        let refused = tried.ok_or("the log says nothing")?.is_err();
        ensure(refused, "a port can be stopped while another one drops its pool")?;
        Ok(done)
    }
}

impl log::Log for Meanwhile {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        if record.args().to_string().contains("is another port's")
            && let Ok(mut state) = self.0.lock()
            && let Some((port, tried)) = &mut *state
        {
            *tried = Some(port.stop_all([]));
        }
    }
    fn flush(&self) {}
}

/// Small letters: here; capitals: on another thread. See `Stage::drop_one`.
const ORDERS: &[&str] = &[
    "rpmtxe", "ptexmr", "etxpmr", "mrtpxe", "tprmex", "RptxMe", "PtxRme", "etxMPR", "ctpmxe", "mctPxe",
    "stpmxe", "stPxeM", "mstpxe", "rtmpex", "wpmxe", "bPtmxe", "btpmxe",
];

fn child(order: &str, zero_copy: bool) -> Result<(), Failed> {
    let mut stage = Stage::set(zero_copy)?;
    ensure(owed_by_devices() == OwedByDevices::default(), "all is in use")?;
    for what in order.chars() {
        stage.drop_one(what)?;
        let (receiver, open) = (stage.receiver.is_some(), stage.port.is_some() || stage.tx.is_some());
        if let Some(messages) = &stage.messages {
            let intact = messages
                .iter()
                .zip([7168, 20_000, 100])
                .all(|(m, len)| m.as_slice() == Some(&payload(len)[..]));
            ensure(messages.len() == 3 && intact, "a message that is held has changed")?;
        }
        let has_pool = order.contains('s') || order.contains('b') && stage.port.is_some();
        if zero_copy && !receiver && open && !has_pool {
            // The peer may write at any moment.
            ensure(
                owed_by_devices().slots > 0 && owed_by_devices().bytes > 0,
                "what is posted is not counted",
            )?;
        }
    }
    stage.end()
}

fn main() {
    let args: Vec<_> = std::env::args().collect();
    if let [_, flag, device, order] = &args[..]
        && flag == "--order"
    {
        if let Err(e) = child(order, device == "zero-copy") {
            eprintln!("drops {device} {order}: {e}");
            std::process::exit(1);
        }
        return;
    }
    let (mut passed, mut failed) = (0, 0);
    for device in ["copy", "zero-copy"] {
        for order in ORDERS {
            println!("test {device}: {order}");
            let run = Command::new(&args[0]).args(["--order", device, order]).status();
            let ok = run.is_ok_and(|status| status.success());
            (passed, failed) = (passed + usize::from(ok), failed + usize::from(!ok));
        }
    }
    println!("{passed} passed, {failed} failed");
    std::process::exit(i32::from(failed > 0));
}
