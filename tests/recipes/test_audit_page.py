"""The page of an audit: it can be read, it holds all figures, and nothing in it can be run or fetched."""

# pyright: reportArgumentType=false

import re
import shutil
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

from thoughtgraph.learning.rows import Outcome, Response
from thoughtgraph.recipes.audit import Report, audit
from thoughtgraph.recipes.audit_page import page
from thoughtgraph.recipes.audit_report import RULE
from thoughtgraph.thought import Score

EVIL = "{body}{title}\ud800<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Critic:
    """It values the letter a; its name is an attack."""

    kind = "prob"
    name = EVIL

    def judge(self, examples):
        return [Score(0.9 if "a" in example.response.text else 0.2) for example in examples]


@cache
def report() -> Report:
    rows = [
        Outcome(
            question=f"{EVIL} {number}",
            response=Response(text=f"{text} {EVIL}", answer=EVIL + text, generator=f"{EVIL}{text[:1]}"),
            value=float(text == "aa" or (number % 4 == 0 and text == "b")),
        )
        for number in range(24)
        for text in ("aa", "b", "cccc")
    ]
    return audit(Critic(), rows, slices={EVIL: lambda example: example.response.text})


class Tags(HTMLParser):
    """Every tag with its attributes, and whether all that opened was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.told: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.told.append((tag, dict(attrs)))
        if tag not in ("meta", "path", "use", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.told.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag


def test_nothing_that_a_model_wrote_becomes_a_tag():
    tags = Tags(page(report(), RULE))
    assert {tag for tag, _ in tags.told}.isdisjoint({"script", "img", "iframe", "object", "link", "a", "form"})
    assert not [name for _, attrs in tags.told for name in attrs if name.startswith("on")]
    assert tags.open == []
    assert "&lt;script&gt;alert(1)" in page(report(), RULE)


def test_the_page_forbids_itself_to_run_and_to_fetch():
    text = page(report(), RULE)
    assert "default-src 'none'" in text
    assert re.findall(r"(?:src|href)=[\"'](?!#)([^\"']*)", text) == []
    assert re.findall(r"url\((?!#)", text) == []


def test_the_page_tells_the_verdict_its_reasons_and_its_rule():
    text = page(report(), RULE)
    assert f"<span class='verdict {report().verdict}'>" in text
    for words in ("How the verdict is reached", "Reward and evaluation", "What is chosen", "Calibration", "Slices"):
        assert words in text
    assert f"{report().pairs}" in text


def test_the_page_is_written_the_same_each_time(tmp_path: Path):
    for name in ("a.html", "b.html"):
        report().page(tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_with_matplotlib_there_are_plots_in_the_pages_own_ink():
    pytest.importorskip("matplotlib")
    text = page(report(), RULE)
    assert text.count("<svg") == 2
    assert "currentColor" in text
    assert "#010203" not in text
    assert "<metadata" not in text


def test_without_matplotlib_there_are_tables_and_a_word_on_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = page(report(), RULE)
    assert "<svg" not in text
    assert "thoughtgraph[plot]" in text
    assert "chosen among L" in text


@pytest.mark.slow
def test_a_browser_shows_it(tmp_path: Path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("there is no browser here")
    report().page(tmp_path / "page.html")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", (tmp_path / "page.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "How the verdict is reached" in shown
    assert "<script" not in shown
