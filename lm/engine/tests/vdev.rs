//! The engine on real DPDK devices: two net_memif ports of this process, cross-connected. One EAL a process,
//! so this is one program that prints a line for each step, and not the usual harness.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use bytes::BufMut;
use lm_engine::{Message, Receiver, ReceiverConfig, SendBuffer, Sender, SenderConfig, Unsent, WouldBlock};
use lm_landing::{LandingQueue, SendPool, SlotLayout};
use lm_proto::alf::{ChecksumMode, Ends};
use lm_proto::layout::Geometry;
use lm_proto::policy::WholeBy;
use lm_proto::wire::Flow;
use pmd_e1000::{LandingPort, PortSetup};
use rte::Eal;
use rte::mempool::Mempool;
use rte::port::PortId;

#[path = "vdev/carried.rs"]
mod carried;

type Failed = Box<dyn Error>;
/// Something that two nodes do with each other.
type Step = fn(&mut Node, &mut Node) -> Result<(), Failed>;

const G: Geometry = Geometry::ETHERNET;
const FLOW: Flow = Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 7000, dst_port: 9000 };
const ENDS: Ends = Ends { src_mac: [2, 0, 0, 0, 0, 1], dst_mac: [2, 0, 0, 0, 0, 2], flow: FLOW };

fn payload(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(31) ^ (i >> 8) ^ seed.wrapping_mul(97)) as u8).collect()
}

/// A port with its receiver and sender.
struct Node {
    port: LandingPort,
    receiver: Receiver,
    sender: Sender,
    strangers: Mempool,
    level: u32,
}

impl Node {
    fn open(eal: &Eal, id: u16, setup: &PortSetup) -> Result<Self, Failed> {
        let mut port = LandingPort::open(eal, PortId(id), setup)?;
        let level = port.pool().ok_or("no pool")?.available();
        let strangers = Mempool::pktmbuf(eal, &format!("strange{id}"), 255, 0, 0, 2176, None)?;
        let (queue, tx) = port.start()?.ok_or("queues are out")?;
        let receiver = Self::receiver(eal, queue, &strangers)?;
        let pool = SendPool::create(eal, 16, G.buffer_len(), None)?;
        let headers = Mempool::pktmbuf(eal, &format!("head{id}"), 2047, 64, 0, 128 + 192, None)?;
        let config =
            SenderConfig { geometry: G, checksum: ChecksumMode::Full, in_flight: None, refuses: false };
        let sender = Sender::new(tx, config, pool, headers)?;
        Ok(Self { port, receiver, sender, strangers, level })
    }

    fn receiver(eal: &Eal, queue: LandingQueue, strangers: &Mempool) -> Result<Receiver, Failed> {
        let config = ReceiverConfig { strangers: Some(strangers.clone()), ..ReceiverConfig::default() };
        Ok(Receiver::new(eal, queue, &config)?)
    }

    /// Stops the port; everything must be back but the slots of messages that are kept.
    fn close(self, kept: u64) -> Result<(), Failed> {
        let Self { mut port, receiver, sender, strangers, level } = self;
        let (pool, _) = receiver.close().ok_or("closed before")?;
        drop(sender);
        port.stop(pool)?;
        let now = port.pool().ok_or("no pool")?.available();
        if now != level {
            return Err(format!("the landing pool has {now} mbufs and had {level}").into());
        }
        let held = port.pool().ok_or("no pool")?.held();
        if held != kept {
            return Err(format!("{held} slots are held, {kept} should be").into());
        }
        port.close()?;
        if strangers.in_use() != 0 {
            return Err(format!("{} stranger mbufs are out", strangers.in_use()).into());
        }
        Ok(())
    }
}

fn send(from: &mut Sender, mut buffer: SendBuffer, until: Instant) -> Result<(), Failed> {
    loop {
        match from.send(buffer, &ENDS) {
            Ok(()) => return Ok(()),
            Err(WouldBlock(b)) if Instant::now() < until => buffer = b,
            Err(_) => return Err("the queue stays full".into()),
        }
    }
}

