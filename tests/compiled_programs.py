"""How many programs JAX compiles, counted through its public monitoring events; and how often an
audit runs its one program."""

import contextlib

import jax

from initlab.audits import auditing

EVENT = "/jax/core/compile/backend_compile_duration"


class Count:
    """A number that grows."""

    def __init__(self):
        self.programs = 0


@contextlib.contextmanager
def counting():
    """Counts what is compiled inside, programs read from a persistent cache among them."""
    count = Count()

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        count.programs += event == EVENT

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield count
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def counting_measurements(monkeypatch):
    """A list that each run of an audit's compiled measurement makes longer by one."""
    runs, make = [], auditing.make_instrument

    def counted(*given):
        instrument = make(*given)
        return instrument._replace(
            program=lambda *operands: runs.append(1) or instrument.program(*operands)
        )

    monkeypatch.setattr(auditing, "make_instrument", counted)
    return runs
