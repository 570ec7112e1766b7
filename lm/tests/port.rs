//! What the documentation of `lm` promises, on two net_memif ports that are connected to each other. The
//! steps share one process and one `main`, since a process has one EAL.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use lm::{AdoptError, Config, Eal, Landing, PollError, Port, PortError, SendError, Sent, SlotLayout, rte};
use pmd_e1000::quirks::Quirk;

type Failed = Box<dyn Error>;

const A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 1), 7001);
const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 2), 7002);

fn ensure(ok: bool, what: &str) -> Result<(), Failed> {
    if ok { Ok(()) } else { Err(what.into()) }
}

/// Calls `done`, which polls both ports, until it says true, or for five seconds.
fn until(
    a: &mut Port,
    b: &mut Port,
    mut done: impl FnMut(&mut Port, &mut Port) -> Result<bool, Failed>,
) -> Result<(), Failed> {
    let end = Instant::now() + Duration::from_secs(5);
    while !done(a, b)? {
        ensure(Instant::now() < end, "it takes too long")?;
    }
    Ok(())
}

fn refusals(eal: &Eal) -> Result<(), Failed> {
    let unknown = Port::open(eal, "net_tap7", Config::new(*A.ip())).err().ok_or("there is no such device")?;
    ensure(matches!(unknown, PortError::NoDevice { .. }), "NoDevice")?;
    let text = unknown.to_string();
    ensure(text.contains("net_tap7") && text.contains("net_memif0, net_memif1"), &text)?;
    // What Rust prints if `main` returns it.
    ensure(format!("{unknown:?}") == text, &format!("{unknown:?}"))?;
    for mtu in [0, 575, 9217] {
        let error =
            Port::open(eal, "net_memif0", Config::new(*A.ip()).mtu(mtu)).err().ok_or("no such MTU")?;
        ensure(error.to_string().contains("576") && error.source().is_some(), &error.to_string())?;
    }
    Ok(())
}

/// A port that the application opens itself is refused for its device's arguments as one of `lm` is.
fn refusals_to_adopt(eal: &Eal) -> Result<(), Failed> {
    let create = |port, mtu| Landing::create(eal, port, &Config::new(*A.ip()).mtu(mtu));
    // net_memif2 has bsize=1024, net_memif3 has bsize=1514.
    for (port, mtu, least) in [(2, 1500, 1514), (2, 1011, 1025), (3, 1501, 1515), (0, 9000, 9014)] {
        let error = create(port, mtu).err().ok_or("its buffers are too short")?;
        let text = error.to_string();
        ensure(matches!(error, AdoptError::Unmet(..)) && error.source().is_some(), &text)?;
        let says = [format!("port {port}: net_memif's buffers of "), format!("bsize={least} or more")];
        ensure(says.iter().all(|word| text.contains(word)), &text)?;
    }
    let unmet = create(3, 1500).err();
    let taken_in_advance = Quirk::TakesInAdvance.is_in(rte::Eal::release());
    ensure(matches!(unmet, Some(AdoptError::Unmet(..))) == taken_in_advance, "as long as a slot")?;
    for region in [(1 << 36) + 1, usize::MAX] {
        let error = Landing::create(eal, 0, &Config::new(*A.ip()).region(region)).err().ok_or("too large")?;
        let text = error.to_string();
        ensure(matches!(error, AdoptError::Unmet(..)) && text.contains(&region.to_string()), &text)?;
    }
    create(2, 1000)?;
    create(3, 1400)?;
    create(0, 1500)?;
    Ok(())
}

/// A queue is adopted by one, and not at all from a port that is open.
fn one_owner(eal: &Eal) -> Result<(), Failed> {
    let landing = || Landing::create(eal, 0, &Config::new(*A.ip()));
    let (mut first, mut second) = (landing()?, landing()?);
    first.reserve(0, 0)?;
    first.reserve(0, 0)?;
    for (rx, tx) in [(0, 0), (0, 1), (1, 0)] {
        let refused = second.reserve(rx, tx).err().ok_or("it has an owner")?;
        ensure(refused.to_string().contains("queue 0 of port 0 is adopted already"), &refused.to_string())?;
    }
    second.reserve(1, 1)?;
    let refused = Port::open(eal, "net_memif0", Config::new(*A.ip())).err().ok_or("it has an owner")?;
    ensure(refused.to_string().contains("of port 0 is adopted already"), &refused.to_string())?;
    drop(first);
    second.reserve(0, 0)?;
    Ok(())
}

