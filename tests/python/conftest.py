"""Fixtures: a small system that must leave nothing behind, and a process in it."""

import pytest

import ntmm


@pytest.fixture
def system():
    made = ntmm.System(ram=8 << 20)
    yield made
    if not made.is_closed:
        made.check()
        assert made.close() == ntmm.Teardown(0, 0, 0, 0)


@pytest.fixture
def process(system):
    with system.create_process() as made:
        yield made
