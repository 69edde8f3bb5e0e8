"""`dndSettings`: which channels a contact does not want, in v2's spelling, whatever the header.

The `Version: v3` of the API begins its channels in lower case.
"""

from __future__ import annotations

from singer_http.operations import JSON

CHANNELS = ("Call", "Email", "SMS", "WhatsApp", "GMB", "FB", "RCS")
STATES = ("active", "inactive", "permanent")
"""Of a stop: `active` and `permanent` forbid the channel."""
IN_V3 = {
    "Call": "call", "Email": "email", "SMS": "sms", "WhatsApp": "whatsApp", "GMB": "gmb",
    "FB": "fb", "RCS": "rcs",
}  # fmt: skip
_SPELLED = {name.lower(): name for name in CHANNELS}


def as_v2(settings: JSON) -> JSON:
    """The settings by channel, each channel in v2's spelling."""
    return {_SPELLED.get(name.lower(), name): setting for name, setting in settings.items()}


def as_v3(settings: JSON) -> JSON:
    """The settings by channel, as a request with `Version: v3` spells them."""
    return {IN_V3.get(name, name): setting for name, setting in settings.items()}
