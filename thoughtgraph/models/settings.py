"""What a model does when a request does not say."""

from __future__ import annotations


def defaults(max_tokens: int, timeout: float, temperature: float | None) -> dict[str, float]:
    """The `defaults` of a model. A temperature that nobody chose is left out: newer models refuse to be given one."""
    said: dict[str, float] = {"max_tokens": max_tokens, "timeout": timeout}
    return said if temperature is None else {**said, "temperature": temperature}
