//! Results as a table on standard output: a line for each payload size and transport.
//!
//! [`super::super::begin`] calls [`show`] at the end of a run, also of one that a signal ended. Cells in
//! which nothing was measured have no line.

use crate::console::say;
use crate::netpipe::options::{Options, Test};
use crate::netpipe::results::{Cell, Ping, Results, Row, Stream};

fn us(ns: Option<u64>) -> String {
    match ns {
        None => "-".to_owned(),
        Some(ns) if ns < 100_000 => format!("{:.2}", ns as f64 / 1e3),
        Some(ns) => format!("{:.1}", ns as f64 / 1e3),
    }
}

fn mbps(bits: Option<f64>) -> String {
    bits.map_or("-".to_owned(), |bits| format!("{:.1}", bits / 1e6))
}

fn percent(part: u64, all: u64) -> String {
    format!("{:.2}", part as f64 * 100.0 / all.max(1) as f64)
}

fn cpu(part: u64, all: u64) -> String {
    format!("{:.1}", part as f64 * 100.0 / all.max(1) as f64)
}

fn per(ns: u64, n: u64) -> String {
    us(ns.checked_div(n))
}

/// Prints a table for each test of which something was measured.
pub(crate) fn show(results: &Results, options: &Options) {
    let trips = [
        (Test::PingPong, "", (|cell| &cell.ping) as fn(&Cell) -> &Ping),
        (Test::PingPongAnew, " of datagrams whose echo is summed anew", |cell| &cell.ping_anew),
    ];
    for (_, what, of) in trips.into_iter().filter(|(test, ..)| options.test.contains(test)) {
        let title = format!(
            "Round trips{what}, µs. Mb/s: payload by half the median. copied: of what both ends received. \
             work: of both ends, a round trip. CPU: of the time, a mean of both ends"
        );
        let columns = format!(
            "{:>6} {:<9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9} {:>5} {:>7} {:>9} {:>6}",
            "bytes",
            "",
            "trips",
            "min",
            "median",
            "p99",
            "p99.9",
            "max",
            "Mb/s",
            "lost",
            "copied%",
            "work",
            "CPU%"
        );
        table(&title, &columns, results, |size, row, cell| ping_line(size, row, of(cell)));
    }
    for (test, what) in
        [(Test::Stream, ""), (Test::Window, ", with no more in flight than the receiver's ring takes")]
    {
        if !options.test.contains(&test) {
            continue;
        }
        let title = format!(
            "One way{what}. Mb/s: payload received. lost, copied: %. work: µs a datagram, of the sender and \
             of the receiver. CPU: of the time, the receiver's"
        );
        let columns = format!(
            "{:>6} {:<9} {:>9} {:>9} {:>10} {:>7} {:>7} {:>9} {:>9} {:>6}",
            "bytes", "", "sent", "received", "Mb/s", "lost", "copied", "sender", "receiver", "CPU%"
        );
        table(&title, &columns, results, |size, row, cell| {
            stream_line(size, row, if test == Test::Stream { &cell.stream } else { &cell.window })
        });
    }
}

/// Prints the lines of all cells under a title, unless there is none.
fn table(title: &str, columns: &str, results: &Results, line: impl Fn(usize, &Row, &Cell) -> Option<String>) {
    let lines: Vec<String> = results
        .cells
        .iter()
        .filter_map(|(&(size, row), cell)| line(size, &results.rows[row], cell))
        .collect();
    if !lines.is_empty() {
        say!("\n{title}\n{columns}\n{}", lines.join("\n"));
    }
}

fn ping_line(size: usize, row: &Row, p: &Ping) -> Option<String> {
    (p.trips.count() + p.lost > 0).then(|| {
        let polled = row.is_polled;
        let work = p.ours.work_ns(polled) + p.theirs.work_ns(polled);
        format!(
            "{size:>6} {:<9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9} {:>5} {:>7} {:>9} {:>6}",
            row.kind.name,
            p.trips.count(),
            us(p.trips.min()),
            us(p.median()),
            us(p.trips.quantile(0.99)),
            us(p.trips.quantile(0.999)),
            us(p.trips.max()),
            mbps(p.bandwidth(size)),
            p.lost,
            percent(p.ours.copied + p.theirs.copied, p.ours.bytes + p.theirs.bytes),
            per(work, p.ours.datagrams),
            cpu(p.ours.cpu_ns + p.theirs.cpu_ns, p.ours.wall_ns + p.theirs.wall_ns),
        )
    })
}

fn stream_line(size: usize, row: &Row, s: &Stream) -> Option<String> {
    (s.sent > 0).then(|| {
        format!(
            "{size:>6} {:<9} {:>9} {:>9} {:>10} {:>7.2} {:>7} {:>9} {:>9} {:>6}",
            row.kind.name,
            s.sent,
            s.theirs.datagrams,
            mbps(s.rate()),
            s.loss() * 100.0,
            percent(s.theirs.copied, s.theirs.bytes),
            per(s.ours.work_ns(true), s.sent),
            per(s.theirs.work_ns(row.is_polled), s.theirs.datagrams),
            cpu(s.theirs.cpu_ns, s.theirs.wall_ns),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_fit_their_columns() {
        assert_eq!(
            (us(Some(1234)), us(Some(123_456)), us(None)),
            ("1.23".into(), "123.5".into(), "-".into())
        );
        assert_eq!(
            (percent(1, 4), percent(0, 0), per(9000, 3)),
            ("25.00".into(), "0.00".into(), "3.00".into())
        );
    }
}
