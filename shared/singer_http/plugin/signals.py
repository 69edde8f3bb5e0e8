"""Signals that end a run at once, whatever its main thread is waiting for."""

from __future__ import annotations

import os
import signal
import threading
import time

KICK = signal.SIGURG
"""What interrupts a wait and does nothing else; a process that does not handle it ignores it."""
KICKS = (0.02, 0.2, 1.0)
"""Seconds between a signal, the first kick, and the further ones: a kick can come too early too."""


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
        signal.set_wakeup_fd(other)  # an event loop that runs this has its own way
        os.close(reading)
        os.close(writing)
        return
    signal.signal(KICK, lambda *_: None)
    main = threading.get_ident()
    threading.Thread(target=_kick, args=(reading, main), name="signals", daemon=True).start()


def _kick(reading: int, thread: int) -> None:
    """Interrupt a thread's wait after each signal whose number can be read, but for a kick."""
    while numbers := os.read(reading, 64):
        if set(numbers) != {KICK}:
            for seconds in KICKS:
                time.sleep(seconds)
                signal.pthread_kill(thread, KICK)
