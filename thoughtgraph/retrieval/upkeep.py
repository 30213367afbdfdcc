"""Looking after a file of knowledge: whether all of it is sound, and that what was deleted is gone to the last byte."""

from __future__ import annotations

import sqlite3

from thoughtgraph.errors import StoreError
from thoughtgraph.retrieval.index import KNOWLEDGE, Index

STRAYS = {
    "passages of no document": "SELECT count(*) FROM passages WHERE document NOT IN (SELECT id FROM documents)",
    "documents without labels": "SELECT count(*) FROM documents WHERE label NOT IN (SELECT id FROM labels)",
    "vectors of no passage": "SELECT count(*) FROM vectors WHERE passage NOT IN (SELECT id FROM passages)",
    "passages without words": "SELECT count(*) FROM passages WHERE id NOT IN (SELECT id FROM words_docsize)",
    "words of no passage": "SELECT count(*) FROM words_docsize WHERE id NOT IN (SELECT id FROM passages)",
}
"""What there must be none of."""


def check(index: Index) -> list[str]:
    """What is wrong with the file, all of which is read: pages, words against texts, and what hangs together."""
    try:
        with index.writing() as db:
            said = [row[0] for row in db.execute("PRAGMA integrity_check(10)") if row[0] != "ok"]
            strays = [f"{n} {what}" for what, count in STRAYS.items() if (n := db.execute(count).fetchone()[0])]
            return said + strays + _words(db)
    except StoreError as error:
        return [str(error)]


def scrub(index: Index) -> None:
    """Write everything anew, so that no byte of what was deleted is left in the file, nor in those beside it.

    The words' index is merged first: until then it holds the words of what was deleted, with a sign that they are.
    """
    with index.writing() as db:
        db.execute("DELETE FROM ahead")
        db.execute("DELETE FROM labels WHERE id NOT IN (SELECT label FROM documents)")
        db.execute("INSERT INTO words (words) VALUES ('optimize')")
    with index.alone() as db:
        KNOWLEDGE.erase(db, index.path)


def _words(db: sqlite3.Connection) -> list[str]:
    try:
        db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        return [f"the words do not fit the texts ({error})"]
    return []