/// Sends a payload from `a` and waits for it at `b`.
fn pass(a: &mut Node, b: &mut Node, data: &[u8]) -> Result<Message, Failed> {
    let until = Instant::now() + Duration::from_secs(5);
    let mut buffer = a.sender.buffer().ok_or("no send buffer")?;
    buffer.write_all(data)?;
    send(&mut a.sender, buffer, until)?;
    await_one(a, b, until)
}

fn await_one(a: &mut Node, b: &mut Node, until: Instant) -> Result<Message, Failed> {
    let mut got = None;
    while got.is_none() && Instant::now() < until {
        a.sender.flush();
        b.receiver.receive(32, |m| got = Some(m.take()));
    }
    got.ok_or_else(|| format!("nothing came: {:?}", b.receiver.counters()).into())
}

fn ensure(ok: bool, what: &str) -> Result<(), Failed> {
    if ok { Ok(()) } else { Err(what.into()) }
}

fn every_kind_of_size(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    let mut sizes =
        vec![1, 7, 8, 64, 1400, 1439, 1446, 1447, 1472, 1473, 7168, 16384, 65_499, 65_500, 65_507];
    sizes.extend((1..=44).flat_map(|k| [1480 * k - 9, 1480 * k - 8, 1480 * k - 7]));
    for (i, &size) in sizes.iter().enumerate() {
        let data = payload(size, i);
        let m = pass(a, b, &data)?;
        ensure(m.as_slice() == Some(&data[..]), "the payload differs")?;
        ensure(m.flow() == FLOW, "the flow differs")?;
    }
    let c = b.receiver.counters();
    println!("    {} datagrams, {} copied, {} frames", c.datagrams, c.copied_datagrams, c.frames);
    Ok(())
}

fn filled_in_every_way(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    let data = payload(20_000, 5);
    let until = Instant::now() + Duration::from_secs(5);
    let mut buffer = a.sender.buffer().ok_or("no send buffer")?;
    buffer.put_slice(&data[..9000]);
    while buffer.len() < data.len() {
        let at = buffer.len();
        let room = buffer.room();
        let n = room.len().min(data.len() - at);
        room[..n].copy_from_slice(&data[at..at + n]);
        buffer.advance(n);
    }
    send(&mut a.sender, buffer, until)?;
    let m = await_one(a, b, until)?;
    ensure(m.as_slice() == Some(&data[..]), "the payload differs")?;
    echoed(a, b, &data, m, until)?;
    // Every way a payload can end: in the guard, with a tag in a fragment of its own, with nothing at all.
    for size in [0, 1, 1430, 1431, 1438, 1471, 1472, 1473, 2911, 7168, 65_499, 65_500, 65_507] {
        let data = payload(size, size);
        let m = pass(a, b, &data)?;
        echoed(a, b, &data, m, until)?;
    }
    Ok(())
}

/// Sends a message back: shown from where it landed, or copied behind headers.
fn echoed(a: &mut Node, b: &mut Node, data: &[u8], m: Message, until: Instant) -> Result<(), Failed> {
    let back = Ends { src_mac: ENDS.dst_mac, dst_mac: ENDS.src_mac, flow: FLOW.reversed() };
    let mut message = m;
    loop {
        match b.sender.send_message(message, &back) {
            Ok(()) => break,
            Err(Unsent::NotNow(m)) if Instant::now() < until => message = m,
            // What lies across two hugepages is sent by nobody from there.
            Err(Unsent::NotFromHere(m)) if !sendable(&m) => return Ok(()),
            Err(e) => return Err(format!("the message is not sent: {e:?}").into()),
        }
    }
    let m = await_one(b, a, until)?;
    ensure(m.as_slice() == Some(data) && m.flow() == FLOW.reversed(), "the echo differs")
}

/// Whether the message lies in one piece in one hugepage, so that every frame of it can be sent from there.
fn sendable(m: &Message) -> bool {
    const HUGEPAGE: usize = 2 << 20;
    let Some(at) = m.as_slice().map(|s| s.as_ptr() as usize) else { return false };
    at / HUGEPAGE == (at + m.len().max(1) - 1) / HUGEPAGE
}

