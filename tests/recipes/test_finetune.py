"""Finetune: TRL trains a tiny model on each exported file, offline, and what comes of it is better and loads again."""

from __future__ import annotations

import json
import random
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest

import thoughtgraph as tg
from thoughtgraph.errors import TaskError
from thoughtgraph.learning.export import export
from thoughtgraph.learning.rows import Outcome, Preference, Response, StepTrace
from thoughtgraph.recipes.finetune import conversations, finetune

HERE = all(find_spec(package) is not None for package in ("torch", "transformers", "trl", "datasets"))
needed = [
    pytest.mark.optional,
    pytest.mark.slow,
    pytest.mark.skipif(not HERE, reason="TRL is not installed"),
    pytest.mark.filterwarnings("ignore"),  # those of TRL and what it brings are its own
]

ANIMALS = ("ant", "bee", "cat", "dog", "elk", "fox")
WORDS = ["<end>", "<pad>", "<user>", "<me>", "then", "+", "-", *ANIMALS]
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}<me> {% generation %}{{ m['content'] }} <end>"
    "{% endgeneration %}{% else %}<user> {{ m['content'] }} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<me> {% endif %}"
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model of random weights that knows a dozen words."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    place = tmp_path_factory.mktemp("models") / "tiny"
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<pad>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(place)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(WORDS),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=64,
            eos_token_id=0,
            pad_token_id=1,
            bos_token_id=0,
        )
    ).save_pretrained(place)
    return place


def questions(held_out: bool) -> list[str]:
    """Three animals each; every fifth question is kept for the end."""
    return [" ".join(three) for n, three in enumerate(product(ANIMALS, repeat=3)) if (n % 5 == 0) is held_out]


def answer(question: str) -> str:
    """What is right: the last animal, and then the first."""
    first, _, last = question.split()
    return f"{last} {first}"


def wrong(question: str) -> str:
    first, *_ = question.split()
    return f"{first} {ANIMALS[(ANIMALS.index(first) + 1) % 6]}"


def outcomes() -> list[Outcome]:
    sides = ((answer, 1.0), (wrong, 0.0))
    return [Outcome(question=q, response=Response(text=f(q)), value=v) for q in questions(False) for f, v in sides]


def preferences(others: int = 1) -> list[Preference]:
    """The right answer before a wrong one, or before several drawn at random."""
    pairs = ((q, text) for q in questions(False) for text in ([wrong(q)] if others == 1 else drawn(q, others)))
    return [Preference(question=q, chosen=Response(text=answer(q)), rejected=Response(text=text)) for q, text in pairs]


def drawn(question: str, n: int) -> list[str]:
    """Wrong answers."""
    every = [f"{a} {b}" for a, b in product(ANIMALS, ANIMALS)]
    return random.Random(question).sample([text for text in every if text != answer(question)], n)


def likelihood(folder: Path, said: list[tuple[str, str]]) -> list[float]:
    """The log-likelihood of each completion after its prompt."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    found = []
    for question, completion in said:
        before = tokenizer(f"<user> {question} <me>")["input_ids"]
        ids = torch.tensor([[*before, *tokenizer(f"{completion} <end>")["input_ids"]]])
        with torch.no_grad():
            logs = model(ids).logits.log_softmax(-1)[0, :-1]
        found.append(float(logs.gather(1, ids[0, 1:, None])[len(before) - 1 :].sum()))
    return found


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.fixture(scope="module")
def taught(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model after SFT on right answers."""
    room = tmp_path_factory.mktemp("sft")
    export(outcomes(), room / "sft.jsonl", "sft")
    done = finetune("sft", room / "sft.jsonl", model=tiny, out=room / "model", rate=3e-3, epochs=12, batch=16)
    assert done.lines == len(questions(False))
    return room / "model"


