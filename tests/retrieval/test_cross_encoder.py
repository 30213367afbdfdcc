"""`CrossEncoder`: a tiny one of random weights, made here, against a pass by hand through the same weights."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from thoughtgraph.errors import ModelError, TaskError
from thoughtgraph.retrieval.cross_encoder import CrossEncoder
from thoughtgraph.retrieval.resident import NEEDS

HERE = all(find_spec(package) for package in NEEDS)
needed = [pytest.mark.optional, pytest.mark.skipif(not HERE, reason="sentence-transformers is not installed")]

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "who", "feeds", "the", "cat", "ada", "bo", "sleeps", "at", "night", "in", "ship"]
QUERY = "who feeds the cat"
TEXTS = [
    "ada feeds the cat at night",
    "the ship sleeps",
    "who sleeps",
    "bo feeds the cat in the ship at night the cat sleeps",
    "ada",
]


@pytest.mark.skipif(HERE, reason="sentence-transformers is installed")
def test_without_its_packages_it_says_what_to_install():
    with pytest.raises(TaskError, match=r'pip install "thoughtgraph\[dense\]"'):
        CrossEncoder("somewhere")


def made(place: Path, kind: str = "BertForSequenceClassification", labels: int = 1, limit: int = 24) -> str:
    """A folder with a BERT of two small layers, and a tokenizer of words."""
    import torch
    import transformers
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    words.post_processor = TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends)
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=limit, **names)
    tokenizer.save_pretrained(place)
    torch.manual_seed(5)
    shape = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=limit, initializer_range=0.6, num_labels=labels, pad_token_id=0,
    )  # fmt: skip
    getattr(transformers, kind)(shape).eval().save_pretrained(place)
    return str(place)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made(tmp_path_factory.mktemp("models") / "judge")


def by_hand(folder: str, texts: Sequence[str]) -> list[float]:
    """One pair at a time, with no padding, through transformers alone."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.inference_mode():
        return [float(model(**tokenizer(QUERY, text, return_tensors="pt")).logits) for text in texts]


class TestJudge:
    pytestmark = needed

    async def test_its_scores_are_the_logits_of_each_pair(self, folder: str):
        judge = CrossEncoder(folder, batch=2)
        found = await judge(QUERY, TEXTS)
        assert found == pytest.approx(by_hand(folder, TEXTS), abs=1e-5)
        assert len({round(score, 3) for score in found}) == len(TEXTS)
        assert (judge.name, judge.usage.texts, judge.usage.cut) == ("local:judge", 5, 0)

    async def test_a_text_has_the_score_that_it_has_alone(self, folder: str):
        judge = CrossEncoder(folder)
        alone = [(await judge(QUERY, [text]))[0] for text in TEXTS]
        assert await judge(QUERY, TEXTS[::-1]) == pytest.approx(alone[::-1], abs=1e-5)

    async def test_nothing_to_judge_loads_nothing(self):
        assert await CrossEncoder("nobody/has-this-model")(QUERY, []) == []

    async def test_what_is_cut_is_told_once_and_counted(self, folder: str):
        judge = CrossEncoder(folder)
        with pytest.warns(UserWarning, match="1 of 2 texts are longer than the 24 tokens that local:judge reads"):
            long, _ = await judge(QUERY, ["the cat " * 20, "ada"])
        again = await judge(QUERY, ["the cat " * 20])
        assert (again, judge.usage.cut) == ([pytest.approx(long, abs=1e-5)], 2)

    async def test_several_at_once_are_judged_one_after_the_other(self, folder: str):
        judge = CrossEncoder(folder)
        one, two = await asyncio.gather(judge(QUERY, TEXTS), judge(QUERY, TEXTS[:2]))
        assert one[:2] == pytest.approx(two, abs=1e-5)

    async def test_a_model_without_a_head_is_refused_and_none_is_drawn_at_random(self, tmp_path: Path):
        folder = made(tmp_path / "bare", kind="BertModel")
        with pytest.raises(ModelError, match=r"lacks the weights .*classifier"):
            await CrossEncoder(folder)(QUERY, TEXTS)

    async def test_a_model_of_several_classes_does_not_rank(self, tmp_path: Path):
        with pytest.raises(TaskError, match="tells 3 classes apart"):
            await CrossEncoder(made(tmp_path / "three", labels=3))(QUERY, TEXTS)

    async def test_scores_that_are_not_finite_are_an_error(self, tmp_path: Path):
        from safetensors.torch import load_file, save_file

        folder = made(tmp_path / "odd")
        weights = load_file(Path(folder) / "model.safetensors")
        weights["classifier.bias"] += float("nan")
        save_file(weights, Path(folder) / "model.safetensors", {"format": "pt"})
        with pytest.raises(ModelError, match="not finite"):
            await CrossEncoder(folder)(QUERY, TEXTS)

    async def test_one_text_is_not_judged_letter_by_letter(self, folder: str):
        with pytest.raises(TaskError, match="expected a list of texts"):
            await CrossEncoder(folder)(QUERY, "the cat")

    async def test_it_is_a_judge_for_reranked(self, folder: str):
        from thoughtgraph.retrieval.rerank import Reranked
        from thoughtgraph.thought import Passage

        async def found(query: str, k: int) -> list[Passage]:
            return [Passage(text) for text in TEXTS][:k]

        scores: dict[str, Any] = dict(zip(TEXTS, by_hand(folder, TEXTS), strict=True))
        ranked = await Reranked(found, CrossEncoder(folder))(QUERY, 3)
        assert [passage.text for passage in ranked] == sorted(TEXTS, key=scores.__getitem__)[::-1][:3]
