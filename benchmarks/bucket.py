"""Many callers and a provider's token bucket: how long they take, and how many requests are refused, paced and not.

    python benchmarks/bucket.py [--rate 20] [--requests 600] [--latency 300]

All requests start at once, and each is sent again after a 429, six times at most, when the Retry-After and a jitter are
over. The table shows the seconds, the least that the bucket allows, what was refused before and after the first two
seconds, how often the unluckiest request was refused, and how many gave up.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from dataclasses import dataclass, field

import aiohttp
from fake import fake

from thoughtgraph.pace import Pace

ATTEMPTS = 6


@dataclass
class Crowd:
    """All callers of one server, and what became of their requests."""

    url: str
    pace: Pace | None
    began: float = field(default_factory=time.monotonic)
    log: list[tuple[float, bool]] = field(default_factory=list)
    worst: int = 0
    gave_up: int = 0

    async def all(self, requests: int) -> float:
        """Seconds until every request was answered, or gave up."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            await asyncio.gather(*(self.one(client, i) for i in range(requests)))
        return time.monotonic() - self.began

    async def one(self, client: aiohttp.ClientSession, i: int) -> None:
        """One request through all its attempts."""
        for refusals in range(1, ATTEMPTS + 1):
            wish = await self.send(client, i)
            if wish is None:
                return
            self.worst = max(self.worst, refusals)
            await asyncio.sleep(wish + random.uniform(0, 0.25 * wish + 0.05))
        self.gave_up += 1

    async def send(self, client: aiohttp.ClientSession, i: int) -> float | None:
        """The Retry-After of a refusal; None where there was an answer."""
        if self.pace and not self.pace.free:
            await self.pace.turn()
        ticket, at = self.pace.went() if self.pace else (0, 0.0), time.monotonic() - self.began
        messages = [{"role": "user", "content": f"Question {i}"}]
        async with client.post(self.url, json={"model": "fake", "messages": messages}) as reply:
            await reply.read()
        refused = reply.status == 429
        wish = float(reply.headers.get("Retry-After", 1.0)) if refused else None
        self.log.append((at, refused))
        if self.pace and refused:
            self.pace.limited(ticket, wish)
        elif self.pace:
            self.pace.ok()
        return wish


def main() -> None:
    """Print a row without the pace, and one with it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rate", type=float, default=20)
    options.add_argument("--requests", type=int, default=600)
    options.add_argument("--latency", type=float, default=300)
    said = options.parse_args()
    print(f"{'':<8} {'seconds':>8} {'least':>6} {'at first':>9} {'later':>6} {'worst':>6} {'gave up':>8}")
    knobs = ("--rate-limit-rps", str(said.rate), "--latency-ms", str(said.latency))
    for name, pace in (("hasty", None), ("paced", Pace())):
        with fake(*knobs) as server:
            crowd = Crowd(f"{server.base_url}/chat/completions", pace)
            seconds = asyncio.run(crowd.all(said.requests))
        first = sum(refused for at, refused in crowd.log if at < 2)
        later = [refused for at, refused in crowd.log if at >= 2]
        least = (said.requests - said.rate) / said.rate
        share = sum(later) / max(1, len(later))
        row = f"{seconds:>8.1f} {least:>6.1f} {first:>9} {share:>6.1%} {crowd.worst:>6} {crowd.gave_up:>8}"
        print(f"{name:<8} {row}")


if __name__ == "__main__":
    main()
