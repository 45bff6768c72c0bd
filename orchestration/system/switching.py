"""How long a thread may keep Python's interpreter to itself while another one wants it."""

import sys

INTERVAL_S = 0.001


def switch_sooner() -> None:
    """Let the event loop have the interpreter back from the store's threads after a millisecond; usual are five.

    What is urgent passes through the loop several times, and may have to wait as long each time.
    """
    sys.setswitchinterval(INTERVAL_S)
