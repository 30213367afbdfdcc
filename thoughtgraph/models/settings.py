"""What a model does when a request does not say."""

from __future__ import annotations


def defaults(max_tokens: int, timeout: float, temperature: float | None, seed: int | None = None) -> dict[str, float]:
    """The `defaults` of a model. What nobody chose is left out: newer models refuse to be given a temperature."""
    said: dict[str, float] = {"max_tokens": max_tokens, "timeout": timeout}
    if temperature is not None:
        said["temperature"] = temperature
    return said if seed is None else {**said, "seed": seed}
