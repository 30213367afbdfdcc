"""A critic that recorded answers teach: outcomes in, an audited critic out, and what it changes in a search.

python examples/a_critic_from_outcomes.py
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random

import thoughtgraph as tg
from thoughtgraph.learning import split

DRAWS = 8


def crates(number: int) -> tuple[str, int]:
    """A question, and its right answer: nobody but the grader sees that."""
    luck = Random(f"crates {number}")
    crates, bolts, lost = luck.randint(3, 9), luck.randint(12, 98), luck.randint(11, 60)
    asked = f"There are {crates} crates of {bolts} bolts, and {lost} bolts are lost. How many are left?"
    return asked, crates * bolts - lost


def written(question: str, luck: Random) -> tuple[str, int]:
    """Stands for a model: at some products it forgets to carry, nearly always, so that a majority may be wrong."""
    crates, bolts, lost = (int(word) for word in question.split() if word.isdigit())
    packed = crates * bolts + (10 if luck.random() < (0.7 if Random(question).random() < 0.5 else 0.2) else 0)
    left = packed - lost if luck.random() < 0.9 else packed + lost
    if luck.random() < 0.3:
        return f"I think it must be {left}.", left
    return f"{crates} crates * {bolts} bolts = {packed} bolts. {packed} - {lost} = {left}.", left


def recorded(questions: int) -> list[tg.Outcome]:
    """What is on record: every answer with its grade. Nobody graded the steps."""
    rows = list[tg.Outcome]()
    for number in range(questions):
        question, right = crates(number)
        for draw in range(DRAWS):
            text, answer = written(question, Random(f"{number} {draw}"))
            response = tg.Response(text=text, answer=answer, generator="toy")
            rows.append(tg.Outcome(question=question, response=response, value=float(answer == right), grader="toy"))
    return rows


# 1. Learn from some of the questions. A question is never split: what was learned of it is no merit on the other side.
learned_from, held_out = split(recorded(200), share=0.4)
training = tg.train_critic(learned_from, name="bolts")
print(f"{training}\n")
assert training.critic is not None

# 2. The critic is one file of JSON, and nothing in it is ever run.
with tempfile.TemporaryDirectory() as folder:
    training.critic.save(Path(folder) / "bolts.json")
    critic = tg.load_critic(Path(folder) / "bolts.json")

# 3. Audit it on questions that training has not touched: how good, against what, and whether to use it.
print(tg.audit(critic, held_out, trained=learned_from), "\n")


# 4. Use it. Any policy that asks a critic will do; this one lets answers vote, each with the weight of its value.
def reason(state: tg.State, n: int) -> list[tg.Draft]:
    """The same writer, as the generator of a search."""
    drawn = [written(state.x, state.rng) for _ in range(n)]
    return [tg.Draft({"text": text, "answer": answer}, done=True) for text, answer in drawn]


votes = {"majority": "self_consistency(n=8, sure=1)", "weighted": 'best_of_n(n=8, choose="weighted")'}
found = dict.fromkeys(votes, 0)
for number in range(200, 240):
    question, right = crates(number)
    task = tg.Task(question, actions={"reason": reason}, claim=lambda path: path[-1].content["answer"])
    judged = replace(task, critics={"value": replace(critic, claim=task.claim)})
    for name, policy in votes.items():
        answer = tg.solve(judged, policy=policy, budget=tg.Budget(), seed=number).answer
        found[name] += answer == right
print(f"right of 40 further questions: majority {found['majority']}, weighted by the critic {found['weighted']}")
