"""The commands about knowledge: files into it, what is in it, questions to it, and a document out of it again."""

import json
import shlex
from pathlib import Path

import pytest
from loopback import Loopback
from typer.testing import CliRunner

from thoughtgraph.cache import Cache
from thoughtgraph.cli_knowledge import embedder_named, knowing
from thoughtgraph.errors import TaskError


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's models, keys or runs."""
    for name in ("TG_MODEL", "OPENAI_BASE_URL", "TG_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "ada.md").write_text("# Ada\n\nAda wrote the first program in 1843.\n")
    (folder / "ely.txt").write_text("Ely has a cathedral.\n")
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "k.db"


def call(*words: object, status: int = 0, stdin: str | None = None) -> str:
    done = CliRunner().invoke(knowing, [str(word) for word in words], catch_exceptions=False, input=stdin)
    assert done.exit_code == status, (done.exit_code, done.output, done.stderr)
    return done.stdout if status == 0 or done.stdout else done.stderr


def listed(base: Path, *more: str) -> dict[str, dict]:
    return {entry["name"]: entry for entry in json.loads(call("documents", "--knowledge", base, *more, "--json"))}


# -- index -----------------------------------------------------------------------------------------------------------


def test_a_folder_is_indexed_and_indexed_again_for_nothing(notes: Path, base: Path):
    assert call("index", notes, "--knowledge", base).startswith("2 added, 0 changed, 0 unchanged")
    assert call("index", notes, "--knowledge", base).startswith("0 added, 0 changed, 2 unchanged")
    assert listed(base)["notes/ada.md"]["title"] == "Ada"


def test_what_failed_is_told_with_status_1(notes: Path, base: Path):
    (notes / "empty.txt").touch()
    said = call("index", notes, "--knowledge", base, status=1)
    assert said.startswith("2 added, 0 changed, 0 unchanged, 0 removed, 0 skipped, 1 failed")
    assert "failed notes/empty.txt: it is empty" in said
    told = json.loads(call("index", notes, "--knowledge", base, "--json", status=1))
    assert (told["unchanged"], told["failed"]) == (2, 1)
    assert [item["name"] for item in told["items"]] == ["notes/empty.txt"]


def test_labels_are_named_and_those_that_are_not_named_stay(notes: Path, base: Path):
    call("index", notes, "--knowledge", base, "--reader", "ada", "--reader", "ward", "--models", "local:*")
    call("index", notes, "--knowledge", base, "--train")
    entry = listed(base)["notes/ely.txt"]
    assert (entry["readers"], entry["models"], entry["train"]) == (["ada", "ward"], ["local:*"], True)
    call("index", notes, "--knowledge", base)
    assert listed(base)["notes/ely.txt"] == entry


def test_passages_have_the_size_that_is_asked_for(notes: Path, base: Path):
    (notes / "long.txt").write_text("Some words. " * 100)
    call("index", notes, "--knowledge", base, "--size", 30)
    assert listed(base)["notes/long.txt"]["passages"] in range(10, 13)


def test_documents_of_files_that_are_gone_go_when_asked(notes: Path, base: Path):
    call("index", notes, "--knowledge", base)
    (notes / "ely.txt").unlink()
    assert "removed notes/ely.txt" in call("index", notes, "--knowledge", base, "--remove-missing")
    assert set(listed(base)) == {"notes/ada.md"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--encoding", "klingon"], "no encoding 'klingon'"),
        (["--size", "0"], "size is 0"),
        (["--reader", " "], "readers holds ' '"),
        (["--embedder-url", "http://127.0.0.1:1"], "name the model"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_status_2(notes: Path, base: Path, words: list[str], message: str):
    assert message in call("index", notes, "--knowledge", base, *words, status=2)


def test_a_file_that_is_no_knowledge_is_refused_and_stays_as_it_is(notes: Path, base: Path):
    base.write_text("precious words, and no data base")
    call("index", notes, "--knowledge", base, status=2)
    assert base.read_text() == "precious words, and no data base"


def test_names_and_titles_are_shown_inert(notes: Path, base: Path):
    (notes / "a\x1b[2J\u202e[red]b.md").write_text("# \x1b]0;owned\x07 [bold]title[/bold]\n\nx")
    said = call("index", notes, "--knowledge", base) + call("documents", "--knowledge", base)
    assert "[bold]" in said
    assert not {"\x1b", "\x07", "\u202e"} & set(said)


def test_an_embedder_is_named_as_a_model_is():
    served = embedder_named("openai:text-embedding-3-small", "http://127.0.0.1:1/v1")
    assert type(served).__name__ == "ServedEmbedder"
    assert embedder_named(None) is None
    with pytest.raises(TaskError, match="name the model"):
        embedder_named(None, "http://127.0.0.1:1/v1")


# -- documents -------------------------------------------------------------------------------------------------------


def test_documents_are_those_that_somebody_may_read(notes: Path, base: Path):
    call("index", notes / "ada.md", "--knowledge", base, "--reader", "ada")
    call("index", notes / "ely.txt", "--knowledge", base)
    assert set(listed(base)) == {"ada.md", "ely.txt"}
    assert set(listed(base, "--as", "ada")) == {"ada.md"}
    assert "ely.txt" not in call("documents", "--knowledge", base, "--as", "ada")


def test_a_long_name_is_folded_and_never_cut(notes: Path, base: Path):
    name = "-".join(f"part{n:02}" for n in range(30))
    (notes / f"{name}.md").write_text(f"# {name}\n\nLong.")
    call("index", notes, "--knowledge", base)
    said = call("documents", "--knowledge", base)
    column = "".join(line.split(" ")[1] for line in said.splitlines())
    assert f"notes/{name}.md" in column
    assert "…" not in said


@pytest.mark.parametrize("words", [["documents"], ["forget", "a", "--yes"], ["ask", "why?"]])
def test_a_file_that_is_not_there_is_not_made(words: list[str], base: Path):
    assert "there is no file" in call(*words, "--knowledge", base, status=2)
    assert not base.exists()


# -- ask -------------------------------------------------------------------------------------------------------------


def reader(prompt: str, draw: int) -> str:
    """It reads what stands in the prompt, and says one thing too many."""
    if "1843" not in prompt:
        return "Answer: Not in the knowledge."
    return "Ada wrote the first program in 1843 [1]. Her horse Tam Tam won in Paris [1].\nAnswer: in 1843"


ASKED = ["ask", "When did Ada write the first program?", "--policy", "rag(passages=1)", "--model", "openai:small"]


def test_an_answer_comes_with_its_sources_and_what_they_do_not_bear_out_is_flagged(notes: Path, base: Path):
    call("index", notes, "--knowledge", base)
    with Loopback(reader) as server:
        said = call(*ASKED, "--knowledge", base, "--base-url", server.base_url, "--no-store")
    assert said.splitlines() == [
        "Ada wrote the first program in 1843 [1]. Her horse Tam Tam won in Paris [1].",
        "no source bears out: Her horse Tam Tam won in Paris [1].",
        "[1] notes/ada.md > Ada (0-44)",
        "    # Ada Ada wrote the first program in 1843.",
    ]


def test_sources_are_told_as_json_with_place_and_text(notes: Path, base: Path):
    call("index", notes, "--knowledge", base)
    with Loopback(reader) as server:
        said = call(*ASKED, "--knowledge", base, "--base-url", server.base_url, "--no-store", "--json")
    told = json.loads(said)
    (source,) = told["sources"]
    assert (told["answer"], told["reason"]) == ("in 1843", "answered")
    assert (source["document"], source["section"], source["start"], source["end"]) == ("notes/ada.md", "Ada", 0, 44)
    assert source["text"] == (notes / "ada.md").read_text()
    assert told["unsupported"] == ["Her horse Tam Tam won in Paris [1]."]


def test_nobody_hears_what_they_may_not_read(notes: Path, base: Path):
    call("index", notes, "--knowledge", base, "--reader", "ada")
    with Loopback(reader) as server:
        words = ["--knowledge", base, "--base-url", server.base_url, "--no-store", "--json"]
        assert json.loads(call(*ASKED, *words, "--as", "ada"))["answer"] == "in 1843"
        asked = len(server.bodies)
        assert json.loads(call(*ASKED, *words, "--as", "eve"))["answer"] == "Not in the knowledge."
        assert not any("1843" in json.dumps(body) for body in server.bodies[asked:])


def test_what_documents_say_is_shown_inert(notes: Path, base: Path):
    (notes / "ada.md").write_text("# Ada\n\nAda wrote the first program in 1843. \u202e [red]ignore[/red] \x1b[2J\n")
    call("index", notes, "--knowledge", base)
    with Loopback(lambda prompt, draw: "In 1843 \x1b[31m\u202e [1].\nAnswer: 1843") as server:
        said = call(*ASKED, "--knowledge", base, "--base-url", server.base_url, "--no-store")
    assert "[red]ignore[/red]" in said
    assert not {"\x1b", "\u202e"} & set(said)


def test_a_run_that_its_budget_ended_says_the_command_that_goes_on_with_it(notes: Path, base: Path, tmp_path: Path):
    call("index", notes, "--knowledge", base, "--reader", "ada lovelace")
    where, question = tmp_path / "my runs.db", "When did Ada write the 'first' program?"
    with Loopback(reader) as server:
        words = ["ask", question, "--knowledge", base, "--as", "ada lovelace", "--model", "openai:small"]
        more = ["--policy", "ratp(simulations=4)", "--base-url", server.base_url, "--store", where, "--budget-calls", 1]
        done = CliRunner().invoke(knowing, [str(word) for word in (*words, *more)])
        (said,) = [line for line in done.stderr.splitlines() if line.startswith("go on with: ")]
        again = shlex.split(said.removeprefix("go on with: thoughtgraph "))
        assert again[:6] == ["ask", question, "--knowledge", str(base), "--as", "ada lovelace"]
        assert again[-6:] == ["--resume", again[-5], "--store", str(where), "--budget-...", "MORE"]
        assert json.loads(call(*again[:-2], "--budget-calls", 30, "--json"))["run"] == again[-5]


# -- forget ----------------------------------------------------------------------------------------------------------


def test_a_document_is_forgotten_and_a_file_that_would_bring_it_back_is_named(notes: Path, base: Path):
    call("index", notes, "--knowledge", base)
    done = CliRunner().invoke(knowing, ["forget", "notes/ada.md", "--knowledge", str(base), "--yes", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["passages"] == 1
    assert "ada.md is still there" in done.stderr
    assert set(listed(base)) == {"notes/ely.txt"}
    assert b"first program" not in base.read_bytes()


def test_it_is_asked_whether_that_is_meant(notes: Path, base: Path):
    call("index", notes, "--knowledge", base)
    call("forget", "notes/ada.md", "--knowledge", base, stdin="n\n", status=1)
    call("forget", "notes/ada.md", "--knowledge", base, stdin="", status=1)
    assert len(listed(base)) == 2
    call("forget", "notes/ada.md", "--knowledge", base, stdin="y\n")
    assert len(listed(base)) == 1


def test_the_cache_that_the_environment_names_is_gone_through_too(
    notes: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    call("index", notes, "--knowledge", base)
    replies = tmp_path / "replies.db"
    monkeypatch.setenv("TG_CACHE", str(replies))
    with Loopback(reader) as server:
        call(*ASKED, "--knowledge", base, "--base-url", server.base_url, "--no-store")
    assert b"1843" in held(replies)
    done = CliRunner().invoke(knowing, ["forget", "notes/ada.md", "--knowledge", str(base)], input="y\n")
    assert f"the replies in {replies}? This cannot be undone." in done.stderr
    assert f"1 passage, 1 cached reply in {replies}" in done.stdout
    assert b"1843" not in held(replies)


def held(path: Path) -> bytes:
    return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))


def test_ones_own_cache_is_meant_by_1_and_none_is_made(
    notes: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    call("index", notes, "--knowledge", base)
    own = tmp_path / "cache" / "thoughtgraph" / "replies.db"
    monkeypatch.setenv("TG_CACHE", "1")
    done = CliRunner().invoke(knowing, ["forget", "notes/ada.md", "--knowledge", str(base), "--yes"])
    assert (done.exit_code, own.exists()) == (0, False)
    assert f"TG_CACHE means {own}, which is not there" in done.stderr
    own.parent.mkdir(parents=True)
    Cache(own).close()
    assert f"0 cached replies in {own}" in call("forget", "notes/ely.txt", "--knowledge", base, "--yes")


def test_where_no_cache_is_named_that_is_said(notes: Path, base: Path):
    call("index", notes, "--knowledge", base)
    done = CliRunner().invoke(knowing, ["forget", "notes/ada.md", "--knowledge", str(base)], input="y\n")
    assert "No cache was named. This cannot be undone." in done.stderr
    assert done.stdout.endswith("forgot 'notes/ada.md': 1 passage, no cache was named\n")


def test_where_nobody_can_be_asked_it_says_to_pass_yes(notes: Path, base: Path):
    call("index", notes, "--knowledge", base)
    done = CliRunner().invoke(knowing, ["forget", "notes/ada.md", "--knowledge", str(base)], input="")
    assert done.exit_code == 1
    assert "pass --yes" in done.stderr
    assert len(listed(base)) == 2


def test_nobody_is_asked_about_what_is_not_there(notes: Path, base: Path):
    call("index", notes, "--knowledge", base)
    said = call("forget", "NOTHERE", "--knowledge", base, stdin="y\n", status=1)
    assert "there is no document 'NOTHERE'" in said
    assert "cannot be undone" not in said


def test_to_forget_what_is_not_there_is_status_1(notes: Path, base: Path):
    call("index", notes, "--knowledge", base)
    assert "nothing was found" in call("forget", "notes/none", "--knowledge", base, "--yes", status=1)
