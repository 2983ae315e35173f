"""Who asks for an answer that is missing, and who waits for it."""
from threading import Condition, get_ident
from time import monotonic
from typing import Any, Callable


class Turns:
    """By key, one thread at a time finds the answer missing; the others wait for what it sets."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._changed = Condition()
        self._askers: dict[str, int] = {}

    def take(self, key: str, look: Callable[[], Any]) -> Any:
        """What `look` finds, waited for; None when it is this thread's turn to ask for it.

        None as well after the longest wait: then who asks is slow, and this thread asks beside it.
        """
        until = monotonic() + self._wait_s
        while True:
            with self._changed:
                if (found := look()) is not None:
                    return found
                if self._askers.setdefault(key, get_ident()) == get_ident():
                    return None
                left = until - monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)

    def end(self, key: str) -> None:
        """The answer is there."""
        with self._changed:
            self._askers.pop(key, None)
            self._changed.notify_all()

    def end_mine(self) -> None:
        """This thread has come to the end of its request; what it did not set was an error."""
        with self._changed:
            mine = [key for key, asker in self._askers.items() if asker == get_ident()]
            for key in mine:
                del self._askers[key]
            if mine:
                self._changed.notify_all()
