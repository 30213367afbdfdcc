"""Files as documents: Markdown, HTML, PDF, code and plain text. What cannot be read says why; nothing is guessed."""

from __future__ import annotations

import codecs
import os
import re
import stat
from pathlib import Path

from thoughtgraph.errors import TaskError
from thoughtgraph.retrieval.apart import READERS, Apart
from thoughtgraph.retrieval.documents import Document, Section, normal
from thoughtgraph.retrieval.outline import Parsed

LARGEST = 50_000_000
"""Bytes that a file may have."""

QUICK = 100_000
"""Bytes of text that are parsed here, and not in a process of their own: it takes a moment at most."""

READ_AS = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd"), "markdown"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    ".pdf": "pdf",
    **dict.fromkeys((".py", ".pyi"), "python"),
    **dict.fromkeys((".csv", ".tsv"), "table"),
    **dict.fromkeys(
        [
            *(
                ".bash",
                ".c",
                ".cc",
                ".cfg",
                ".cpp",
                ".cs",
                ".css",
                ".cu",
                ".f90",
                ".go",
                ".h",
                ".hpp",
                ".ini",
                ".ipynb",
            ),
            *(".java", ".jl", ".js", ".json", ".jsonl", ".jsx", ".kt", ".lua", ".m", ".php", ".pl", ".proto", ".r"),
            *(".rb", ".rs", ".scala", ".sh", ".sql", ".swift", ".toml", ".ts", ".tsx", ".xml", ".yaml", ".yml", ".zig"),
        ],
        "code",
    ),
}
"""How a file is read, by the end of its name; any other is plain text."""

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

SIGNS = {
    b"PK\x03\x04": "a ZIP archive (so are .docx, .xlsx, .odt and .epub): save it as HTML, PDF or text",
    b"\xd0\xcf\x11\xe0": "an old Office file: save it as HTML, PDF or text",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x7fELF": "a program",
    b"\x1f\x8b": "compressed: unpack it",
    b"SQLite format 3": "a database: export its tables as text",
}

DECLARED = {
    "html": re.compile(rb"""<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([A-Z0-9_.-]+)""", re.IGNORECASE),
    "python": re.compile(rb"(?:[ \t\f]*(?:#[^\r\n]*)?\r?\n)?[ \t\f]*#[^\r\n]*?coding[=:][ \t]*([A-Za-z0-9_.-]+)"),
}
"""Where HTML and Python (PEP 263: a comment on the first two lines) say their encoding themselves."""

TRUSTED = re.compile(r"(?:utf-?8|us-ascii|iso-?8859|latin|windows-|cp\d|koi8|shift|euc|gb|big5|mac)", re.IGNORECASE)


WIDE = re.compile(r"(?:utf|ucs)[-_]?(?:16|32|2|4)", re.IGNORECASE)
"""Encodings in which most bytes of a text may be zero."""