/// "Not now" and "never from here" are two answers: what devices cannot read is told at once, although the
/// queue is empty; a full queue is told as one, although devices can read the message.
fn not_now_and_not_from_here(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    let back = Ends { src_mac: ENDS.dst_mac, dst_mac: ENDS.src_mac, flow: FLOW.reversed() };
    let (mut refused, mut sent, mut across) = (0, 0, 0);
    for i in 0..400 {
        let data = payload(60_000, i);
        let m = pass(a, b, &data)?;
        let whole = sendable(&m);
        across += u32::from(!whole);
        match b.sender.send_message(m, &back) {
            Ok(()) => sent += 1,
            Err(Unsent::NotFromHere(m)) => {
                ensure(!whole, "it lies in one hugepage")?;
                ensure(m.as_slice() == Some(&data[..]), "it comes back as it was")?;
                refused += 1;
                continue;
            }
            Err(e) => return Err(format!("the queue is empty, and it says {e:?}").into()),
        }
        let until = Instant::now() + Duration::from_secs(5);
        let m = await_one(b, a, until)?;
        ensure(m.as_slice() == Some(&data[..]), "the echo differs")?;
    }
    println!("    {sent} sent, {refused} refused of {across} across two hugepages");
    ensure(refused > 0 && sent > 300, "some lie across two hugepages")?;
    // Nobody takes what b sends.
    let data = payload(60_000, 1);
    let mut held = Vec::new();
    for _ in 0..40 {
        let m = pass(a, b, &data)?;
        if sendable(&m)
            && let Err(e) = b.sender.send_message(m, &back)
        {
            ensure(matches!(e, Unsent::NotNow(_)), "the queue is full")?;
            held.push(e.into_inner());
            break;
        }
    }
    ensure(held.len() == 1, "the queue is never full")?;
    drop(held);
    let until = Instant::now() + Duration::from_secs(5);
    while b.sender.flush() > 0 {
        ensure(Instant::now() < until, "the queue stays full")?;
        a.receiver.receive(32, |_| ());
    }
    let mut idle = 0;
    while idle < 1000 {
        idle = if a.receiver.receive(32, |_| ()) > 0 { 0 } else { idle + 1 };
    }
    Ok(())
}

/// A sender that lacks one mbuf or more returns the message as it was, sends nothing of it, and keeps no
/// mbuf. With just enough mbufs it sends the message.
fn too_few_mbufs(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    let back = Ends { src_mac: ENDS.dst_mac, dst_mac: ENDS.src_mac, flow: FLOW.reversed() };
    // An mbuf has room for no more than 192 bytes, so most frames are shown: heads, pieces, the record of who
    // holds the memory, and the tag behind the last piece.
    for (size, needed) in [(64, 1), (1472, 2 + 1 + 1), (7168, 5 + 5 + 1 + 1)] {
        let data = payload(size, 11);
        let mut message = pass(a, b, &data)?;
        while !sendable(&message) {
            message = pass(a, b, &data)?;
        }
        let mut taken: Vec<_> = std::iter::from_fn(|| b.sender.frame(&[0; 60])).collect();
        let all = taken.len();
        for free in 0..needed {
            let (before, sent) = (taken.len(), b.sender.stats());
            message = match b.sender.send_message(message, &back) {
                Err(Unsent::NotNow(message)) => message,
                other => return Err(format!("{size} bytes, {free} mbufs are free: {other:?}").into()),
            };
            ensure(message.as_slice() == Some(&data[..]), "it comes back as it was")?;
            taken.extend(std::iter::from_fn(|| b.sender.frame(&[0; 60])));
            ensure((before + free, all) == (all, taken.len()), "as many are free as before")?;
            let now = b.sender.stats();
            ensure((now.datagrams, now.frames) == (sent.datagrams, sent.frames), "nothing is sent")?;
            taken.truncate(all - free - 1);
        }
        b.sender.send_message(message, &back).map_err(|e| format!("{needed} mbufs are free: {e:?}"))?;
        drop(taken);
        let m = await_one(b, a, Instant::now() + Duration::from_secs(5))?;
        ensure(m.as_slice() == Some(&data[..]), "the echo differs")?;
    }
    Ok(())
}

