//! What an answer by the crate `lm` takes, from the arrival of a datagram in one frame.
//!
//! `tests/bench/answer.c` is the same in C, and is compared with it. The arguments behind `--` are the node's
//! device, the client's, and the bytes of a datagram.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::net::Ipv4Addr;

use lm::{Config, Eal, Port};

/// As C has it (`struct cycles`).
#[derive(Default)]
#[repr(C)]
struct Cycles {
    answer: f64,
    idle: f64,
}

// As `c/client.h` has them.
unsafe extern "C" {
    fn client_open(device: *const c_char, len: c_uint) -> c_int;
    safe fn client_answered();
    fn client_measure(
        poll: extern "C" fn(*mut c_void),
        node: *mut c_void,
        n: c_uint,
        cycles: *mut Cycles,
    ) -> c_int;
    fn client_close() -> c_int;
}

/// Polls the node once, and answers what came.
extern "C" fn poll(node: *mut c_void) {
    // SAFETY: `main` passes a port, which nobody else uses meanwhile.
    let port = unsafe { &mut *node.cast::<Port>() };
    let done = port.poll(|message, out| {
        let from = message.from();
        out.forward(message, from);
        client_answered();
    });
    // Only a closed port cannot be polled. The client will miss its answer.
    drop(done);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let eal = Eal::init(std::env::args())?;
    let [node, client, len] = eal.args() else {
        return Err("answer EAL-ARGUMENTS -- NODE CLIENT BYTES".into());
    };
    let (client, len) = (CString::new(client.as_str())?, len.parse()?);
    let config = Config::new(Ipv4Addr::new(10, 1, 0, 2)).udp_port(7000);
    let mut port = Port::open(&eal, node, config)?;
    let mut cycles = Cycles::default();
    // SAFETY: a NUL-terminated name, and EAL is initialised; `poll` gets the port that it expects, and the
    // function keeps no pointer.
    let failed = unsafe {
        client_open(client.as_ptr(), len) != 0
            || client_measure(poll, (&raw mut port).cast(), 50_000, &raw mut cycles) != 0
            || client_close() != 0
    };
    if failed {
        return Err("nothing was measured".into());
    }
    println!("{:.1} {:.1}", cycles.answer, cycles.idle);
    Ok(())
}