/// Messages of every kind of length arrive as they were sent, with their addresses, and are counted.
fn messages(a: &mut Port, b: &mut Port) -> Result<(), Failed> {
    for len in [0, 1, 1472, 1473, 7168, 65_507] {
        let data: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        ensure(a.send(&data, B)? != Sent::Dropped, "it is sent or waits")?;
        let mut came = None;
        until(a, b, |a, b| {
            a.poll(|_, _| ())?;
            b.poll(|mut m, _| {
                let pieces: Vec<u8> = m.pieces().flatten().copied().collect();
                let same = m.as_slice() == Some(&data[..])
                    && pieces == data
                    && m.len() == len
                    && m.is_empty() == (len == 0);
                came = Some(same && m.contiguous() == data && (m.from(), m.to()) == (A, B) && !m.is_copied());
            })?;
            Ok(came.is_some())
        })?;
        ensure(came == Some(true), &format!("{len} bytes"))?;
    }
    ensure(b.counters().counters.datagrams == 6, "six were counted")?;
    ensure(a.send(&vec![0; 65_508], B) == Err(SendError::TooLong { len: 65_508 }), "it is too long")
}

/// Messages that are answered behind the poll that gave them: what that poll left keeps the port from
/// resting, and the next poll does it.
fn answered_behind_the_poll(a: &mut Port, b: &mut Port) -> Result<(), Failed> {
    for round in 0..20_u8 {
        a.send(&[round; 3000], B)?;
        let (mut came, mut back) = (Vec::new(), false);
        until(a, b, |a, b| {
            b.poll_ahead(|message| came.push(message.take()))?;
            let owes = !came.is_empty();
            ensure(!owes || b.may_rest().is_none(), "what was left is still to be done")?;
            for message in came.drain(..) {
                let (from, mut out) = (message.from(), b.outbound_of_poll().ok_or("it is open")?);
                ensure(out.try_forward(message, from).is_ok(), "it goes or waits")?;
            }
            if owes {
                let rests = (0..1000).any(|_| b.poll_ahead(|_| ()).is_ok() && b.may_rest().is_some());
                ensure(rests, "the next poll does it")?;
            }
            a.poll(|m, _| back = m.pieces().flatten().all(|&byte| byte == round) && m.len() == 3000)?;
            Ok(back)
        })?;
    }
    Ok(())
}

/// Datagrams to another UDP port or another node do not reach the closure.
fn others(a: &mut Port, b: &mut Port) -> Result<(), Failed> {
    a.send(b"other port", SocketAddrV4::new(*B.ip(), 7003))?;
    a.send(b"ours", B)?;
    let mut came = Vec::new();
    until(a, b, |a, b| {
        a.poll(|_, _| ())?;
        b.poll(|mut m, _| came.push(m.contiguous().to_vec()))?;
        Ok(!came.is_empty())
    })?;
    ensure(came == [b"ours"] && b.ignored() == 1, "the other one was ignored")
}

/// Messages for a peer that does not answer ARP wait, and do not hold up those for another peer.
fn waiting(a: &mut Port, b: &mut Port) -> Result<(), Failed> {
    let nobody = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 99), 1);
    let sent = |a: &mut Port, buffers: usize| -> Result<Vec<Sent>, Failed> {
        (0..buffers).map(|_| Ok(a.send(b"x", nobody)?)).collect()
    };
    let first = sent(a, 20)?;
    ensure(first.iter().all(|&s| s == Sent::Waiting) && a.unsent() == (0, 20), "they wait")?;
    a.send(b"past them", B)?;
    let mut came = 0;
    until(a, b, |a, b| {
        a.poll(|_, _| ())?;
        b.poll(|_, _| came += 1)?;
        Ok(came > 0)
    })?;
    // After 200 ms without an answer they go to the broadcast address.
    until(a, b, |a, b| {
        a.poll(|_, _| ())?;
        b.poll(|_, _| ())?;
        Ok(a.unsent().1 == 0)
    })?;
    ensure(a.unsent() == (0, 0), "all of them went")
}

/// Each has told the other by ARP, and by nothing else, that it is a node of LM's: all that went before went
/// in reverse. Groups get forward order.
fn order(a: &mut Port, b: &mut Port) -> Result<(), Failed> {
    let forward = |port: &Port| port.counters().sent.forward;
    ensure((forward(a), forward(b)) == (0, 0), "nodes of LM's get fragments in reverse")?;
    a.send(&[9; 7168], SocketAddrV4::new(Ipv4Addr::new(239, 1, 2, 3), 7002))?;
    until(a, b, |a, b| {
        a.poll(|_, _| ())?;
        b.poll(|_, _| ())?;
        Ok(forward(a) == 1)
    })
}

