"""Turns: who asks, who waits. Run by superset.test.ts; needs nothing but Python."""
import unittest
from threading import Event, Thread
from typing import Any

from turns import Turns

# Longer than any test takes, and a turn that must not run out while it does.
LONG_S = 20.0
TURN_S = 600.0


class Viewers:
    """Threads that want the same answer."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.asking = Event()
        self.may_answer = Event()

    def view(self, name: str, fails: bool = False) -> Thread:
        def run() -> None:
            if self.turns.take("chart", lambda: self.answers.get("chart")) is None:
                self.asked.append(name)
                self.asking.set()
                self.may_answer.wait(LONG_S)
                if not fails:
                    self.answers["chart"] = f"of {name}"
                    self.turns.end("chart")
            self.turns.end_mine()

        thread = Thread(target=run, daemon=True)
        thread.start()
        return thread


class TurnsTest(unittest.TestCase):
    def test_fifty_who_miss_the_same_answer_ask_for_it_once(self) -> None:
        viewers = Viewers(Turns(TURN_S))
        threads = [viewers.view("the first one")]
        viewers.asking.wait(LONG_S)
        threads += [viewers.view(str(number)) for number in range(49)]
        viewers.may_answer.set()
        for thread in threads:
            thread.join(LONG_S)
        self.assertEqual(viewers.asked, ["the first one"])

    def test_after_an_error_another_one_asks(self) -> None:
        viewers = Viewers(Turns(TURN_S))
        first = viewers.view("one that fails", fails=True)
        viewers.asking.wait(LONG_S)
        second = viewers.view("the next one")
        viewers.may_answer.set()
        first.join(LONG_S)
        second.join(LONG_S)
        self.assertFalse(second.is_alive())
        self.assertEqual(viewers.asked, ["one that fails", "the next one"])

    def test_who_waits_does_not_wait_for_the_rest_of_the_request(self) -> None:
        turns = Turns(TURN_S)
        answers: dict[str, Any] = {}
        self.assertIsNone(turns.take("chart", lambda: answers.get("chart")))
        viewer = Thread(target=lambda: turns.take("chart", lambda: answers.get("chart")), daemon=True)
        viewer.start()
        answers["chart"] = "there"
        turns.end("chart")
        viewer.join(LONG_S)
        self.assertFalse(viewer.is_alive())
        # Whoever finds it gone asks again, though the first request still goes on.
        answers.clear()
        other = Thread(target=lambda: turns.take("chart", lambda: answers.get("chart")), daemon=True)
        other.start()
        other.join(LONG_S)
        self.assertFalse(other.is_alive())

    def test_nobody_waits_for_ever(self) -> None:
        viewers = Viewers(Turns(0.01))
        first = viewers.view("one that hangs")
        viewers.asking.wait(LONG_S)
        self.assertIsNone(viewers.turns.take("chart", lambda: None))
        viewers.may_answer.set()
        first.join(LONG_S)

    def test_who_asks_may_look_again_and_other_answers_are_others(self) -> None:
        turns = Turns(TURN_S)
        self.assertIsNone(turns.take("chart", lambda: None))
        self.assertIsNone(turns.take("chart", lambda: None))
        other = Thread(target=lambda: turns.take("another chart", lambda: None), daemon=True)
        other.start()
        other.join(LONG_S)
        self.assertFalse(other.is_alive())


if __name__ == "__main__":
    unittest.main()
