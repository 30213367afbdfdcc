"""A question answered by a model that is a local function, watched event by event; a real one is named by text.

python examples/a_model_of_your_own.py
"""

import asyncio

import thoughtgraph as tg


def reply(prompt: str, draw: int) -> str:
    """Sometimes a little off, as models are; a real one would be model="openai:gpt-5-mini"."""
    return f"s-t-r-a-w-b-e-r-r-y has r at 3, 8 and 9.\nAnswer: {2 if draw % 4 == 1 else 3}"


async def main() -> None:
    """Sample answers until their vote is decided, and watch."""
    model = tg.models.Scripted(reply)
    question = "How many r's are in strawberry?"
    async for update in tg.stream(question, model=model, budget=tg.Budget(calls=16)):
        print(f"{update.event.kind:<9} best so far: {update.answer}")


asyncio.run(main())
