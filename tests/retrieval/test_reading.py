"""Files as documents: what a person reads in them, under its headings; and what cannot be read says why."""

import codecs
import contextlib
import os
import re
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thoughtgraph.errors import TaskError
from thoughtgraph.retrieval.apart import Apart
from thoughtgraph.retrieval.documents import Document, tiled
from thoughtgraph.retrieval.html import read_html
from thoughtgraph.retrieval.markdown import read_markdown
from thoughtgraph.retrieval.python import read_python
from thoughtgraph.retrieval.reading import Unreadable, document, known_encoding, read


def parts(found: Document) -> list[tuple[str, str, str]]:
    return [(" / ".join(s.path), s.kind, found.text[s.start : s.end]) for s in found.sections]


def pdf(*pages: str, title: str = "") -> bytes:
    """A small PDF, written by hand: a font, and a page for each text."""
    kids = " ".join(f"{5 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Title ({title}) >>",
    ]
    for n, page in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET" if page else ""
        font = "/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {font} /Contents {6 + 2 * n} 0 R >>")
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R /Info 4 0 R >>\n"
    return out + f"{end}startxref\n{len(out)}\n%%EOF\n".encode()


@pytest.fixture(scope="module")
def apart():
    with Apart(seconds=20) as reader:
        yield reader


# -- Markdown --------------------------------------------------------------------------------------------------------


def test_markdown_stays_as_it_was_written_with_a_section_for_each_heading():
    before, engine = "Before.\n\n", "# *The* `engine`\n\nAbout it.\n\n"
    code, items, table = "```\n# no heading\n```\n\n", "- a\n- b\n\n", "| a |\n|---|\n| 1 |\n"
    text = f"{before}{engine}## Parts\n\n{code}{items}End\n---\n\n{table}"
    found = document("a.md", text.encode())
    assert found.text == text
    assert (found.kind, found.title) == ("markdown", "The engine")
    assert parts(found) == [
        ("", "prose", before),
        ("The engine", "prose", engine),
        ("The engine / Parts", "prose", "## Parts\n\n"),
        ("The engine / Parts", "code", code),
        ("The engine / Parts", "list", items),
        ("The engine / End", "prose", "End\n---\n\n"),
        ("The engine / End", "table", table),
    ]


def test_a_heading_with_only_a_lower_one_below_it_stands_with_that():
    found = document("a.md", b"# A\n\n## B\n\ntext\n\n# C\n")
    assert parts(found) == [("A / B", "prose", "# A\n\n## B\n\ntext\n\n"), ("C", "prose", "# C\n")]


def test_what_stands_before_markdown_for_publishers_is_no_heading_but_may_say_the_title():
    found = document("a.md", b"---\ntitle: 'Notes'\ntags: x\n---\n# A\ntext")
    assert found.title == "Notes"
    assert [path for path, _, _ in parts(found)] == ["", "A"]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.sampled_from(
            ["# a\n", "### b\n", "=\n", "x\n", "\n", "- l\n", "```\n", "|a|\n|-|\n", "---\n", "<p>", "    "]
        )
    )
)
def test_sections_tile_any_markdown_and_html_and_python(lines: list[str]):
    text = "".join(lines)
    for parsed in (read_markdown(text), read_html(text), read_python(text)):
        assert tiled(parsed.sections, len(parsed.text)) or not parsed.text


# -- HTML ------------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html><html><head><title>T &amp; U</title><style>p {}</style></head><body><!-- aside -->
<script>var hidden = "<p>hidden</p>"</script><template>hidden</template><nav>menu</nav>
<h1>Top <b>heading</b></h1><h2>Sub</h2><p>one <i>two</i>,
three<br>four</p><ul><li>a<li><p>b</p></ul>
<table><tr><th>name</th><th>dose</th></tr><tr><td></td><td>2 <p>mg</p></td></tr></table><pre>  x = 1
  y</pre><h2>Next</h2>end&#0;&#27;[2J</body></html>"""


def test_html_is_what_a_person_reads_of_it(apart: Apart):
    found = document("a.html", PAGE.encode(), apart=apart)
    assert (found.kind, found.title) == ("html", "T & U")
    assert parts(found) == [
        ("", "prose", "menu\n\n"),
        ("Top heading / Sub", "prose", "Top heading\n\nSub\n\none two, three\nfour\n\n"),
        ("Top heading / Sub", "list", "- a\n- b\n\n"),
        ("Top heading / Sub", "table", "name | dose\n | 2 mg\n\n"),
        ("Top heading / Sub", "code", "  x = 1\n  y\n\n"),
        ("Top heading / Next", "prose", "Next\n\nend\ufffd\ufffd[2J"),
    ]


def test_a_table_that_holds_a_whole_page_is_no_table():
    found = read_html("<table><tr><td><h1>A</h1><p>one</p><p>two</p></td><td>three</td></tr></table>")
    assert found.text == "A\n\none\n\ntwothree" or found.text == "A\n\none\n\ntwo\n\nthree"
    assert {section.kind for section in found.sections} == {"prose"}


