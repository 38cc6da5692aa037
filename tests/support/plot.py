"""Plots as SVG: lines over two logarithmic axes, which can be read on a light page and on a dark one."""

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 56, 48
# A hue for each line that stands out from white and from black, and a mark for who cannot tell the hues.
COLOURS = ("#3b82f6", "#e0760a", "#12a150", "#c13fb5")
MARKS = ("circle", "square", "diamond", "ring")
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600; font-size: 14px }
.grid { stroke: #8884; stroke-width: 1 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } }
"""


@dataclass(frozen=True)
class Line:
    """A curve: its name, and its points, all above 0."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """Curves that share their axes."""

    title: str
    x: str
    y: str
    lines: list[Line]
    x_bytes: bool = False
    """Whether the horizontal axis counts bytes, which have powers of two."""

    def write(self, path: Path) -> None:
        """As an SVG file."""
        path.write_text(self.svg())

    def svg(self) -> str:
        """The drawing."""
        xs = [x for line in self.lines for x, _ in line.points]
        ys = [y for line in self.lines for _, y in line.points]
        across = _Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
        up = _Axis(*_decades(min(ys), max(ys)), HEIGHT - BOTTOM, TOP)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
            f"<title>{escape(self.title)}</title><style>{STYLE}</style>",
            _text(LEFT, 18, self.title, "title"),
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, self.x, anchor="middle"),
            _text(LEFT - 8, TOP - 18, self.y, anchor="end"),
            *self._grid(across, up, sorted(set(xs))),
            *(part for number, line in enumerate(self.lines) for part in self._curve(number, line, across, up)),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _grid(self, across: "_Axis", up: "_Axis", xs: list[float]) -> list[str]:
        parts = []
        for x in xs:
            at = across.place(x)
            parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
            label = binary(x) if self.x_bytes else decimal(x)
            parts.append(_text(at, HEIGHT - BOTTOM + 16, label, anchor="middle"))
        for exponent in range(round(math.log10(up.low)), round(math.log10(up.high)) + 1):
            at = up.place(10**exponent)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
            parts.append(_text(LEFT - 8, at + 4, decimal(10**exponent), anchor="end"))
        return parts

    def _curve(self, number: int, line: Line, across: "_Axis", up: "_Axis") -> list[str]:
        colour = COLOURS[number % len(COLOURS)]
        places = [(across.place(x), up.place(y)) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        legend = LEFT + number * (WIDTH - LEFT - RIGHT) / max(len(self.lines), 3)
        return [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            *(_mark(number, x, y, colour) for x, y in places),
            _mark(number, legend + 4, 34, colour),
            _text(legend + 14, 38, line.name),
        ]


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis between two places of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        if self.low == self.high:
            return (self.start + self.end) / 2
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + part * (self.end - self.start)


def _decades(low: float, high: float) -> tuple[float, float]:
    """The powers of ten around, at least two of them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return 10**first, 10 ** max(last, first + 1)


def _mark(number: int, x: float, y: float, colour: str) -> str:
    match MARKS[number % len(MARKS)]:
        case "circle":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
        case "square":
            return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="{colour}"/>'
        case "ring":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="none" stroke="{colour}" stroke-width="2"/>'
        case _:
            return f'<path d="M{x:.1f} {y - 5:.1f}l5 5-5 5-5-5z" fill="{colour}"/>'


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    style = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'


def decimal(number: float) -> str:
    """Three digits and a letter for the thousands: 1.23 M."""
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size * 0.9995:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"


def binary(size: float) -> str:
    """Bytes: 64 B, 16 KiB, 1.5 MiB."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} B"
