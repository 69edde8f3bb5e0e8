"""The setting `overwrite`: which fields of the vendor's records a sync may overwrite."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from singer_http.errors import ConfigError
from singer_http.plugin.validation import ALWAYS, EVERY_FIELD, IF_UNEDITED
from singer_http.sink.columns import CustomFields


@dataclass(frozen=True, slots=True)
class Policies:
    """Field -> policy."""

    default: str = ALWAYS
    named: Mapping[str, str] = field(default_factory=dict)
    """By the names of `ReadableSink.fields_of`, or by that of what they are within."""

    def of(self, name: str) -> str:
        """The policy of a field."""
        own = self.named.get(name)
        return own or self.named.get(name.partition(".")[0]) or self.default

    @property
    def restrict(self) -> bool:
        """Whether there is anything that is not always overwritten."""
        return any(policy != ALWAYS for policy in (self.default, *self.named.values()))

    def may_send(self, name: str, *, is_empty: bool, is_own: bool) -> bool:
        """Whether another value may take the place of the vendor's.

        Args:
            name: of the field.
            is_empty: the vendor has no value.
            is_own: its value is what this sync wrote last.
        """
        policy = self.of(name)
        return is_empty or policy == ALWAYS or (policy == IF_UNEDITED and is_own)


def resolve(
    setting: Mapping[str, str],
    stream: str,
    fields: Collection[str],
    container: str | None,
    custom_fields: Callable[[], CustomFields] | None,
) -> Policies:
    """Find the fields that a setting names, as columns are found.

    Args:
        setting: vendor field, custom field or `*` -> policy.
        stream: for the error's text.
        fields: the vendor's fields that are written.
        container: within which custom fields are.
        custom_fields: asks the vendor; called only for a name that is not one of its fields. None
            where the account has none.

    Raises:
        ConfigError: a name is no field of the stream.
    """
    named: dict[str, str] = {}
    for name, policy in setting.items():
        if name == EVERY_FIELD:
            continue
        if name in fields or name == container:
            found = name
        elif custom_fields is not None and (custom := custom_fields().find(name)) is not None:
            found = f"{container}.{custom.id}"
        else:
            raise ConfigError(
                f"overwrite names {name!r}, which is no field of {stream}, the stream whose "
                f"records can be read: it has {', '.join(fields)}, and the account's custom fields."
            )
        if named.setdefault(found, policy) != policy:
            raise ConfigError(
                f"overwrite has two policies for one field of {stream}, one of them for {name!r}: "
                "leave one out."
            )
    return Policies(setting.get(EVERY_FIELD, ALWAYS), named)


def restricts(setting: Any) -> bool:
    """Whether the setting leaves anything to the vendor."""
    return any(policy != ALWAYS for policy in (setting or {}).values())


def refuse(setting: Any, stream: str, hint: str) -> None:
    """Refuse a policy where the vendor's records cannot be read.

    Args:
        setting: `overwrite`.
        stream: whose records these are.
        hint: what else can be done.

    Raises:
        ConfigError: the setting leaves something to the vendor.
    """
    if restricts(setting):
        raise ConfigError(
            f"overwrite must be {ALWAYS} here: {stream} cannot be read back, so nobody can tell "
            f"what was edited at the vendor. {hint}"
        )
