"""A judge that is tuned: which prompter, and how many samples, tell right answers from wrong ones at no higher cost?

python examples/a_better_judge.py
"""

import random
import re

import thoughtgraph as tg
from thoughtgraph.critics import Value
from thoughtgraph.learning.rows import Outcome, Response
from thoughtgraph.recipes.judging import tune_judge, variants


def judges(prompt: str, draw: int) -> str:
    """A model that guesses, unless it is asked to work it out; a real one would be "openai:gpt-5-mini"."""
    a, b, said = map(int, re.findall(r"\d+", prompt)[:3])
    knows = random.Random(f"{prompt} {draw}").random() < (0.95 if "add it up" in prompt else 0.6)
    return "sure" if (a + b == said) == knows else "impossible"


def asking(wish: str) -> tg.Prompter:
    """A prompter that shows an answer, and asks for a verdict on it."""
    return lambda x, passages, thoughts, scores: tg.Prompt(problem=x, thoughts=thoughts[-1].text, ask=wish)


def recorded(questions: int = 60) -> list[Outcome]:
    """What an audit goes by: answers that somebody gave, and whether they were right."""
    rng, rows = random.Random(0), list[Outcome]()
    for _ in range(questions):
        a, b = rng.randint(100, 999), rng.randint(100, 999)
        for said in (a + b, a + b - 10, a + b + 1):
            response = Response(text=f"It is {said}.", answer=said)
            rows.append(Outcome(question=f"{a} + {b}?", response=response, value=float(said == a + b)))
    return rows


in_use = Value(asking("Is that right, sure or impossible?"), samples=1)
candidates = variants(
    in_use,
    prompters={
        "expert": asking("You are an expert. Is that right, sure or impossible?"),
        "add it up": asking("First add it up, digit by digit. Is that right, sure or impossible?"),
    },
    samples=(5,),
)
tuned = tune_judge(candidates, recorded(), model=tg.models.Scripted(judges), budget=tg.Budget(calls=2000))
print(tuned)
