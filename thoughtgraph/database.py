"""One SQLite file of ours: looked at before anything is written, made by one of many who try, its errors in words."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from thoughtgraph.errors import StoreError

PATIENCE = 30.0
"""How long another process may keep a file locked, in seconds."""

DAMAGE = (
    "malformed", "not a database", "does not read", "decode to UTF-8", "vtable constructor failed",
    "unsupported file format",
)  # fmt: skip
"""Words in an error that tell of damage."""

EMPTY = "SELECT * FROM pragma_application_id, pragma_user_version, (SELECT count(*) FROM sqlite_master)"
PAGES = "SELECT * FROM pragma_page_size, pragma_page_count"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is, how one is made, and what its errors say.

    `name` stands in errors after "the", and `ours` after "is not". `application` and `version` are the file's
    `application_id` and `user_version`: a file of another kind or version is refused, never guessed at. `schema` holds
    statements with ";" between them, `pragmas` what each connection that writes begins with; `later` are statements
    that give an older file of the same version what came since, and change nothing in a newer one. What to do: `free`
    where a file cannot be used, `spare` where it is damaged, `old` where it is of another version, and `other` where it
    is not ours.
    """

    name: str
    ours: str
    application: int
    version: int
    schema: str
    pragmas: tuple[str, ...]
    free: str
    spare: str
    other: str
    old: str = "open it with the thoughtgraph that wrote it"
    later: tuple[str, ...] = ()

    def opened(self, path: Path) -> sqlite3.Connection:
        """A connection that writes to the file, sound and of this kind; made, for its owner's eyes only, if need be.

        `StoreError` if it cannot be had, and then the file is as it was. Where two make it at the same moment, SQLite
        refuses one at once instead of letting it wait: it begins again.
        """
        latest = time.monotonic() + PATIENCE
        with self.speaking(path):
            while True:
                try:
                    return self._once(path)
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > latest:
                        raise
                    time.sleep(0.01)

    def memory(self) -> sqlite3.Connection:
        """The same in memory, and gone with the process."""
        return self._prepared(_connected(":memory:"))

    def reader(self, path: Path) -> sqlite3.Connection:
        """A connection that only reads a file which is there.

        Even that needs a working file beside a WAL database. Where none can be made (a disk that is read-only) and
        nobody has left a WAL, all there is stands in the file itself, and nobody can change it: it is read as it is.
        """
        db = _connected(f"{path.absolute().as_uri()}?mode=ro")
        try:
            db.execute("PRAGMA schema_version").fetchone()
        except sqlite3.DatabaseError as error:
            db.close()
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or _wal(path):
                raise
            return _connected(f"{path.absolute().as_uri()}?mode=ro&immutable=1")
        return db

    def look(self, path: Path) -> bool:
        """Refuse what is damaged or not of this kind, from a connection that only reads; False where nothing is yet."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(
                self._cannot(path, "it is a folder" if stat.S_ISDIR(found.st_mode) else "it is no plain file")
            )
        if 0 < found.st_size < 512:  # SQLite's smallest page: it would take less for an empty file, and write there
            raise StoreError(self._foreign(path))
        if not found.st_size:
            return False
        with contextlib.closing(self.reader(path)) as db:
            db.execute("BEGIN")  # one view of the file, whatever others do to it meanwhile
            return self._examined(path, db)

    @contextlib.contextmanager
    def speaking(self, path: str | os.PathLike[str] | None) -> Generator[None, None, None]:
        """SQLite's and the system's errors as `StoreError`, in words that say what to do.

        What is read within, and is neither text nor JSON where it should be, counts as damage.
        """
        try:
            yield
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise self.damaged(path, error) from error
        except sqlite3.DatabaseError as error:
            raise StoreError(self.wrong(path, error)) from error
        except OSError as error:
            raise StoreError(self._cannot(path, error)) from error

    def real(self, path: str | os.PathLike[str]) -> Path:
        """A path by which all know the same file: absolute, "~" and links followed. `StoreError` where it is none."""
        try:
            return Path(os.path.realpath(Path(path).expanduser()))
        except (OSError, ValueError, RuntimeError) as error:
            raise StoreError(self._cannot(path, error)) from error

    def damaged(self, path: str | os.PathLike[str] | None, found: object) -> StoreError:
        """The error for a file in which something does not read."""
        said = " ".join(str(found).split())
        return StoreError(f"the {self.name} {path or 'in memory'} is damaged ({said}): {self.spare}, or {self.other}")

    def erase(self, db: sqlite3.Connection, path: str | os.PathLike[str] | None) -> None:
        """Write a file anew, without the pages and the WAL in which something that was deleted may still stand.

        `StoreError` where another process keeps reading it, who may need them: then it is to be done again.
        """
        db.execute("VACUUM").fetchall()
        if db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise StoreError(
                f"what was deleted from the {self.name} {path} may still stand in {path}-wal, for somebody reads there "
                "at this moment: wait for that to end, and do this again"
            )

    def _once(self, path: Path) -> sqlite3.Connection:
        self.look(path)
        with contextlib.suppress(FileExistsError):  # SQLite gives its own files beside it the same permissions
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        db = self._prepared(_connected(f"{path.absolute().as_uri()}?mode=rw"))
        if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            db.close()
            raise StoreError(f"the {self.name} {path} lies where SQLite cannot keep a WAL: name a file on a local disk")
        return db

    def _prepared(self, db: sqlite3.Connection) -> sqlite3.Connection:
        """The connection, with the tables made where they are not there yet."""
        try:
            for pragma in self.pragmas:
                db.execute(f"PRAGMA {pragma}").fetchall()
            db.execute("BEGIN IMMEDIATE")
            if db.execute("PRAGMA application_id").fetchone()[0] != self.application:
                for statement in filter(str.strip, self.schema.split(";")):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {self.application}")
                db.execute(f"PRAGMA user_version = {self.version}")
            for statement in self.later:
                db.execute(statement)
            db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        return db

    def _examined(self, path: Path, db: sqlite3.Connection) -> bool:
        application, version, made = db.execute(EMPTY).fetchone()
        if application == version == made == 0:
            return False  # another process is making it at this moment, or was killed while it did
        if application != self.application:
            raise StoreError(self._foreign(path))
        if version != self.version:
            raise StoreError(
                f"the {self.name} {path} has version {version}, and this thoughtgraph reads {self.version}: "
                f"{self.old}, or {self.other}"
            )
        page, pages = db.execute(PAGES).fetchone()
        whole = path.stat().st_size >= page * pages or _wal(path)
        said = db.execute("PRAGMA quick_check(1)").fetchone()[0] if whole else "pages are missing at its end"
        if said != "ok":
            raise self.damaged(path, said)
        return True

    def wrong(self, path: str | os.PathLike[str] | None, error: sqlite3.DatabaseError) -> str:
        """What SQLite's error means, in words that say what to do."""
        if any(words in str(error) for words in DAMAGE):
            return str(self.damaged(path, error))
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            return f"the {self.name} {path} is held by another process ({error}): try again when that ends"
        return self._cannot(path, error)

    def _cannot(self, path: str | os.PathLike[str] | None, error: object) -> str:
        return f"the {self.name} {path or 'in memory'} cannot be used ({error}): {self.free}"

    def _foreign(self, path: Path) -> str:
        return f"{path} is not {self.ours}: {self.other}"


def _connected(name: str) -> sqlite3.Connection:
    return sqlite3.connect(name, uri=True, timeout=PATIENCE, check_same_thread=False, isolation_level=None)


def _wal(path: Path) -> bool:
    """Whether there is a WAL that holds something."""
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and wal.stat().st_size > 0
