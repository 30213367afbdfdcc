"""A setting that a model has not is refused by its name, so that none is left out in silence."""

from __future__ import annotations

from thoughtgraph.errors import Unsupported
from thoughtgraph.model import Capabilities, Request


class Lacking(Unsupported):
    """The model itself knows no way to send a setting: nothing was sent."""


def refuse(request: Request, can: Capabilities, name: str) -> None:
    """Raise `Lacking` for the first setting of a request that is not among what a model can do."""
    asked = {
        "temperature": request.temperature is not None,
        "seed": request.seed is not None,
        "stop": bool(request.stop),
        "logprobs": request.logprobs,
        "schema": request.schema is not None,
        "images": any(message.images for message in request.messages),
    }
    for parameter, is_set in asked.items():
        if is_set and not getattr(can, parameter):
            raise Lacking(f"{name} takes no {parameter}: leave it out", parameter=parameter)
