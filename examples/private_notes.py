"""Notes of a ward that only some may read: asked as two people, answered with sources, and one of them forgotten.

python examples/private_notes.py
"""

import tempfile
from pathlib import Path

import thoughtgraph as tg

QUESTION = "Which firm manufactures the drug prescribed for Halvor, Mette?"
ADA, BEN = ("ada", "cardiology"), ("ben", "kitchen")  # a name, and the groups that they are in

WARD = tg.Labels(readers=("cardiology",), models=("local:*",))  # for the ward's eyes, and for no model elsewhere
HOUSE = tg.Labels(readers=("*",), models=("*",))  # for everybody


def reader() -> tg.Model:
    """A model in this process that reads a clinic's plain sentences; a real one would be "openai:gpt-5-mini"."""
    return tg.tasks.world_reader("clinic", tg.tasks.Lapses(miss=0, misled=0, guess=0, misjudge=0))


def filed(knowledge: tg.Knowledge) -> None:
    """Two charts and two sheets of the pharmacy. Filed again, they would cost nothing."""
    charts = {
        "charts/halvor": "Halvor, Mette was admitted to ward Dasko. Tarvin-12 was prescribed for Halvor, Mette.",
        "charts/lindqvist": "Lindqvist, Ole has a bed on ward Dasko. Lindqvist, Ole takes Belorin-40 twice a day.",
    }
    sheets = {
        "pharmacy/tarvin": "Tarvin-12 is a product of Linde Osmo Pharma.",
        "pharmacy/belorin": "Belorin-40 is a product of Kessler Brandt Pharma.",
    }
    for labels, documents in ((WARD, charts), (HOUSE, sheets)):
        for name, text in documents.items():
            knowledge.add(text, name=name, labels=labels)


def asked(knowledge: tg.Knowledge, who: tuple[str, ...], store: Path) -> tg.Result:
    """The question, asked as somebody: searched by RATP, in what they and the model may see."""
    return tg.ask(QUESTION, knowledge=knowledge, principal=who, model=reader(), budget=tg.Budget(calls=20), store=store)


def told(who: tuple[str, ...], result: tg.Result) -> None:
    """The answer, the passages that its sentences name, and all that it was made of."""
    print(f"{who[0]}: {result.answer}  ({result.usage.calls} calls)")
    for cited in tg.tasks.citations(result.graph, result.thought) if result.thought else []:
        print(f"   {cited.sentence.text}")
    for source in result.sources:
        print(f"   {source.passage.id}: {source.passage.text!r}, by {' > '.join(t.action for t in source.path)}")


def main(folder: Path) -> dict[str, object]:
    """Index, ask as two people, forget, ask again; what came of it."""
    store = folder / "runs.db"
    with tg.Knowledge(folder / "notes.db") as knowledge:
        filed(knowledge)
        before = {who[0]: asked(knowledge, who, store) for who in (ADA, BEN)}
        told(ADA, before["ada"])
        told(BEN, before["ben"])
        elsewhere = knowledge.reader(ADA, models="openai:gpt-5-mini").documents()
        print(f"where openai:gpt-5-mini is to read, there are only {', '.join(entry.name for entry in elsewhere)}")
        gone = tg.forget("charts/halvor", knowledge=knowledge, stores=[store])
        print(gone)
        after = asked(knowledge, ADA, store)
        told(ADA, after)
    left = [file.name for file in folder.iterdir() if file.is_file() and b"Tarvin-12 was" in file.read_bytes()]
    print(f"files that still hold a word of it: {', '.join(left) or 'none'}")
    return {**before, "elsewhere": elsewhere, "gone": gone, "after": after, "left": left}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(place))