/// A message is sent on from where it landed. One that is held longer than its port lives keeps its memory.
fn forwarded_and_kept(a: &mut Port, b: &mut Port) -> Result<lm::Message, Failed> {
    let data = vec![3; 20_000];
    a.send(&data, B)?;
    let mut kept = None;
    until(a, b, |a, b| {
        b.poll(|message, port| {
            let from = message.from();
            port.forward(message, from);
        })?;
        a.poll(|message, _| kept = Some(message))?;
        Ok(kept.is_some())
    })?;
    let kept = kept.ok_or("it came back")?;
    ensure(kept.as_slice() == Some(&data[..]) && kept.from() == B, "it came back as it was")?;
    Ok(kept)
}

fn run() -> Result<(), Failed> {
    let socket = std::env::temp_dir().join(format!("lm-port-{}.sock", std::process::id()));
    let vdev = |i: usize, role: &str| {
        format!("--vdev=net_memif{i},role={role},id=0,rsize=9,socket-abstract=no,socket={}", socket.display())
    };
    let short = |i: usize, bsize: usize| format!("--vdev=net_memif{i},role=client,id={i},bsize={bsize}");
    let args = ["port", "-l", "0", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry", "--log-level=4"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("--file-prefix=lmp{}", std::process::id()), vdev(0, "server"), vdev(1, "client")])
        .chain([short(2, 1024), short(3, 1514)])
        .chain(["--", "mine"].map(str::to_owned));
    let eal = Eal::init(args)?;
    let devices: Vec<_> = (0..4).map(|i| format!("net_memif{i}")).collect();
    ensure(eal.args() == ["mine"] && eal.devices() == devices, "what EAL did not take")?;
    println!("test refusals");
    refusals(&eal)?;
    println!("test refusals to adopt");
    refusals_to_adopt(&eal)?;
    println!("test queues that have an owner");
    one_owner(&eal)?;
    // Nothing that the few datagrams of this test say of their sender is waited for.
    let config = |of: SocketAddrV4| Config::new(*of.ip()).udp_port(of.port()).slots(SlotLayout::Overlapping);
    let mut a = Port::open(&eal, "net_memif0", config(A))?;
    let mut b = Port::open(&eal, "net_memif1", config(B))?;
    ensure((a.address(), b.address()) == (A, B), "addresses")?;
    let refused = Landing::create(&eal, 1, &config(B)).err().ok_or("it is open")?;
    ensure(matches!(refused, AdoptError::Claimed(_)), &refused.to_string())?;
    println!("test messages of every kind of length");
    messages(&mut a, &mut b)?;
    println!("test messages that are answered behind the poll");
    answered_behind_the_poll(&mut a, &mut b)?;
    println!("test datagrams for others");
    others(&mut a, &mut b)?;
    println!("test the order of fragments");
    order(&mut a, &mut b)?;
    println!("test messages that wait");
    waiting(&mut a, &mut b)?;
    println!("test a message that outlives its port");
    let kept = forwarded_and_kept(&mut a, &mut b)?;
    let stopper = a.stopper();
    std::thread::spawn(move || stopper.stop()).join().map_err(|_| "the thread panicked")?;
    ensure(!a.is_running() && b.is_running(), "one is stopped")?;
    b.close()?;
    ensure(
        b.poll(|_, _| ()) == Err(PollError::Closed) && b.close() == Err(PollError::Closed),
        "closed once",
    )?;
    ensure(b.send(b"x", A)? == Sent::Dropped && b.buffer().is_none(), "a closed port takes nothing")?;
    drop((a, b));
    ensure(kept.len() == 20_000 && kept.as_slice().is_some_and(|s| s.iter().all(|&x| x == 3)), "it is kept")?;
    drop(kept);
    ensure(lm_landing::orphans() == 0, "a region is left")?;
    let owed = lm_landing::owed_by_devices();
    ensure(owed.slots == 0, "devices have slots that nobody waits for")?;
    println!("9 passed, 0 failed");
    Ok(())
}

fn main() {
    if let Err(e) = run() {
        eprintln!("port: {e}");
        std::process::exit(1);
    }
}
