"""Answers in memory that many viewers share: what is missing is asked for once.

Without this, fifty dashboards that refresh at the same moment would all find an answer gone, and
all ask the store.
"""
from threading import Condition, get_ident
from time import monotonic
from typing import Any

from flask_caching.backends import SimpleCache

# Longer than an answer takes when all is well. Who has waited for so long asks by itself.
WAIT_S = 10.0


class SharedCache(SimpleCache):
    """Who misses an answer first is expected to set it; others who miss it wait for that."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._changed = Condition()
        # By key: who asks for the answer, and until when others wait for it.
        self._asking: dict[str, tuple[int, float]] = {}

    def get(self, key: str) -> Any:
        with self._changed:
            until = monotonic() + WAIT_S
            while True:
                value = super().get(key)
                now = monotonic()
                if value is not None or now >= until:
                    return value
                asker, expected = self._asking.get(key, (0, 0.0))
                if asker == get_ident() or expected <= now:
                    self._forget(now)
                    self._asking[key] = (get_ident(), now + WAIT_S)
                    return None
                self._changed.wait(min(until, expected) - now)

    def set(self, key: str, value: Any, timeout: int | None = None) -> bool | None:
        with self._changed:
            is_set = super().set(key, value, timeout)
            self._asking.pop(key, None)
            self._changed.notify_all()
            return is_set

    def _forget(self, now: float) -> None:
        """Those whose answer never came: it was an error."""
        self._asking = {key: each for key, each in self._asking.items() if each[1] > now}
