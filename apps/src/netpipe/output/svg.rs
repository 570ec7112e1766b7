//! [`Chart`]: lines over two logarithmic axes, as SVG.
//!
//! [`super::plot`] fills it in. Points with a coordinate of 0 or less have no place on a logarithmic axis and
//! are left out. A chart without points is drawn too. Texts are escaped.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 520.0;
/// Left, right (the legend is there), top, bottom.
const MARGIN: (f64, f64, f64, f64) = (78.0, 190.0, 58.0, 58.0);
/// Okabe and Ito's colours, which readers with colour blindness can tell apart.
const COLOURS: [&str; 7] = ["#0072b2", "#56b4e9", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#000000"];
const FONT: &str = "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\"";

/// A line of the chart.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its name in the legend.
    pub(crate) name: String,
    /// What the legend says below the name, in small print.
    pub(crate) note: String,
    /// Its points, from left to right; both coordinates are above 0.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// What it shows.
    pub(crate) title: String,
    /// The line below the title: the machine.
    pub(crate) subtitle: String,
    /// The axes.
    pub(crate) x: String,
    pub(crate) y: String,
    /// The lines.
    pub(crate) lines: Vec<Line>,
}

/// A logarithmic axis: the logarithms of its two ends.
#[derive(Clone, Copy, Debug)]
struct Axis {
    lo: f64,
    hi: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
        for v in values.filter(|v| *v > 0.0).map(f64::log10) {
            (lo, hi) = (lo.min(v), hi.max(v));
        }
        if lo > hi {
            (lo, hi) = (0.0, 1.0);
        }
        let room = ((hi - lo) * 0.04).max(0.05);
        Self { lo: lo - room, hi: hi + room }
    }

    /// 0 at its start, 1 at its end.
    fn place(self, value: f64) -> f64 {
        (value.log10() - self.lo) / (self.hi - self.lo)
    }

    fn has(self, value: f64) -> bool {
        (self.lo..=self.hi).contains(&value.log10())
    }

    /// Powers of two, as many as fit.
    fn powers_of_two(self) -> Vec<f64> {
        let all: Vec<_> = (0..40).map(|p| f64::from(p).exp2()).filter(|v| self.has(*v)).collect();
        let step = all.len().div_ceil(10).max(1);
        all.into_iter().step_by(step).collect()
    }

    /// Powers of ten, with 2 and 5 of each if there are few.
    fn decades(self) -> Vec<f64> {
        let steps: &[f64] = if self.hi - self.lo > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let tens = (self.lo.floor() as i32)..=(self.hi.ceil() as i32);
        tens.flat_map(|p| steps.iter().map(move |s| s * 10_f64.powi(p))).filter(|v| self.has(*v)).collect()
    }
}

/// `16 Ki`, `0.5`, `2000`.
fn binary(v: f64) -> String {
    if v >= 1024.0 { format!("{} Ki", v / 1024.0) } else { format!("{v}") }
}