fn into_mbuf(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    let data = payload(30_000, 6);
    let m = pass(a, b, &data)?;
    let copied = m.copied();
    let pool = &a.strangers;
    let mbuf = m.into_mbuf(pool).map_err(|_| "not contiguous")?;
    ensure(mbuf.data() == &data[..] && mbuf.nb_segs() == 1, "the mbuf differs")?;
    ensure(pool.in_use() == 1, "one mbuf is out")?;
    drop(mbuf);
    ensure(pool.in_use() == 0, "it came back")?;
    println!("    {copied} bytes copied");
    Ok(())
}

/// Messages are held until the region is exhausted; nothing is corrupted, and it recovers.
fn held_messages(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    let before = b.receiver.counters();
    let mut held: Vec<(usize, Message)> = Vec::new();
    let mut sent = 0;
    let mut idle = 0;
    while idle < 20_000 {
        if let Some(mut buffer) = a.sender.buffer() {
            buffer.write_all(&payload(60_000, sent))?;
            if a.sender.send(buffer, &ENDS).is_ok() {
                sent += 1;
            }
        }
        let n = held.len();
        b.receiver.receive(32, |m| held.push((held.len(), m.take())));
        idle = if held.len() > n { 0 } else { idle + 1 };
    }
    let region = b.receiver.pool().ok_or("no pool")?;
    let (bytes, stats) = (region.region(), region.stats());
    println!("    {} messages held, {sent} sent; region {bytes} bytes; {stats:?}", held.len());
    ensure(stats.starved > 0, "the region was never exhausted")?;
    for (i, m) in &held {
        ensure(m.as_slice() == Some(&payload(60_000, *i)[..]), "a held message changed")?;
    }
    let n = held.len();
    // Dropped on another thread, as an application may.
    std::thread::spawn(move || drop(held)).join().map_err(|_| "the dropper panicked")?;
    let until = Instant::now() + Duration::from_secs(5);
    let mut more = 0;
    while more < sent - n && Instant::now() < until {
        a.sender.flush();
        b.receiver.receive(32, |_| more += 1);
    }
    let c = b.receiver.counters();
    println!("    {more} more after release; copied {}", c.copied_datagrams - before.copied_datagrams);
    for i in 0..50 {
        let data = payload(7168, i);
        ensure(pass(a, b, &data)?.as_slice() == Some(&data[..]), "the payload differs")?;
    }
    Ok(())
}

/// What is urgent waits for room in a full queue, and goes before what is sent later.
fn urgent_in_a_full_queue(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    let mut sent = 0_usize;
    loop {
        let mut buffer = a.sender.buffer().ok_or("no send buffer")?;
        buffer.write_all(&payload(20_000, sent))?;
        if a.sender.send(buffer, &ENDS).is_err() {
            break;
        }
        sent += 1;
    }
    for i in 0..32 {
        a.sender.send_urgent(&payload(96, i), &ENDS)?;
    }
    ensure(a.sender.send_urgent(&payload(96, 32), &ENDS).is_err(), "more wait than should")?;
    ensure(a.sender.send_urgent(&payload(193, 0), &ENDS).is_err(), "it is longer than an urgent one may be")?;
    // So many fragments that 16 bits count one.
    let far = vec![0; 1480 * 65_536 + 100];
    ensure(a.sender.send_urgent(&far, &ENDS).is_err(), "it is far longer than any datagram")?;
    let mut later = a.sender.buffer().ok_or("no send buffer")?;
    later.write_all(&payload(7168, 0))?;
    let mut later = Some(later);
    let (mut got, until) = (Vec::new(), Instant::now() + Duration::from_secs(5));
    while got.len() < sent + 33 && Instant::now() < until {
        later = later.take().and_then(|buffer| a.sender.send(buffer, &ENDS).err()).map(|WouldBlock(b)| b);
        a.sender.flush();
        b.receiver.receive(32, |m| got.push(m.as_slice().map(<[u8]>::to_vec)));
    }
    let mut expected: Vec<_> = (0..sent).map(|i| payload(20_000, i)).collect();
    expected.extend((0..32).map(|i| payload(96, i)));
    expected.push(payload(7168, 0));
    println!("    {sent} datagrams fill the queue, 32 urgent ones go behind them");
    ensure(got.into_iter().flatten().eq(expected), "not what was sent, or not in that order")
}

