"""`Transformers`: a tiny model of random weights, made here, read from its folder as any other would be."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from thoughtgraph.errors import ModelError, TaskError, Unauthorized, Unavailable, Unsupported
from thoughtgraph.model import Price, Reply, Request
from thoughtgraph.models import Transformers
from thoughtgraph.models.local import load
from thoughtgraph.prompt import Message
from thoughtgraph.testing import ModelContract

HERE = find_spec("torch") is not None and find_spec("transformers") is not None
WORDS = ["<end>", "<pad>", "say", "one", "word", "two", "and", "yes", "no", "so", "the", "sum", "is", "four"]

needed = [pytest.mark.optional, pytest.mark.skipif(not HERE, reason="torch and transformers are not installed")]


@pytest.mark.skipif(HERE, reason="torch and transformers are installed")
def test_without_its_packages_it_says_what_to_install():
    with pytest.raises(TaskError, match=r"pip install torch transformers"):
        load("hf/someone/something")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a context of 64 words, and its tokenizer."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    place = tmp_path_factory.mktemp("models") / "tiny"
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<pad>")
    tokenizer.save_pretrained(place)
    torch.manual_seed(3)
    shape = GPT2Config(vocab_size=len(WORDS), n_positions=64, n_embd=16, n_layer=1, n_head=2, eos_token_id=0)
    GPT2LMHeadModel(shape).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def model(folder: Path) -> Transformers:
    return Transformers(str(folder), device="cpu")


def ask(text: str = "say one word", **settings) -> Request:
    return Request((Message("user", text),), **{"max_tokens": 8, "timeout": 60, **settings})


async def words(model: Transformers, request: Request, n: int = 1) -> list[list[str]]:
    return [reply.text.split() for reply in (await model(request, n)).replies]


def endless(folder: Path, place: Path, ends: list[int]) -> Transformers:
    """The same model, with other tokens that end a reply, and none that are not to be seen."""
    place.mkdir()
    for file in folder.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    settings = json.loads((folder / "generation_config.json").read_text())
    (place / "generation_config.json").write_text(
        json.dumps({**settings, "eos_token_id": ends, "suppress_tokens": [0, 1]})
    )
    return Transformers(str(place), device="cpu")


class _Contract(ModelContract):
    @pytest.fixture(autouse=True)
    def _here(self, model: Transformers) -> None:
        self.made = model

    def make(self) -> Transformers:
        return self.made


class TestTransformers(_Contract):
    pytestmark = needed


del _Contract


class TestAModelInAFolder:
    pytestmark = needed

    async def test_tokens_are_counted_and_cost_nothing(self, folder: Path, tmp_path: Path):
        model = endless(folder, tmp_path / "endless", [])
        got = await model(ask("say one word"), 2)
        assert (got.prompt_tokens, got.completion_tokens) == (3, 16)
        assert model.price == Price(0, 0)

    async def test_a_reply_that_is_cut_off_says_so(self, folder: Path, tmp_path: Path):
        model = endless(folder, tmp_path / "endless", [])
        assert [reply.finish for reply in (await model(ask(), 3)).replies] == ["length"] * 3

    async def test_a_reply_ends_at_its_end_and_is_counted_to_there(self, folder: Path, tmp_path: Path):
        """The other draws of the batch may go on; what fills the row up is no token."""
        everything = list(range(len(WORDS)))
        got = await endless(folder, tmp_path / "brief", everything)(ask(), 3)
        assert (got.replies, got.completion_tokens) == ((Reply(""),) * 3, 3)

    async def test_draws_of_a_batch_end_each_for_itself(self, folder: Path, tmp_path: Path):
        model = endless(folder, tmp_path / "some", [4, 5, 6])
        got = await model(ask(seed=1, max_tokens=12), 6)
        lengths = {len(reply.text.split()) for reply in got.replies}
        assert len(lengths) > 1
        ended = sum(reply.finish == "stop" for reply in got.replies)
        assert got.completion_tokens == sum(len(reply.text.split()) for reply in got.replies) + ended

    async def test_temperature_0_is_the_likeliest_text_in_each_draw(self, model: Transformers):
        drawn = await words(model, ask(temperature=0), 3)
        assert drawn[0] == drawn[1] == drawn[2]
        assert drawn == await words(model, ask(temperature=0), 3)

    async def test_the_same_seed_draws_the_same(self, model: Transformers):
        first = await words(model, ask(seed=7, temperature=1.0), 3)
        assert first == await words(model, ask(seed=7, temperature=1.0), 3)
        assert len({tuple(draw) for draw in first}) > 1

    async def test_a_seed_leaves_the_numbers_of_others_alone(self, model: Transformers):
        import torch

        torch.manual_seed(1)
        expected = torch.rand(1)
        torch.manual_seed(1)
        await model(ask(seed=7), 1)
        assert torch.rand(1) == expected

    async def test_a_stop_ends_a_reply_and_is_not_in_it(self, folder: Path, tmp_path: Path):
        model = endless(folder, tmp_path / "endless", [])
        [said] = await words(model, ask(seed=11))
        stop = next(word for word in said[1:] if word != said[0])
        got = await model(ask(seed=11, stop=(stop,)), 1)
        assert got.replies[0].text.split() == said[: said.index(stop)]
        assert (got.replies[0].finish, got.completion_tokens) == ("stop", said.index(stop) + 1)

    async def test_more_than_the_context_is_refused_before_it_is_tried(self, model: Transformers):
        with pytest.raises(ModelError) as caught:
            await model(ask("so " * 60), 1)
        assert caught.value.cause == "context too long"

    async def test_a_call_whose_time_is_up_stops(self, folder: Path, tmp_path: Path):
        model = endless(folder, tmp_path / "endless", [])
        await model(ask(), 1)
        with pytest.raises(Unavailable) as caught:
            await model(ask(timeout=0.0), 1)
        assert caught.value.cause == "timeout"
        assert (await model(ask(), 1)).replies

    async def test_several_at_once_wait_for_each_other(self, model: Transformers):
        alone = await words(model, ask(seed=1))
        both = await asyncio.gather(words(model, ask(seed=1)), words(model, ask("no", seed=2)))
        assert both[0] == alone

    async def test_the_template_of_a_chat_model_is_used(self, folder: Path, tmp_path: Path):
        model = endless(folder, tmp_path / "chat", [0])
        template = "{% for m in messages %}{{ m.role }} so so {{ m.content }} {% endfor %}yes"
        (tmp_path / "chat" / "chat_template.jinja").write_text(template)
        assert (await model(ask("say one word"), 1)).prompt_tokens == 7

    async def test_what_it_cannot_take_is_refused_by_name(self, model: Transformers):
        with pytest.raises(Unsupported) as caught:
            await model(ask(logprobs=True), 1)
        assert caught.value.parameter == "logprobs"

    async def test_weights_that_run_code_when_loaded_are_not_read(self, folder: Path, tmp_path: Path):
        model = endless(folder, tmp_path / "pickled", [0])
        (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
        with pytest.raises(ModelError, match=r"model\.safetensors"):
            await model(ask(), 1)

    @pytest.mark.parametrize("name", ["nobody/nothing-at-all", "not a name", "./nowhere"])
    async def test_a_model_that_is_not_here_is_not_fetched(self, name: str):
        with pytest.raises(Unauthorized, match="hf download"):
            await load(f"hf/{name}")(ask(), 1)

    def test_its_name_leads_back_to_it(self, folder: Path):
        made = load(f"hf/{folder}")
        assert made.name == f"local:hf/{folder}"
        assert isinstance(made, Transformers)
