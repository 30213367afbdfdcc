"""PDF as text, a section for each page: what its writer put in as text, in the order that it stands in the file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from io import BytesIO

from thoughtgraph.errors import TaskError
from thoughtgraph.retrieval.documents import normal
from thoughtgraph.retrieval.outline import Mark, Parsed, outlined, titled

MOST = 20_000
"""Pages of one file: more are a mistake, or meant to last for ever."""


def read_pdf(data: bytes) -> Parsed:
    """The text of its pages; `TaskError` for what is broken, encrypted, or has no text, as scanned pages have none."""
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError
    except ImportError:
        raise TaskError('PDF is read by pypdf: pip install "thoughtgraph[documents]"') from None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it mends is no news to anybody here
    try:
        pdf = PdfReader(BytesIO(data))
        if pdf.is_encrypted and not pdf.decrypt(""):
            raise TaskError("it is encrypted: save a copy without a password, and index that")
        named = pdf.metadata.title if pdf.metadata else None
        if not 0 < len(pdf.pages) <= MOST:
            raise TaskError(f"it is a PDF of {len(pdf.pages)} pages: expected 1 to {MOST}")
        pages = [normal(page.extract_text()).strip() for page in pdf.pages]
        return _paged(pages, titled(normal(named)) if isinstance(named, str) else "")
    except (TaskError, MemoryError):
        raise
    except DependencyError:
        raise TaskError("it is encrypted by a cipher unknown here: save a copy without a password") from None
    except Exception as error:  # noqa: BLE001  # a broken file breaks its reader in any way
        raise TaskError(f"it is a broken PDF ({type(error).__name__}: {titled(str(error))}): save it anew") from None


def _paged(pages: Sequence[str], title: str) -> Parsed:
    marks, parts, length = list[Mark](), list[str](), 0
    for number, page in enumerate(pages, 1):
        if page:
            marks.append(Mark(length, level=1, title=f"page {number}"))
            parts.append(page + "\n\n")
            length += len(page) + 2
    if not parts:
        raise TaskError(f"there is no text on its {len(pages)} pages: scanned pages need to be recognised (OCR) first")
    return Parsed("".join(parts), outlined(marks, length), title)