fn layouts_switched_while_running(a: &mut Node, b: &mut Node) -> Result<(), Failed> {
    for round in 0..6 {
        b.receiver.set_layout(if round % 2 == 0 { SlotLayout::Separate } else { SlotLayout::Overlapping });
        // More frames than the ring has slots, so that the switch takes effect.
        let (mut copied, mut in_pieces) = (0, 0);
        for i in 0..60 {
            let data = payload(20_000, i);
            let m = pass(a, b, &data)?;
            ensure(m.pieces().flatten().eq(&data), "the payload differs")?;
            if i >= 40 {
                copied += usize::from(m.copied() > 0);
                in_pieces += usize::from(m.pieces().len() == m.fragments() && m.as_slice().is_none());
                ensure(round % 2 == 1 || m.proof() == WholeBy::Headers, "separate slots show every header")?;
            }
        }
        // One may cross the region's end.
        let expected =
            if round % 2 == 0 { (copied, in_pieces) == (0, 20) } else { copied <= 1 && in_pieces == 0 };
        let what = format!("round {round}: {copied} of 20 were copied, {in_pieces} came in pieces");
        ensure(expected, &what)?;
    }
    Ok(())
}

fn run() -> Result<(), Failed> {
    let socket = std::env::temp_dir().join(format!("lm-vdev-{}.sock", std::process::id()));
    let vdev = |i: usize, role: &str| {
        format!("--vdev=net_memif{i},role={role},id=0,socket-abstract=no,rsize=9,socket={}", socket.display())
    };
    let args = ["vdev", "-l", "0", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry", "--log-level=4"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("--file-prefix=lmv{}", std::process::id()), vdev(0, "server"), vdev(1, "client")]);
    let (eal, _) = Eal::init(args)?;
    let setup = PortSetup { max_region: 8 << 20, mirror: false, ..PortSetup::default() };
    let mut a = Node::open(&eal, 0, &setup)?;
    let mut b = Node::open(&eal, 1, &PortSetup { mirror: true, ..setup })?;
    let until = Instant::now() + Duration::from_secs(10);
    while !(a.port.port().link()?.up && b.port.port().link()?.up) {
        ensure(Instant::now() < until, "the link stays down")?;
        std::thread::sleep(Duration::from_millis(20));
    }
    let steps: [(&str, Step); 12] = [
        ("every kind of size", every_kind_of_size),
        ("filled in every way, echoed in place", filled_in_every_way),
        ("not now, and not from here", not_now_and_not_from_here),
        ("too few mbufs", too_few_mbufs),
        ("into an mbuf", into_mbuf),
        ("urgent frames in a full queue", urgent_in_a_full_queue),
        ("sent on with the sums that it came with", carried::as_it_came),
        ("changed, and summed anew", carried::changed),
        ("wrong, and sent on as wrong", carried::wrong),
        ("without a checksum", carried::none),
        ("layouts switched while running", layouts_switched_while_running),
        ("messages held until the region is exhausted", held_messages),
    ];
    let n = steps.len();
    for (name, step) in steps {
        println!("test {name}");
        step(&mut a, &mut b).map_err(|e| format!("{name}: {e}"))?;
    }
    let kept = pass(&mut a, &mut b, &payload(7168, 1))?;
    a.close(0)?;
    b.close(kept.fragments() as u64)?;
    println!("test a message outlives its pool");
    ensure(lm_landing::orphans() == 1, "its region waits for it")?;
    ensure(kept.as_slice() == Some(&payload(7168, 1)[..]), "the payload differs")?;
    drop(kept);
    ensure(lm_landing::orphans() == 0, "its region went with it")?;
    eal.cleanup().map_err(|(_, e)| e.to_string())?;
    println!("{} passed, 0 failed", n + 1);
    Ok(())
}

fn main() {
    if let Err(e) = run() {
        eprintln!("vdev: {e}");
        std::process::exit(1);
    }
}