def test_html_may_say_its_encoding_and_nest_as_deep_as_it_likes(apart: Apart):
    said = '<meta charset="iso-8859-1"><p>café</p>'.encode("latin-1")
    assert document("a.html", said, apart=apart).text == "café"
    deep = "<div>" * 20_000 + "deep"
    assert document("a.html", deep.encode(), apart=apart).text == "deep"


# -- PDF -------------------------------------------------------------------------------------------------------------


def test_a_pdf_has_a_section_for_each_page_with_text(apart: Apart):
    found = document("a.pdf", pdf("First page.", "", "Third page.", title="Notes"), apart=apart)
    assert (found.kind, found.title) == ("pdf", "Notes")
    assert parts(found) == [("page 1", "prose", "First page.\n\n"), ("page 3", "prose", "Third page.\n\n")]


BROKEN = {
    "no text on its 2 pages": pdf("", ""),
    "broken PDF": b"%PDF-1.4\n" + bytes(range(256)) * 4,
    "no PDF, though": b"just words",
    "is empty": b"",
    "pages: expected": pdf(),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_pdf_that_is_broken_or_holds_no_text_says_so(reason: str, apart: Apart):
    with pytest.raises(Unreadable, match=reason):
        document("a.pdf", BROKEN[reason], apart=apart)


def test_a_pdf_that_is_cut_off_or_damaged_ends_in_words_or_in_an_error(apart: Apart):
    whole = pdf(*(f"Page {n} of it" for n in range(5)))
    for at in range(0, len(whole), len(whole) // 12):
        damaged = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        for data in (whole[:at], damaged):
            with contextlib.suppress(Unreadable):
                assert document("a.pdf", data, apart=apart).text


def test_an_encrypted_pdf_says_what_to_do(apart: Apart):
    from io import BytesIO

    from pypdf import PdfReader, PdfWriter

    writer, out = PdfWriter(PdfReader(BytesIO(pdf("secret")))), BytesIO()
    writer.encrypt("password", algorithm="RC4-128")
    writer.write(out)
    with pytest.raises(Unreadable, match="without a password"):
        document("a.pdf", out.getvalue(), apart=apart)


@pytest.mark.slow
def test_a_file_that_unpacks_to_no_end_is_given_up(apart: Apart):
    bomb = zlib.compress(b"\0" * (1 << 28), 9)
    head, stream = b"<< /Filter /FlateDecode /Length %d >>" % len(bomb), b"stream\n%s\nendstream" % bomb
    data = re.sub(rb"<< /Length \d+ >>\nstream.*?endstream", lambda _: head + stream, pdf("x"), flags=re.DOTALL)
    assert len(data) > 200_000
    with pytest.raises(Unreadable):
        document("a.pdf", data, apart=apart)
    assert document("a.pdf", pdf("still there"), apart=apart).text == "still there\n\n"


# -- apart -----------------------------------------------------------------------------------------------------------


def test_what_takes_too_long_is_stopped_and_the_next_file_is_read():
    with Apart(seconds=1) as apart:
        started = time.monotonic()
        with pytest.raises(Unreadable, match="more than 1 seconds"):
            document("a.html", b"<a " * 60_000, apart=apart)  # quadratic in Python's own parser
        assert time.monotonic() - started < 10
        assert document("b.html", b"<p>read", apart=apart).text == "read"


def test_a_reader_that_was_killed_is_begun_anew():
    with Apart(seconds=20) as apart:
        assert document("a.html", b"<p>one", apart=apart).text == "one"
        assert apart.child
        apart.child.kill()
        assert document("a.html", b"<p>two", apart=apart).text == "two"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system does not show a process's environment")
def test_what_reads_a_strangers_file_does_not_hold_the_keys(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-strangers")
    with Apart(seconds=20) as apart:
        assert document("a.html", b"<p>one", apart=apart).text == "one"
        assert apart.child
        assert b"not-for-strangers" not in Path(f"/proc/{apart.child.pid}/environ").read_bytes()


def test_nothing_is_imported_from_the_folder_that_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("json", "bs4", "thoughtgraph"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    with Apart(seconds=20) as apart:
        assert document("a.html", b"<p>one", apart=apart).text == "one"
    assert not (tmp_path / "ran").exists()


# -- Python and other text -------------------------------------------------------------------------------------------

CODE = '''"""What it does."""

import os


# It adds.
@cached
def add(a, b):
    return a + b


class A:
    x = 1

    def run(self):
        pass


y = 2
'''


def test_python_has_a_section_for_each_class_and_function():
    found = document("a.py", CODE.encode())
    assert (found.text, found.kind, found.title) == (CODE, "code", "What it does.")
    assert [(path, text.split("\n")[0]) for path, _, text in parts(found)] == [
        ("", '"""What it does."""'),
        ("add", "# It adds."),
        ("A", "class A:"),
        ("A / run", "    def run(self):"),
        ("", "y = 2"),
    ]


@pytest.mark.parametrize("code", ["def f(:\n", "x = " + "(" * 500 + ")" * 500, "'\\d'\n", "x = 1\x00\n", "# only\n"])
def test_python_that_does_not_parse_is_still_text(code: str):
    assert document("a.py", code.encode()).kind == "code"


def test_a_table_and_code_are_known_by_their_names():
    assert document("a.csv", b"a,b\n1,2\n").sections[0].kind == "table"
    assert [document(f"a.{end}", b"x").kind for end in ("sql", "JSON", "txt", "rst", "unknown")] == [
        "code", "code", "text", "text", "text",
    ]  # fmt: skip


# -- encodings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_at_the_beginning_says_the_encoding(encoding: str):
    assert document("a.txt", "naïve 中文".encode(encoding)).text == "naïve 中文"
    assert document("a.txt", codecs.BOM_UTF16_BE + "naïve".encode("utf-16-be")).text == "naïve"


def test_a_byte_that_is_no_utf_8_is_named_and_never_guessed_at():
    with pytest.raises(Unreadable, match=r"byte 0xe9 at 9 \(line 2\) is no utf-8.*--encoding"):
        document("a.txt", "first\ncafé".encode("latin-1"))
    with pytest.raises(Unreadable, match="byte 0x00 at 6"):
        document("a.txt", "hé".encode("utf-16") + b"\0")


@pytest.mark.parametrize(
    "said",
    [
        "<META CHARSET=ISO-8859-1><p>café",
        '<meta http-equiv="Content-Type" content="text/html; charset=latin-1"><p>café',
        "<?xml version='1.0' encoding='iso-8859-1'?><p>café",
    ],
)
def test_a_page_says_its_encoding_in_its_own_place(said: str, apart: Apart):
    assert document("a.html", said.encode("latin-1"), apart=apart).text == "café"


@pytest.mark.parametrize(
    "said",
    [
        '<script charset="iso-8859-1"></script><p>café',
        "<p hidden>charset=latin-1</p>café",
        "<meta charset=utf-16><p>café",  # what was read byte by byte is not UTF-16
        "<meta charset=utf-16><p> café",  # at an even and at an odd length
    ],
)
def test_what_a_page_says_of_other_things_is_not_its_encoding(said: str, apart: Apart):
    assert document("a.html", said.encode(), apart=apart).text.endswith("café")


def test_python_says_its_encoding_in_a_comment_on_its_first_two_lines():
    said = "#!/bin/python\n# -*- coding: latin-1 -*-\nx = 'é'\n"
    assert document("a.py", said.encode("latin-1")).text == said
    others = ("'''\n# coding: latin-1\n'''\nx = 'é'\n", "x = 1\n# coding: latin-1\ny = 'é'\n", "encoding=latin1\n# é")
    for said in others:
        assert document("a.py", said.encode()).text == said


def test_a_named_encoding_is_taken_strictly():
    assert document("a.txt", "café".encode("cp1252"), encoding="cp1252").text == "café"
    with pytest.raises(Unreadable, match="byte 0x81 at 0"):
        document("a.txt", b"\x81", encoding="cp1252")


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", "", "zip"])
def test_an_encoding_that_is_none_is_refused(name: str):
    with pytest.raises(TaskError, match="no encoding"):
        known_encoding(name)


def test_characters_that_steer_terminals_are_replaced():
    assert document("a.txt", b"a\x00b\x1b[31mc\r\nd" + b" and a good many words more").text.startswith(
        "a\ufffdb\ufffd[31mc\nd"
    )


@pytest.mark.parametrize("data", [bytes(range(256)), b"\x89PNG\r\n\x1a\n", b"PK\x03\x04docx", b"\x7fELF", b"a\0b\0c\0"])
def test_what_is_binary_is_no_text(data: bytes):
    with pytest.raises(Unreadable, match="binary"):
        document("a.txt", data)
    with pytest.raises(Unreadable, match="binary"):
        document("a.txt", data, encoding="latin-1")


@pytest.mark.parametrize("data", [b"", b"  \n\t\n", codecs.BOM_UTF8])
def test_what_is_empty_is_no_document(data: bytes):
    with pytest.raises(Unreadable, match="empty"):
        document("a.txt", data)


# -- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_read_by_its_own_name_or_another(tmp_path: Path):
    (tmp_path / "a.md").write_text("# A\ntext")
    assert read(tmp_path / "a.md").name == "a.md"
    assert read(tmp_path / "a.md", name="notes/a.md").title == "A"


def test_two_gigabytes_are_refused_before_they_are_read(tmp_path: Path):
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(Unreadable, match="too large \\(2,147,483,648 bytes, expected at most 50,000,000\\)"):
        read(tmp_path / "huge.txt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes among files here")
def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable, match="a pipe, and no file"):
        read(tmp_path / "pipe")


def test_what_is_no_file_says_so(tmp_path: Path):
    with pytest.raises(Unreadable, match="a folder, and no file"):
        read(tmp_path)
    with pytest.raises(Unreadable, match="not there"):
        read(tmp_path / "none")
