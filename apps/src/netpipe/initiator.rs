//! The initiator: sizes, blocks and transports in turn.
//!
//! [`super::begin`] calls [`run`], which fills in the results. The transports take turns block by block, so
//! that what disturbs the machine disturbs all of them. A responder that stops answering ends the run; what
//! was measured until then is kept.

use super::meter::Rate;
use super::options::{Options, Test};
use super::order::{Order, Task};
use super::progress::Progress;
use super::results::Results;
use super::rounds::{self, Rounds};
use super::transport::Transport;
use super::{ping_pong, stream};
use crate::console::say;
use crate::signals;

/// Prints a line about each transport that was opened.
pub(crate) fn introduce(transports: &[Box<dyn Transport>], options: &Options) {
    for transport in transports {
        let kind = transport.kind();
        let limit = if transport.limit() < lm_proto::wire::MAX_PAYLOAD {
            format!(", up to {} bytes", transport.limit())
        } else {
            String::new()
        };
        say!("{}: {}; over {}{limit}", kind.name, kind.help, transport.wire());
    }
    if let Some(pace) = options.pace {
        say!("streams are paced at {} Mb/s on the wire", pace / 1_000_000);
    }
}

/// Measures everything. When a signal comes, what was measured until then is in `results`. An error: the
/// responder does not answer.
pub(crate) fn run(
    transports: &mut [Box<dyn Transport>],
    options: &Options,
    rate: Rate,
    results: &mut Results,
) -> Result<(), String> {
    let mut rounds = Rounds::new(options, rate);
    let sizes = options.sizes();
    let mut progress = Progress::new(options, sizes.len());
    for transport in transports.iter_mut() {
        let trips = transport.warm_up();
        if trips > 0 {
            transport.set_in_round(true);
            let done = ping_pong::warm_up(&mut rounds, transport.as_mut(), trips);
            transport.set_in_round(false);
            done.map_err(|e| format!("{e}, before the first size"))?;
        }
    }
    for &size in &sizes {
        for block in 0..options.blocks {
            for (i, transport) in transports.iter_mut().enumerate() {
                if size > transport.limit() {
                    continue;
                }
                for &test in &options.test {
                    if signals::is_ending() {
                        return Ok(());
                    }
                    let (cell, transport) = (results.cell(i, size), transport.as_mut());
                    transport.set_in_round(true);
                    let done = match test {
                        Test::PingPong => {
                            ping_pong::measure(&mut rounds, transport, Task::Echo, size, &mut cell.ping)
                        }
                        Test::PingPongAnew => ping_pong::measure(
                            &mut rounds,
                            transport,
                            Task::EchoAnew,
                            size,
                            &mut cell.ping_anew,
                        ),
                        Test::Stream => stream::measure(&mut rounds, transport, size, None, &mut cell.stream),
                        Test::Window => {
                            let window = Some(options.window(size));
                            stream::measure(&mut rounds, transport, size, window, &mut cell.window)
                        }
                    };
                    transport.set_in_round(false);
                    // A responder that was there and is gone ends the run, not what was measured.
                    if let Err(e) = done {
                        return Err(format!("{e}, at {size} bytes, block {}", block + 1));
                    }
                }
            }
        }
        progress.step(size);
    }
    for transport in transports.iter_mut() {
        for _ in 0..3 {
            rounds::tell(transport.as_mut(), &Order::Bye);
        }
    }
    Ok(())
}
