//! Results as pictures: latency, bandwidth and streams, each with all transports over the payload's size.
//!
//! [`all`] returns the pictures of the tests that were run, with the names of their files. [`super::svg`]
//! draws them. The caller writes the files.

use super::machine::Machine;
use super::svg::{Chart, Line};
use crate::netpipe::options::{Options, Test};
use crate::netpipe::results::{Cell, Results};

/// The name of each picture's file behind the prefix, and the picture.
pub(crate) fn all(results: &Results, options: &Options, machine: &Machine) -> Vec<(&'static str, String)> {
    let mut pictures = Vec::new();
    if options.test.contains(&Test::PingPong) {
        pictures.push(("latency", latency(results, machine).svg()));
        pictures.push(("bandwidth", bandwidth(results, machine).svg()));
    }
    if options.test.contains(&Test::Stream) {
        pictures.push(("stream", stream(results, options, machine).svg()));
    }
    if options.test.contains(&Test::Window) {
        pictures.push(("window", window(results, machine).svg()));
    }
    pictures
}

fn chart(
    title: &str,
    y: &str,
    results: &Results,
    machine: &Machine,
    value: impl Fn(usize, &Cell) -> Option<f64>,
) -> Chart {
    let line = |(i, row): (usize, &crate::netpipe::results::Row)| Line {
        name: row.kind.name.to_owned(),
        note: format!("over {}", row.wire),
        points: results
            .of_row(i)
            .filter_map(|(size, cell)| Some((size as f64, value(size, cell)?)))
            .collect(),
    };
    Chart {
        title: title.to_owned(),
        subtitle: machine.in_short(),
        x: "payload, bytes".to_owned(),
        y: y.to_owned(),
        lines: results.rows.iter().enumerate().map(line).collect(),
    }
}

fn latency(results: &Results, machine: &Machine) -> Chart {
    chart("Latency: half the median round trip", "µs", results, machine, |_, cell| {
        cell.ping.median().map(|ns| ns as f64 / 2000.0)
    })
}

fn bandwidth(results: &Results, machine: &Machine) -> Chart {
    chart(
        "Bandwidth of a ping-pong: payload by half the median round trip",
        "Mb/s",
        results,
        machine,
        |size, cell| cell.ping.bandwidth(size).map(|bits| bits / 1e6),
    )
}

fn window(results: &Results, machine: &Machine) -> Chart {
    let title = "One way, no more in flight than a ring takes: payload received";
    chart(title, "Mb/s", results, machine, |_, cell| cell.window.rate().map(|bits| bits / 1e6))
}

fn stream(results: &Results, options: &Options, machine: &Machine) -> Chart {
    let title = match options.pace {
        Some(bits) => format!("One way, paced at {} Mb/s on the wire: payload received", bits / 1_000_000),
        None => "One way: payload received".to_owned(),
    };
    chart(&title, "Mb/s", results, machine, |_, cell| cell.stream.rate().map(|bits| bits / 1e6))
}
