"""The pictures of the report's page: inline SVG, drawn from numbers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from singer_http.http.rate_limit import Limit
    from singer_http.report.counts import Counts
    from singer_http.report.timeline import Timeline

OUTCOMES = (
    "created", "updated", "upserted", "deleted", "unchanged", "merged", "skipped", "rejected",
)  # fmt: skip

WIDTH = 760
LEFT, RIGHT, THICK = 140, 540, 12
"""Of the flow: where the bars stand, and how thick they are."""
GAP = 22
"""Between the outcomes: room for their labels."""
HEIGHT = 110
PLOT = (56, 12, WIDTH - 12, 170)
"""Of the rate: left, top, right, bottom."""


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def flow(counts: Counts, label: str) -> str:
    """Records on the left, what became of them on the right.

    Args:
        counts: of a stream.
        label: for those who cannot see it; escaped already.
    """
    parts = [(name, number) for name in OUTCOMES if (number := getattr(counts, name))]
    total = sum(number for _, number in parts) or 1
    height = HEIGHT + GAP * max(0, len(parts) - 1)
    lost = counts.received - sum(number for _, number in parts)
    shapes, left_y, right_y = [], (height - HEIGHT) / 2, 0.0
    for name, number in parts:
        share = HEIGHT * number / total
        size = max(share, 2.0)
        shapes.append(
            f'<path class="band" fill="var(--{name})" d="{_band(left_y, right_y, share, size)}"/>'
            f'<rect x="{RIGHT}" y="{right_y:.1f}" width="{THICK}" height="{size:.1f}" '
            f'fill="var(--{name})"/>'
            f'<text x="{RIGHT + THICK + 8}" y="{right_y + size / 2 + 4:.1f}">'
            f"{number:,} {name}</text>"
        )
        left_y += share
        right_y += size + GAP
    middle = height / 2
    received = (
        f'<rect x="{LEFT - THICK}" y="{(height - HEIGHT) / 2:.1f}" width="{THICK}" '
        f'height="{HEIGHT}" fill="var(--soft)"/>'
        f'<text x="{LEFT - THICK - 8}" y="{middle:.1f}" text-anchor="end">'
        f"{counts.received:,}</text>"
        f'<text class="soft" x="{LEFT - THICK - 8}" y="{middle + 16:.1f}" '
        'text-anchor="end">received</text>'
    )
    under_way = (
        f'<text class="soft" x="{LEFT}" y="{height + 26}">{lost:,} were under way when the run '
        "ended</text>"
        if lost > 0
        else ""
    )
    tall = height + (34 if lost > 0 else 14)
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 -8 {WIDTH} {tall}">'
        f"{received}{''.join(shapes)}{under_way}</svg>"
    )


def _band(left: float, right: float, share: float, size: float) -> str:
    middle = (LEFT + RIGHT) / 2
    return (
        f"M{LEFT} {left:.1f}C{middle} {left:.1f} {middle} {right:.1f} {RIGHT} {right:.1f}"
        f"V{right + size:.1f}"
        f"C{middle} {right + size:.1f} {middle} {left + share:.1f} {LEFT} {left + share:.1f}Z"
    )


def rate(timeline: Timeline, limit: Limit | None) -> str:
    """Requests over time, against a limit.

    Each bar is the window, of the limit's length, that ends with it; a second without a limit.
    """
    window = limit.seconds if limit else 1.0
    values = timeline.within(window)
    left, top, right, bottom = PLOT
    highest = max([1.0, *values, *([float(limit.count)] if limit and _near(limit, values) else [])])
    step = (right - left) / len(values)
    scale = (bottom - top) / highest
    bars = "".join(
        f'<rect class="bar" x="{left + place * step:.2f}" y="{bottom - value * scale:.2f}" '
        f'width="{max(step - (1 if step > 4 else 0), 0.5):.2f}" height="{value * scale:.2f}"/>'
        for place, value in enumerate(values)
        if value
    )
    line = ""
    if limit and limit.count <= highest:
        y = bottom - limit.count * scale
        line = f'<path class="limit" d="M{left} {y:.2f}H{right}"/>'
    unit = f"per {window:g} s" if limit else "per s"
    return (
        f'<svg role="img" aria-label="Requests over time" viewBox="0 0 {WIDTH} {bottom + 30}">'
        f'<path class="axis" d="M{left} {bottom + 0.5}H{right}"/>{bars}{line}'
        f'<text class="soft" x="{left - 6}" y="{top + 10}" text-anchor="end">{highest:,.0f}</text>'
        f'<text class="soft" x="{left - 6}" y="{top + 26}" text-anchor="end">{unit}</text>'
        f'<text class="soft" x="{left}" y="{bottom + 20}">0 s</text>'
        f'<text class="soft" x="{right}" y="{bottom + 20}" text-anchor="end">'
        f"{duration(len(values) * timeline.width)}</text></svg>"
    )


def _near(limit: Limit, values: list[float]) -> bool:
    """The limit belongs in the picture: what was sent does not vanish below it."""
    return limit.count <= 50 * max(values)
