"""Which of a record's properties are written: the declared ones that are selected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Breadcrumb = tuple[str, ...]


class RecordSelector:
    """Cuts records to the properties of a schema. Made once per stream.

    As in the SDK: a property that the schema lacks is dropped, at any depth, unless
    `additionalProperties` allows it; an object or array without declared properties is left whole.
    """

    __slots__ = ("_deselected", "_keep", "_nested", "_open", "_path", "unknown")

    def __init__(
        self,
        schema: Mapping[str, Any],
        mask: Mapping[Breadcrumb, bool],
        breadcrumb: Breadcrumb = (),
        unknown: set[str] | None = None,
        path: str = "",
    ) -> None:
        """Compile a schema and its selection.

        Args:
            schema: an object's JSON schema.
            mask: breadcrumb → whether the property is selected.
            breadcrumb: the position of the schema in the stream's schema.
            unknown: collects the paths of undeclared properties; None for a new set.
            path: the same position, as it appears in `unknown`.
        """
        self.unknown: set[str] = set() if unknown is None else unknown
        self._path = path
        self._open = bool(schema.get("additionalProperties"))
        self._keep: set[str] = set()
        self._deselected: set[str] = set()
        self._nested: dict[tuple[str, type], RecordSelector] = {}
        for name, definition in schema.get("properties", {}).items():
            crumb = (*breadcrumb, "properties", name)
            if not mask[crumb]:
                self._deselected.add(name)
                continue
            self._keep.add(name)
            # As in the SDK, a value of another kind than the schema's is left alone.
            for kind, inner in ((dict, definition), (list, definition.get("items"))):
                if isinstance(inner, dict) and inner.get("properties"):
                    selector = RecordSelector(inner, mask, crumb, self.unknown, f"{path}{name}.")
                    if not selector.keeps_all:
                        self._nested[name, kind] = selector

    @property
    def keeps_all(self) -> bool:
        """Whether every record stays as it is."""
        return self._open and not self._deselected and not self._nested

    def cut(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record, or a copy without the properties that are not selected."""
        if not self._nested and (record.keys() <= self._keep or self.keeps_all):
            return record
        out: dict[str, Any] = {}
        for name, value in record.items():
            if name in self._keep:
                selector = self._nested.get((name, type(value)))
                out[name] = selector._cut_value(value) if selector else value
            elif name not in self._deselected:
                if self._open:
                    out[name] = value
                else:
                    self.unknown.add(f"{self._path}{name}")
        return out

    def _cut_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.cut(item) if isinstance(item, dict) else item for item in value]
        return self.cut(value)
