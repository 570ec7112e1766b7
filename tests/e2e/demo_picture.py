"""The demo's picture: a panel for each size, a bar for each transport. The bar ends at the median, a line behind it at the
99th percentile; the scale of a panel is its own.
"""

from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 960, 210, 250
BAR, GAP, HEAD, TOP = 20, 8, 34, 64
# Okabe and Ito's colours, which those who see few colours can tell apart, too.
COLOURS = ("#999999", "#56b4e9", "#e69f00", "#cc79a7", "#0072b2")
FONT = 'font-family="DejaVu Sans, Helvetica, Arial, sans-serif"'


def text(x, y, words, size=13, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" {FONT} font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
            f'fill="#222222">{escape(words)}</text>')


def svg(table, names, note):
    """Of the demo's rows; `names` are those of the transports."""
    sizes = sorted({row.size for row in table})
    room = WIDTH - LEFT - RIGHT
    parts, y = [], TOP
    for size in sizes:
        block = [row for row in table if row.size == size]
        # A tail that is far off must not make all bars dots.
        longest = max(row.median for row in block) * 1.5
        lm = next((row.median for row in block if row.name == "lm"), None)
        parts.append(text(16, y + 20, f"{size:,} bytes", 15, weight="bold"))
        y += HEAD
        for row in block:
            colour = COLOURS[list(names).index(row.name) % len(COLOURS)]
            width, late = (room * min(value / longest, 1) for value in (row.median, row.p99))
            middle = y + BAR / 2
            parts.append(text(LEFT - 10, middle + 4.5, names[row.name], anchor="end"))
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{max(width, 1):.1f}" height="{BAR}" fill="{colour}"/>')
            parts.append(f'<line x1="{LEFT + width:.1f}" x2="{LEFT + max(late, width):.1f}" y1="{middle}" y2="{middle}" '
                         f'stroke="{colour}" stroke-width="3"/>')
            ratio = f", {row.median / lm:.2f} × LM" if lm and row.name != "lm" else ""
            parts.append(text(LEFT + room + 12, middle + 4.5, f"{row.median:.1f} µs (p99 {row.p99:.1f}){ratio}"))
            y += BAR + GAP
        y += GAP
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 34}" viewBox="0 0 {WIDTH} {y + 34}">',
            f'<rect width="{WIDTH}" height="{y + 34}" fill="white"/>',
            text(16, 28, "A round trip: bar the median, line the 99th percentile", 18, weight="bold"),
            text(16, 48, "Kernel sockets over veth, another wire; the others over net_memif. Each size has its own scale.", 12)]
    return "\n".join([*head, *parts, text(16, y + 18, f"make demo; {note}", 11), "</svg>", ""])
