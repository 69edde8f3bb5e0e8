"""The pictures of the report's page: inline SVG, drawn from numbers only.

Text is not clipped: a picture is as wide and as high as its labels need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_http.operations import JSON
from singer_http.report.timeline import in_windows

if TYPE_CHECKING:
    from singer_http.http.rate_limit import Limit

OUTCOMES = (
    "created", "updated", "upserted", "deleted", "unchanged", "merged", "skipped", "rejected",
)  # fmt: skip

WIDTH = 480
"""Of a picture, at least."""
LETTER, BOLD = 9.0, 10.8
"""Width of a character of a label, on average at most in any font."""
MARGIN = 10
"""Around what is drawn."""
BAND, THICK = 170, 10
"""Of the flow: width of the bands, and of the bars at their ends."""
HEIGHT = 120
"""Of all records together."""
GAP = 20
"""Between the outcomes: room for their labels."""
PLOT = 130
"""Height of the rate."""


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def flow(counts: JSON, label: str) -> str:
    """Records on the left, what became of them on the right.

    Args:
        counts: of a stream, by name.
        label: for those who cannot see the picture; escaped already.
    """
    parts = [(name, number) for name in OUTCOMES if (number := counts.get(name, 0))]
    received = counts["received"]
    lost = received - sum(number for _, number in parts)
    if lost > 0:
        parts.append(("unfinished", lost))
    total = sum(number for _, number in parts) or 1
    bars = [(name, number, HEIGHT * number / total) for name, number in parts]
    labels = [f"{number:,} {_label(name)}" for name, number in parts]
    # A thin bar is as high as its label, so that labels do not overlap.
    tall = sum(max(share, 2.0) for *_, share in bars) + GAP * max(0, len(bars) - 1)
    height = max(HEIGHT, tall)
    left = MARGIN + THICK + 8 + max(BOLD * len(f"{received:,}"), LETTER * len("received"))
    right = left + BAND
    width = max(WIDTH, right + THICK + 8 + LETTER * max(map(len, labels), default=0) + MARGIN)
    shapes, left_y, right_y = [], (height - HEIGHT) / 2, (height - tall) / 2
    for (name, _, share), words in zip(bars, labels, strict=True):
        size = max(share, 2.0)
        shapes.append(
            f'<path class="band {name}" d="{_band(left, right, left_y, right_y, share, size)}"/>'
            f'<rect class="{name}" x="{right:.1f}" y="{right_y:.1f}" width="{THICK}" '
            f'height="{size:.1f}"/>'
            f'<text x="{right + THICK + 8:.1f}" y="{right_y + size / 2 + 5:.1f}">{words}</text>'
        )
        left_y += share
        right_y += size + GAP
    middle, top = height / 2, (height - HEIGHT) / 2
    left_bar = (
        f'<rect class="left-bar" x="{left - THICK:.1f}" y="{top:.1f}" width="{THICK}" '
        f'height="{HEIGHT}" rx="2"/>'
        f'<text class="number" x="{left - THICK - 8:.1f}" y="{middle:.1f}" '
        f'text-anchor="end">{received:,}</text>'
        f'<text class="soft" x="{left - THICK - 8:.1f}" y="{middle + 17:.1f}" '
        'text-anchor="end">received</text>'
    )
    return (
        f'<svg role="img" aria-label="{label}" '
        f'viewBox="0 {-MARGIN} {width:.0f} {height + 2 * MARGIN:.0f}">'
        f"{left_bar}{''.join(shapes)}</svg>"
    )


def _label(name: str) -> str:
    return "not finished" if name == "unfinished" else name


def _band(
    left: float, right: float, left_y: float, right_y: float, share: float, size: float
) -> str:
    middle = (left + right) / 2
    return (
        f"M{left:.1f} {left_y:.1f}"
        f"C{middle:.1f} {left_y:.1f} {middle:.1f} {right_y:.1f} {right:.1f} {right_y:.1f}"
        f"V{right_y + size:.1f}C{middle:.1f} {right_y + size:.1f} {middle:.1f} "
        f"{left_y + share:.1f} {left:.1f} {left_y + share:.1f}Z"
    )


def rate(timeline: JSON, limit: Limit | None) -> str:
    """Requests over time, against a limit.

    Each bar is the window, of the limit's length, that ends with it; a second without a limit.

    Args:
        timeline: as stored, with at least one bucket.
        limit: the one to compare with.
    """
    window = limit.seconds if limit else 1.0
    values = in_windows(timeline["requests"], timeline["width"], window)
    near = limit is not None and limit.count <= 50 * max(values)
    # A limit far above what was sent would make the bars too small to see: it is left out.
    highest = max([1.0, *values, *([float(limit.count)] if limit and near else [])])
    unit = f"per {window:g} s"
    left = MARGIN + 8 + LETTER * max(len(f"{highest:,.0f}"), len(unit))
    right, top, bottom = WIDTH - MARGIN, MARGIN, MARGIN + PLOT
    step = (right - left) / max(len(values), 20)
    scale = (bottom - top) / highest
    bars = "".join(
        f'<rect class="bar" x="{left + place * step:.2f}" y="{bottom - value * scale:.2f}" '
        f'width="{max(step - (1 if step > 4 else 0), 0.5):.2f}" height="{value * scale:.2f}"/>'
        for place, value in enumerate(values)
        if value
    )
    line = ""
    if limit and near:
        y = bottom - limit.count * scale
        line = f'<path class="limit" d="M{left:.1f} {y:.2f}H{right}"/>'
    end = min(right, left + len(values) * step)
    took = duration(len(values) * timeline["width"])
    # The end's label stands below its bar, unless the beginning's would be in the way.
    end = max(end, left + LETTER * (len("0 s") + len(took) + 2))
    return (
        '<svg role="img" aria-label="Requests over time" '
        f'viewBox="0 0 {WIDTH} {bottom + 30}">'
        f'<path class="axis" d="M{left:.1f} {bottom + 0.5}H{right}"/>{bars}{line}'
        f'<text class="soft" x="{left - 8:.1f}" y="{top + 10}" text-anchor="end">'
        f"{highest:,.0f}</text>"
        f'<text class="soft" x="{left - 8:.1f}" y="{top + 27}" text-anchor="end">{unit}</text>'
        f'<text class="soft" x="{left:.1f}" y="{bottom + 20}">0 s</text>'
        f'<text class="soft" x="{end:.1f}" y="{bottom + 20}" text-anchor="end">{took}</text></svg>'
    )
