"""Answers in memory that all viewers share: what is missing is asked for once.

Without this, fifty dashboards that refresh at the same moment would all find an answer gone, and
all ask the store. It holds for the threads of one process, and there is one.
"""
from time import time
from typing import Any

from flask import request_tearing_down
from flask_caching.backends import SimpleCache

from turns import Turns

# As long as a reader's question may take.
WAIT_S = 30.0


class SharedCache(SimpleCache):
    """Who misses an answer first is expected to set it; others who miss it wait for that."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._turns = Turns(WAIT_S)
        request_tearing_down.connect(self._on_request_end)

    def get(self, key: str) -> Any:
        look = super().get
        return self._turns.take(key, lambda: look(key))

    def set(self, key: str, value: Any, timeout: int | None = None) -> bool | None:
        is_set = super().set(key, value, self._rest_of(timeout))
        self._turns.end(key)
        return is_set

    def _rest_of(self, timeout: int | None) -> int:
        """An answer lasts to the end of its stretch of the clock, not for the whole of it.

        A dashboard that refreshes every ten seconds would otherwise find the answer of its last
        refresh still there, a little younger than that, and show what is new every other time.
        """
        seconds = self.default_timeout if timeout is None else timeout
        return seconds - int(time()) % seconds if seconds > 0 else seconds

    def _on_request_end(self, _app: Any, **_: Any) -> None:
        self._turns.end_mine()