class TestWithTRL:
    pytestmark = needed

    def test_sft_raises_the_likelihood_of_what_was_held_out(self, tiny: Path, taught: Path):
        held = [(question, answer(question)) for question in questions(True)]
        assert mean(likelihood(taught, held)) > mean(likelihood(tiny, held)) + 2

    def test_a_taught_model_loads_back_into_a_policy_and_is_right(self, taught: Path):
        task = tg.Task("cat ant fox", actions={"step": tg.generators.Sample(lambda x, *_: tg.Prompt(problem=x))})
        model = tg.models.Transformers(str(taught), device="cpu", max_tokens=8, temperature=0)
        assert tg.solve(task, policy="direct", model=model).answer == "fox cat"

    def test_no_pickle_is_left_behind(self, taught: Path):
        assert sorted(path.suffix for path in taught.iterdir() if path.suffix not in {".json", ".jinja"}) == [
            ".safetensors"
        ]

    @pytest.mark.parametrize("form", ["dpo", "kto"])
    def test_dpo_and_kto_widen_the_gap_between_right_and_wrong(self, taught: Path, tmp_path: Path, form):
        export(preferences() if form == "dpo" else outcomes(), tmp_path / "f.jsonl", form)
        finetune(form, tmp_path / "f.jsonl", model=taught, out=tmp_path / "model", rate=3e-4, epochs=1, batch=16)

        def gap(folder: Path) -> float:
            sides = [likelihood(folder, [(q, of(q)) for q in questions(True)]) for of in (answer, wrong)]
            return mean(sides[0]) - mean(sides[1])

        assert gap(tmp_path / "model") > gap(taught)

    def test_the_best_of_four_by_a_reward_model_beats_a_random_one_and_it_teaches_by_grpo(
        self, taught: Path, tmp_path: Path
    ):
        export(preferences(4), tmp_path / "r.jsonl", "reward")
        folder = tmp_path / "reward"
        finetune("reward", tmp_path / "r.jsonl", model=taught, out=folder, rate=3e-3, epochs=4, batch=32)
        four = {question: [*drawn(question, 3), answer(question)] for question in questions(True)}
        chosen = [max(texts, key=lambda text: rewarded(folder, q, text)) for q, texts in four.items()]
        right = mean([float(text == answer(q)) for q, text in zip(four, chosen, strict=True)])
        assert right > 0.6  # a random one is right in a quarter
        found = [picked(folder, question, texts) for question, texts in four.items()]
        assert found == chosen  # the same model as the critic of a policy
        export(outcomes(), tmp_path / "g.jsonl", "grpo")
        more = {"num_generations": 4, "max_completion_length": 4, "max_steps": 4}
        out = tmp_path / "model"
        done = finetune("grpo", tmp_path / "g.jsonl", model=taught, out=out, reward=folder, rate=1e-4, settings=more)
        assert done.steps == 4

    def test_a_process_model_tells_right_steps_from_wrong_ones(self, tiny: Path, tmp_path: Path):
        rows = [steps(question, first) for question in questions(False) for first in ANIMALS]
        export(rows, tmp_path / "p.jsonl", "process")
        out = tmp_path / "model"
        finetune("process", tmp_path / "p.jsonl", model=tiny, out=out, rate=3e-3, epochs=2, batch=32)
        held = [(f"{q} {step}", step in ANIMALS[:3]) for q in questions(True) for step in q.split()]
        signs = [likelihood(out, [(asked, "+"), (asked, "-")]) for asked, _ in held]
        right = [(plus > minus) == good for (plus, minus), (_, good) in zip(signs, held, strict=True)]
        assert mean([float(one) for one in right]) > 0.9

    def test_what_is_too_long_is_refused_and_not_cut(self, tiny: Path, tmp_path: Path):
        export(preferences(), tmp_path / "f.jsonl", "dpo")
        with pytest.raises(TaskError, match=r"172 of 172 lines are longer than 6 tokens \(line 1 has 8\)"):
            finetune("dpo", tmp_path / "f.jsonl", model=tiny, out=tmp_path / "model", longest=6)

    def test_settings_that_trl_does_not_know_are_named(self, tiny: Path, tmp_path: Path):
        export(preferences(), tmp_path / "f.jsonl", "dpo")
        with pytest.raises(TaskError, match="colour"):
            finetune("dpo", tmp_path / "f.jsonl", model=tiny, out=tmp_path / "model", settings={"colour": "red"})

    def test_a_reward_model_of_pickled_weights_or_of_somewhere_else_is_refused(self, tiny: Path, tmp_path: Path):
        export(outcomes(), tmp_path / "g.jsonl", "grpo")
        (tmp_path / "reward").mkdir()
        (tmp_path / "reward" / "config.json").write_text((tiny / "config.json").read_text())
        (tmp_path / "reward" / "pytorch_model.bin").write_bytes(b"a pickle")
        for reward in (tmp_path / "reward", "somebody/reward-model"):
            with pytest.raises(TaskError, match=r"holds no model: expected .* weights as safetensors"):
                finetune("grpo", tmp_path / "g.jsonl", model=tiny, out=tmp_path / "model", reward=reward)

    @pytest.mark.parametrize(("form", "reward"), [("grpo", None), ("dpo", "tiny")])
    def test_a_reward_model_belongs_to_grpo(self, tiny: Path, tmp_path: Path, form, reward):
        export(preferences(), tmp_path / "f.jsonl", form)
        folder = reward and tiny
        with pytest.raises(TaskError, match="belongs to grpo"):
            finetune(form, tmp_path / "f.jsonl", model=tiny, out=tmp_path / "model", reward=folder)

    def test_a_folder_that_is_in_use_or_holds_no_model_is_refused(self, tiny: Path, tmp_path: Path):
        export(preferences(), tmp_path / "f.jsonl", "dpo")
        with pytest.raises(TaskError, match="is not empty"):
            finetune("dpo", tmp_path / "f.jsonl", model=tiny, out=tmp_path)
        with pytest.raises(TaskError, match="holds no model"):
            finetune("dpo", tmp_path / "f.jsonl", model=tmp_path, out=tmp_path / "model")