fn decimal(v: f64) -> String {
    if v >= 1.0 { format!("{v:.0}") } else { format!("{v:.3}").trim_end_matches('0').to_owned() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Chart {
    /// The picture.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (x, y) = (Axis::of(points().map(|p| p.0)), Axis::of(points().map(|p| p.1)));
        let (left, right, top, bottom) = MARGIN;
        let (w, h) = (WIDTH - left - right, HEIGHT - top - bottom);
        let at = |p: (f64, f64)| (left + x.place(p.0) * w, top + h - y.place(p.1) * h);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" {FONT} font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        text(&mut out, (left, 24.0), "font-size=\"16\" font-weight=\"bold\"", &self.title);
        text(&mut out, (left, 43.0), "fill=\"#555555\"", &self.subtitle);
        for v in x.powers_of_two() {
            let (px, _) = at((v, 1.0));
            rule(&mut out, (px, top), (px, top + h));
            text(&mut out, (px, top + h + 18.0), "text-anchor=\"middle\"", &binary(v));
        }
        for v in y.decades() {
            let (_, py) = at((1.0, v));
            rule(&mut out, (left, py), (left + w, py));
            text(&mut out, (left - 8.0, py + 4.0), "text-anchor=\"end\"", &decimal(v));
        }
        let _ = writeln!(
            out,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{w}\" height=\"{h}\" fill=\"none\" stroke=\"#333333\"/>"
        );
        text(&mut out, (left + w / 2.0, HEIGHT - 14.0), "text-anchor=\"middle\"", &self.x);
        let middle = top + h / 2.0;
        let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 18 {middle})\"");
        text(&mut out, (18.0, middle), &turned, &self.y);
        for (i, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let places: Vec<_> =
                line.points.iter().filter(|p| p.0 > 0.0 && p.1 > 0.0).map(|&p| at(p)).collect();
            let path: Vec<_> = places.iter().map(|(px, py)| format!("{px:.1},{py:.1}")).collect();
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>",
                path.join(" ")
            );
            places.iter().for_each(|&place| mark(&mut out, i, place, colour));
            let (lx, ly) = (left + w + 16.0, top + 12.0 + 38.0 * i as f64);
            let _ = writeln!(
                out,
                "<line x1=\"{lx}\" y1=\"{ly}\" x2=\"{}\" y2=\"{ly}\" stroke=\"{colour}\" \
                 stroke-width=\"1.8\"/>",
                lx + 24.0
            );
            mark(&mut out, i, (lx + 12.0, ly), colour);
            text(&mut out, (lx + 32.0, ly + 4.0), "", &line.name);
            text(&mut out, (lx + 32.0, ly + 18.0), "font-size=\"10\" fill=\"#555555\"", &line.note);
        }
        out + "</svg>\n"
    }
}

fn text(out: &mut String, (x, y): (f64, f64), how: &str, what: &str) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {how}>{}</text>", escaped(what));
}

fn rule(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#dddddd\"/>",
        from.0, from.1, to.0, to.1
    );
}

/// A circle, a square or a triangle, so that lines differ without colours, too.
fn mark(out: &mut String, i: usize, (x, y): (f64, f64), colour: &str) {
    let _ = match i % 3 {
        0 => writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\" fill=\"{colour}\"/>"),
        1 => writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"5\" height=\"5\" fill=\"{colour}\"/>",
            x - 2.5,
            y - 2.5
        ),
        _ => writeln!(out, "<path d=\"M{x:.1},{:.1} l3.2,5.6 h-6.4 z\" fill=\"{colour}\"/>", y - 3.4),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_their_values_and_few_marks() {
        let axis = Axis::of([1.0, 65_507.0].into_iter());
        assert!(axis.place(1.0) > 0.0 && axis.place(65_507.0) < 1.0);
        let marks = axis.powers_of_two();
        assert!((5..=10).contains(&marks.len()) && marks[0] < 1.5, "{marks:?}");
        assert_eq!(Axis::of([2.0, 90.0].into_iter()).decades(), [2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(Axis::of([0.5, 90_000.0].into_iter()).decades(), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
        assert_eq!(
            (binary(16_384.0), binary(64.0), decimal(0.5), decimal(20.0)),
            ("16 Ki".into(), "64".into(), "0.5".into(), "20".into())
        );
    }

    #[test]
    fn a_chart_without_points_is_a_chart() {
        let line = Line { name: "a<b".into(), note: "\"&\"".into(), points: vec![] };
        let chart = Chart {
            title: "t".into(),
            subtitle: String::new(),
            x: "x".into(),
            y: "y".into(),
            lines: vec![line],
        };
        let svg = chart.svg();
        assert!(
            svg.contains("a&lt;b")
                && svg.contains("&quot;&amp;&quot;")
                && !svg.contains("NaN")
                && !svg.contains("inf")
        );
    }
}
