"""Two models in one run: a cheap one proposes, a dear one judges; one budget in dollars, and a cache for the next run.

python examples/a_cheap_one_proposes.py
"""

import thoughtgraph as tg


def proposes(prompt: str, draw: int) -> str:
    """A small model: often right, now and then not; a real one would be "openai:gpt-5-nano"."""
    return ("It has r at 3, 8 and 9.\nAnswer: 3", "I count two of them.\nAnswer: 2")[draw % 4 == 1]


def judges(prompt: str, draw: int) -> str:
    """A large model, which looks twice; a real one would be "anthropic:claude-opus-4-5"."""
    return "The count is right: sure" if "r at 3, 8 and 9" in prompt else "One r is left out: impossible"


small = tg.models.Scripted(proposes, model="small", price=tg.Price(prompt=0.05, completion=0.4))
large = tg.models.Scripted(judges, model="large", price=tg.Price(prompt=5.0, completion=25.0))
cache = tg.Cache()  # in memory; cache="replies.db" is a file that runs and processes share

for n in (4, 6):  # the second run asks for more, and pays for the two that are new
    result = tg.solve(
        "How many r's are in strawberry?",
        policy=f"best_of_n(n={n})",
        model=small,
        models={"value": large},
        budget=tg.Budget(usd=0.50),
        cache=cache,
    )
    print(f"\n{result.answer} ({result.reason}) for ${result.usage.usd:.6f}")
    print(f"{'role':<8}{'calls':>6}{'hits':>6}{'requests':>10}{'tokens':>8}{'dollars':>10}")
    for role, book in result.ledger.items():
        tokens = book.prompt_tokens + book.completion_tokens
        print(f"{role:<8}{book.calls:>6}{book.hits:>6}{book.requests:>10}{tokens:>8}{book.usd:>10.6f}")
