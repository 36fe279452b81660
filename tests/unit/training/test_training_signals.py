"""Signals that request a stop: recorded from the outermost context on, however often they arrive."""

import os
import signal
import threading

import pytest

from dropnas.training import signals


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_signal_between_two_trainings_of_a_process_stops_the_next(number: int) -> None:
    with signals.caught() as outer:
        with signals.caught() as first:
            assert not first()
        os.kill(os.getpid(), number)
        with signals.caught() as second:
            assert second()
        assert outer()


def test_a_note_is_forgotten_and_the_handlers_are_back_at_the_end() -> None:
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    with signals.caught():
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before
    with signals.caught() as asked:
        assert not asked()


def test_outside_the_main_thread_nothing_is_caught() -> None:
    found = []

    def look() -> None:
        with signals.caught() as asked:
            found.append(asked())

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [False] and signal.getsignal(signal.SIGTERM) == before


def test_a_second_ctrl_c_ends_at_once() -> None:
    with signals.caught() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
