"""The view `singer_http_standing`, read as anybody reads it: by SQL."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import sqlalchemy as sa

from singer_http.store import DATABASE_FILE
from singer_http.store.server import parse_url
from tests.front_door import Plugin


def url_of(plugin: Plugin) -> sa.URL:
    """Where its ledger is."""
    given = plugin.config.get("database_url")
    return parse_url(given or f"sqlite:///{plugin.work_dir / DATABASE_FILE}")


def ask(url: sa.URL, query: str, **values: Any) -> list[Any]:
    """The rows of a SELECT; whatever it changes is committed."""
    engine = sa.create_engine(url)
    try:
        with closing(engine.connect()) as connection:
            found = connection.execute(sa.text(query), values)
            rows = list(found.all()) if found.returns_rows else []
            connection.commit()
            return rows
    finally:
        engine.dispose()


def standing(plugin: Plugin, stream: str = "people") -> dict[str, str | None]:
    """Key -> the version that stands."""
    query = "SELECT key, version FROM singer_http_standing WHERE stream = :stream ORDER BY key"
    return dict(map(tuple, ask(url_of(plugin), query, stream=stream)))


def states(plugin: Plugin, stream: str = "people") -> dict[str, str]:
    """Key -> its state."""
    query = "SELECT key, state FROM singer_http_standing WHERE stream = :stream ORDER BY key"
    return dict(map(tuple, ask(url_of(plugin), query, stream=stream)))
