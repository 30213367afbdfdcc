"""What every test begins with."""

import pytest

from thoughtgraph import deadline


@pytest.fixture(autouse=True)
def nothing_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """No latency is known: what other tests' models took says nothing about this one's."""
    monkeypatch.setattr(deadline, "_latencies", {})
