"""Golden traces: what a policy did on a toy, event by event. TG_GOLDEN=write pytest tests/search writes them anew."""

import json
import os
from pathlib import Path

from thoughtgraph.testing import RUN, PolicyContract, Toy, finish
from thoughtgraph.trace import Expanded, Scored, adapter

FOLDER = Path(__file__).parent / "golden"


def trace(policy, toy: Toy) -> list[str]:
    """The effects of a run as JSON lines, without times."""
    suite = type("Suite", (PolicyContract,), {"policy": staticmethod(policy)})()
    engine = suite.engine(toy)
    finish(engine.start())
    lines = []
    for event in engine.store.events(RUN):
        if isinstance(event, Expanded | Scored):
            body = adapter("event").dump_python(event, mode="json", exclude_defaults=True)
            body.pop("at", None)
            lines.append(json.dumps(body, sort_keys=True))
    return lines


def same_as_golden(name: str, policy, toy: Toy | None = None) -> None:
    """Compare with tests/golden/NAME.jsonl; a difference is a change of behaviour that somebody must have wanted."""
    path, found = FOLDER / f"{name}.jsonl", trace(policy, toy or Toy("merging"))
    if os.environ.get("TG_GOLDEN") == "write":
        path.write_text("\n".join(found) + "\n", encoding="utf-8")
    assert path.exists(), f"no golden trace {path.name}: write it with TG_GOLDEN=write"
    assert found == path.read_text(encoding="utf-8").splitlines()