class Unreadable(TaskError):
    """A file from which no text can be had; `reason` says why, without its name."""

    def __init__(self, name: object, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = reason


def read(
    path: str | os.PathLike[str],
    *,
    name: str = "",
    encoding: str = "",
    largest: int = LARGEST,
    apart: Apart | None = None,
) -> Document:
    """The file as a document, by the `name` given or its own. `Unreadable` says why it cannot be.

    Text is UTF-8, or what its first bytes or its own words (HTML, Python) say, or the `encoding` that you name; where
    it turns out not to be, that is an error with the place, and no guess. Nothing of more than `largest` bytes is
    read. HTML, PDF and what is long are parsed `apart`.
    """
    return document(name or Path(path).name, bytes_of(path, largest), encoding=encoding, apart=apart)


def document(name: str, data: bytes, *, encoding: str = "", apart: Apart | None = None) -> Document:
    """The same for a file's bytes, by the name that they stand under."""
    how = read_as(name)
    how = "pdf" if data.startswith(b"%PDF-") else how
    try:
        found = _parsed(how, data, encoding, apart)
    except TaskError as error:
        raise Unreadable(name, str(error)) from None
    if not found.text.strip():
        raise Unreadable(name, "it is empty: there is no text in it" if data else "it is empty")
    kind = how if how in ("markdown", "html", "pdf") else "text" if how in ("text", "table") else "code"
    return Document(name, found.text, kind, found.title, sections=found.sections)


def read_as(name: str) -> str:
    """How a file of this name is read: markdown, html, pdf, python, table, code or text."""
    return READ_AS.get(Path(name).suffix.lower(), "text")


def _parsed(how: str, data: bytes, encoding: str, apart: Apart | None) -> Parsed:
    if how == "pdf":
        if b"%PDF-" not in data[:1024]:
            raise TaskError("it is empty" if not data else "it is no PDF, though its name says so: save it anew")
        return _apart(how, data, apart)
    text = normal(decoded(data, encoding or _declared(how, data)))
    if how == "html" or (how in READERS and len(text) > QUICK):
        return _apart(how, text.encode(), apart)
    if how in READERS:
        return READERS[how](text.encode())
    return Parsed(text, (Section(0, len(text), (), "table"),) if how == "table" and text else ())


def _apart(how: str, data: bytes, apart: Apart | None) -> Parsed:
    if apart:
        return apart(how, data)
    with Apart() as own:
        return own(how, data)


def decoded(data: bytes, encoding: str = "") -> str:
    """Bytes as text, strictly: by the mark that they begin with, else by `encoding`, else as UTF-8."""
    mark, marked = next(((bom, name) for bom, name in BOMS if data.startswith(bom)), (b"", ""))
    name = marked or encoding or "utf-8"
    if not WIDE.match(name):
        _textual(data)
    try:
        text = data[len(mark) :].decode(name)
        _textual(text[:65536].encode(errors="replace"))
        return text
    except UnicodeDecodeError as error:
        at = len(mark) + error.start
        line = data.count(b"\n", 0, at) + 1
        raise TaskError(
            f"byte 0x{data[at]:02x} at {at} (line {line}) is no {name}: expected {name} throughout; save it as UTF-8, "
            "or name its encoding, as in --encoding latin-1"
        ) from None


def known_encoding(name: str) -> str:
    """An encoding's name as it was given; `TaskError` where there is none of that name."""
    try:
        b"a".decode(name)
    except UnicodeDecodeError:
        pass  # one that takes more bytes than one
    except (LookupError, ValueError):
        raise TaskError(f"there is no encoding {name!r:.80}: expected one such as utf-8, latin-1, cp1252") from None
    return name


def _declared(how: str, data: bytes) -> str:
    """What the file says itself, if it is one of the encodings that people use.

    UTF-16 is none of them: where its name can be read byte by byte, it is not what the file is in.
    """
    where = DECLARED.get(how)
    found = where and (where.search(data, 0, 1024) if how == "html" else where.match(data, 0, 1024))
    name = found[1].decode() if found else ""
    if not TRUSTED.match(name):
        return ""
    try:
        return "cp1252" if codecs.lookup(name).name == "iso8859-1" else known_encoding(name)  # as browsers read it
    except (LookupError, TaskError):
        return ""


def _textual(data: bytes) -> None:
    """`TaskError` for what is no text: it begins as other things do, or has many characters that texts have not.

    Some encodings make a text of whatever there is, so that a picture is read as words that nobody wrote.
    """
    sign = next((what for sign, what in SIGNS.items() if data.startswith(sign)), "")
    head = data[:65536]
    odd = len(head) - len(head.translate(None, bytes([*range(7), 14, 15, *range(16, 27), *range(28, 32), 127])))
    if sign or odd > max(2, 0.05 * len(head)):
        hint = "; if it is text in UTF-16, name that, as in --encoding utf-16-le" if b"\0" in head and not sign else ""
        raise TaskError(f"it is binary, {sign or 'and no text'}{hint}")


def bytes_of(path: str | os.PathLike[str], largest: int = LARGEST) -> bytes:
    """A file's bytes; `Unreadable` for what is no file, may not be read or is too large, before any of it is read."""
    try:
        _regular(path, Path(path).stat(), largest)
        with open(os.open(path, FLAGS), "rb") as file:  # noqa: PTH123
            _regular(path, os.fstat(file.fileno()), largest)  # it may be another by now
            data = file.read(largest + 1)
    except OSError as error:
        raise Unreadable(path, why(error)) from None
    if len(data) > largest:
        raise Unreadable(path, f"it grew beyond {largest} bytes while it was read")
    return data


FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""A pipe that took the file's place would wait for its writer."""


def _regular(path: object, found: os.stat_result, largest: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable(path, f"it is {WHATS.get(stat.S_IFMT(found.st_mode), 'something else')}, and no file")
    if found.st_size > largest:
        raise Unreadable(
            path, f"it is too large ({found.st_size:,} bytes, expected at most {largest:,}): split it, or allow more"
        )


WHATS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def why(error: OSError) -> str:
    """What the system says about a file, in words."""
    if isinstance(error, FileNotFoundError):
        return "it is not there, or vanished meanwhile"
    if isinstance(error, PermissionError):
        return "it may not be read: its owner can allow it, as in chmod u+r"
    return f"it cannot be read ({error.strerror or type(error).__name__})"
