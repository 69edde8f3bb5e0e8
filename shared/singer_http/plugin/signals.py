"""Signals that end a run at once, whatever its main thread is waiting for."""

from __future__ import annotations

import os
import signal
import threading
import time

WAKE = signal.SIGURG
"""The signal that interrupts a wait and does nothing else; processes ignore it by default."""
PAUSES = (0.02, 0.2, 1.0)
"""Seconds before each WAKE that follows a signal. Several: one may come before the wait begins."""


def wake_main_thread() -> None:
    """Have every signal interrupt what the main thread is waiting for.

    Python runs a signal's handler between two steps of the main thread. A signal that another
    thread receives, or that comes in the moment before the main thread waits for a lock or a
    socket, interrupts no wait: its handler would run when the vendor has answered.

    Does nothing in another thread: a program that runs a plugin there handles signals itself.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    if (other := signal.set_wakeup_fd(writing, warn_on_full_buffer=False)) != -1:
        signal.set_wakeup_fd(other)  # an event loop runs this, and has its own way
        os.close(reading)
        os.close(writing)
        return
    signal.signal(WAKE, lambda *_: None)
    main = threading.get_ident()
    threading.Thread(target=_wake, args=(reading, main), name="signals", daemon=True).start()


def _wake(reading: int, thread: int) -> None:
    """Interrupt a thread's wait after each signal.

    Args:
        reading: a pipe that gives the number of each signal, WAKE too.
        thread: its id.
    """
    while numbers := os.read(reading, 64):
        if set(numbers) != {WAKE}:
            for seconds in PAUSES:
                time.sleep(seconds)
                signal.pthread_kill(thread, WAKE)
