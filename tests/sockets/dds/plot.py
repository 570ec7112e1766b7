#!/usr/bin/env python3
"""plot.py FIGURES PICTURE: samples in each second, of the runs that test_dds.py has kept: Linux, Linux with two
sysctls, and lmd. The figures are JSON, which may be compressed; the picture is SVG.
"""

import gzip
import json
import pathlib
import sys
from xml.sax.saxutils import escape

PANELS = (("fast", "Fast DDS, its defaults (datagrams of 65,500 bytes)"),
          ("cyclone-64KB", "Cyclone DDS, datagrams of 65,000 bytes"))
# Okabe and Ito's colours, which those who see few colours can tell apart, too; width, and dashes. A narrow line is seen on
# a wide one.
LINES = (("lmd", "#0072b2", 7, ""), ("Linux with two sysctls", "#e69f00", 2.5, "7 4"), ("Linux", "#d55e00", 2.5, ""))
WIDTH, HEIGHT, LEFT, RIGHT, TOP, GAP = 820, 170, 60, 190, 70, 62
MOST = 40
FONT = 'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" fill="#222222"'


def text(x, y, words, size=12, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" {FONT} font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(words)}</text>')


def panel(runs, case, title, top):
    """One program's runs, below `top`."""
    of = {label: runs[f"{case}, {label}"]["seconds"] for label, *_ in LINES}
    last = max(map(len, of.values()))
    right = WIDTH - RIGHT

    def at(second, samples):
        return LEFT + (right - LEFT) * second / last, top + HEIGHT * (1 - min(samples, MOST) / MOST)

    parts = [text(LEFT, top - 10, title, 14, weight="bold")]
    for samples in range(0, MOST + 1, 10):
        y = at(0, samples)[1]
        parts += [f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>',
                  text(LEFT - 8, y + 4, str(samples), anchor="end")]
    for second in range(0, last + 1, 5):
        parts.append(text(at(second, 0)[0], top + HEIGHT + 17, str(second), anchor="middle"))
    parts.append(text(right + 14, top + HEIGHT + 17, "seconds"))
    for place, (label, colour, width, dashes) in enumerate(LINES):
        look = f'fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dashes}"'
        # A second is a step as wide as it is.
        corners = [corner for k, n in enumerate(of[label]) for corner in (at(k, n), at(k + 1, n))]
        parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in corners)}" {look}/>')
        y = top + 20 + 42 * place
        parts += [f'<line x1="{right + 14}" x2="{right + 42}" y1="{y - 4}" y2="{y - 4}" {look}/>', text(right + 50, y, label),
                  text(right + 50, y + 16, f"{runs[f'{case}, {label}']['got']} of {runs[f'{case}, {label}']['sent']}", 11)]
    return parts


def svg(runs):
    height = TOP + len(PANELS) * (HEIGHT + GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
             f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
             text(16, 26, "Samples of 1 MB that arrive in each second, of 30 sent; 0.1 % of the frames are lost", 15,
                  weight="bold")]
    for place, (case, title) in enumerate(PANELS):
        parts += panel(runs, case, title, TOP + place * (HEIGHT + GAP))
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    figures = pathlib.Path(sys.argv[1])
    opened = gzip.open if figures.suffix == ".gz" else open
    with opened(figures) as file:
        pathlib.Path(sys.argv[2]).write_text(svg(json.load(file)))
