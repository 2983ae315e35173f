"""Connections to the store that are used again.

Superset makes a new one for each query, and a new one asks the server for its version, its time zone
and its settings before it asks what it was made for. Nothing of a query stays in a connection: it
has neither a session on the server nor a transaction.
"""
from collections import defaultdict
from typing import Any

from clickhouse_connect.dbapi.connection import Connection
from sqlalchemy.engine.url import URL

# By whom and what they connect to. Few: a thread has one or two at a time.
_free: defaultdict[str, list[Connection]] = defaultdict(list)


class KeptConnection(Connection):
    """Closing it leaves it to whoever wants one next."""

    def __init__(self, key: str, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._key = key

    def close(self) -> None:
        _free[self._key].append(self)


def keep_connections(url: URL, options: dict[str, Any], *_: Any) -> tuple[URL, dict[str, Any]]:
    """What Superset asks before it connects to a database, as its setting DB_CONNECTION_MUTATOR."""
    if url.get_backend_name() != "clickhousedb":
        return url, options
    given, named = url.get_dialect()().create_connect_args(url)
    named |= options.get("connect_args", {})
    key = repr((given, named))

    def connect() -> Connection:
        try:
            return _free[key].pop()
        except IndexError:
            return KeptConnection(key, *given, **named)

    return url, options | {"creator": connect}
