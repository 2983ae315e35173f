"""How Superset runs here: for this machine alone, in UTC, with answers that all viewers share.

Superset reads it by its name, and takes every setting that is not here from its own config.py.
"""
import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool

from kept_connections import keep_connections
from superset.config import TALISMAN_CONFIG
from superset.utils.log import AbstractEventLogger

HOME = Path(os.environ["SUPERSET_HOME"])

# It signs sessions and encrypts the password of the database: `npm run superset` has made it.
SECRET_KEY = (HOME / "secret_key").read_text()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME / 'superset.db'}?check_same_thread=false"
# By default each request would open the file anew and read what tables there are.
SQLALCHEMY_ENGINE_OPTIONS = {"poolclass": QueuePool}


@event.listens_for(Engine, "connect")
def on_connect(connection: Any, _: Any) -> None:
    """Who reads does not wait for who writes."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")


class NoEventLogger(AbstractEventLogger):
    """Superset would write a row for each chart that anybody looks at, before it answers."""

    def log(self, *_: Any, **__: Any) -> None:
        pass


EVENT_LOGGER = NoEventLogger()

# Superset's own defaults hold but for this: no request without its token, no other site's frame. And
# what is not from this server is not loaded: no pixel that counts visits elsewhere, no maps.
TALISMAN_CONFIG["content_security_policy"] |= {
    "img-src": ["'self'", "blob:", "data:"],
    "connect-src": ["'self'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "font-src": ["'self'"],
}

# A relative time range ends now, not at midnight: a window that moves.
DEFAULT_RELATIVE_START_TIME = "now"
DEFAULT_RELATIVE_END_TIME = "now"

# A refresh takes what another viewer's refresh has asked for: a chart costs the store one query in
# this time, however many look at it. 0 and -1 mean "never" and "not at all" to Superset.
REFRESH_S = 10
DASHBOARD_AUTO_REFRESH_MODE = "fetch"
DASHBOARD_AUTO_REFRESH_INTERVALS = [
    [0, "Don't refresh"],
    [10, "10 seconds"],
    [30, "30 seconds"],
    [60, "1 minute"],
    [300, "5 minutes"],
]
DATA_CACHE_CONFIG = {
    "CACHE_TYPE": "shared_cache.SharedCache",
    "CACHE_DEFAULT_TIMEOUT": REFRESH_S,
    "CACHE_THRESHOLD": 2_000,
}
# What tables and columns there are.
CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 300}

# A chart asks the store its one question, not who it is.
DB_CONNECTION_MUTATOR = keep_connections

# The funnel and the flow take the range of time into their SQL.
FEATURE_FLAGS = {"ENABLE_TEMPLATE_PROCESSING": True}

# As the engine's limits for readers.
SQLLAB_TIMEOUT = 30
SUPERSET_WEBSERVER_TIMEOUT = 60
ROW_LIMIT = 10_000