def steps(question: str, first: str) -> StepTrace:
    """A first step, which leads on where it is one of the smaller animals."""
    good = first in ANIMALS[:3]
    return StepTrace(question=question, response=Response(text=first, steps=(first,)), counts=((4 * good, 4),))


def rewarded(folder: Path, question: str, text: str) -> float:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return float(model(**tokenizer(f"<user> {question} <me> {text} <end>", return_tensors="pt")).logits[0, 0])


def picked(folder: Path, question: str, texts: list[str]) -> str:
    """The best of these texts, by the reward model in the folder as a critic."""

    def offered(state: tg.State, n: int) -> list[tg.Draft]:
        return [tg.Draft(text, done=True) for text in texts][:n]

    critic = tg.critics.RewardModel("outcome", tg.critics.LocalReward(str(folder)))
    task = tg.Task(question, {"step": offered}, {"value": critic})
    return tg.solve(task, policy="best_of_n(n=4)", budget=tg.Budget()).answer


# -- what needs no TRL -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(HERE, reason="TRL is installed")
def test_without_trl_it_says_what_to_install(tmp_path):
    export(preferences(), tmp_path / "f.jsonl", "dpo")
    with pytest.raises(TaskError, match=r"thoughtgraph\[train\]"):
        finetune("dpo", tmp_path / "f.jsonl", model=tmp_path, out=tmp_path / "model")


def test_a_file_of_another_form_is_named_with_its_line(tmp_path):
    export(outcomes(), tmp_path / "f.jsonl", "kto")
    with pytest.raises(TaskError, match="line 1 has no 'chosen': expected a file that was exported for dpo"):
        finetune("dpo", tmp_path / "f.jsonl", model=tmp_path, out=tmp_path / "model")


@pytest.mark.parametrize("text", ["", "\n", "no JSON", "[1]"])
def test_what_is_no_export_is_refused(tmp_path, text):
    (tmp_path / "f.jsonl").write_text(text)
    with pytest.raises(TaskError, match="expected a file that was exported for sft"):
        finetune("sft", tmp_path / "f.jsonl", model=tmp_path, out=tmp_path / "model")


@pytest.mark.parametrize("name", ["save_strategy", "output_dir", "push_to_hub", "report_to", "trust_remote_code"])
def test_settings_that_would_write_pickles_or_leave_the_machine_are_refused(tmp_path, name):
    export(preferences(), tmp_path / "f.jsonl", "dpo")
    with pytest.raises(TaskError, match=f"'{name}' is not yours to choose"):
        finetune("dpo", tmp_path / "f.jsonl", model=tmp_path, out=tmp_path / "model", settings={name: "epoch"})


def test_what_looks_like_the_end_of_a_line_inside_a_text_is_none(tmp_path):
    rows = [Outcome(question="q\u2028x\x85y", response=Response(text="a\x0cb\u2029c"), value=1.0)]
    export(rows, tmp_path / "f.jsonl", "sft")
    with pytest.raises(TaskError, match=r"thoughtgraph\[train\]|holds no model"):  # and so the file was read
        finetune("sft", tmp_path / "f.jsonl", model=tmp_path, out=tmp_path / "model")


def test_a_line_is_read_as_whole_conversations():
    pair = {"prompt": ["q"], "chosen": ["good"], "rejected": ["bad"]}
    assert conversations(pair) == [["q", "good"], ["q", "bad"]]
    assert conversations({"prompt": ["q"]}) == [["q"]]
    assert conversations(json.loads('{"messages": ["m"]}')) == [["m"]]
