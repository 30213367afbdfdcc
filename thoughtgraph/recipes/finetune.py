"""Train a large model on exported rows, by TRL (von Werra et al., 2020) on the user's own machine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from thoughtgraph.errors import TaskError, at_least
from thoughtgraph.learning.export import FORMS, Form
from thoughtgraph.thought import Json

TRAINERS: Mapping[Form, str] = {
    "sft": "SFT", "process": "SFT", "dpo": "DPO", "reward": "Reward", "kto": "KTO", "grpo": "GRPO",
}  # fmt: skip
"""Whose trainer and whose settings, as TRL calls them."""

COLUMNS: Mapping[Form, tuple[str, ...]] = {
    "sft": ("prompt", "completion"),
    "process": ("messages",),
    "dpo": ("prompt", "chosen", "rejected"),
    "reward": ("prompt", "chosen", "rejected"),
    "kto": ("prompt", "completion", "label"),
    "grpo": ("prompt",),
}
"""What each line must hold."""

OURS = ("output_dir", "max_length", "report_to", "trust_remote_code", "chat_template_path", "resume_from_checkpoint",
        "load_best_model_at_end", "model_init_kwargs")  # fmt: skip
"""Settings that would break what `finetune` promises, beside those that begin with `OURS_TOO`."""

OURS_TOO = ("save_", "push_", "hub_")
"""Checkpoints hold pickles, and the hub is not this machine."""


@dataclass(frozen=True, slots=True)
class Finetuned:
    """A model that was trained: the folder it is in, on how many lines, in how many steps, its loss at the end."""

    folder: Path
    form: Form
    lines: int
    steps: int
    loss: float

    def __str__(self) -> str:
        return f"{self.folder}: {self.form} on {self.lines} lines, {self.steps} steps, loss {self.loss:.4g}"


def finetune(
    form: Form,
    path: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    reward: str | os.PathLike[str] | None = None,
    epochs: float = 1.0,
    rate: float = 2e-5,
    batch: int = 8,
    longest: int = 1024,
    seed: int = 0,
    settings: Mapping[str, Json] | None = None,
) -> Finetuned:
    """Train the model in the folder `model` on an exported file, and leave the result in the folder `out`.

    `form` is the one that the file was exported for. `rate` is the learning rate, `batch` how many lines a step, and
    `longest` how many tokens a line may have: TRL leaves longer ones out or cuts them, so they are refused here.
    "grpo" needs `reward`, the folder of a reward model. `settings` go to TRL's own configuration as they are
    (`{"bf16": True}`, `{"max_steps": 100}`), but for those named in `OURS`. It runs on the GPU if there is one,
    offline, and only safetensors are read and written: there are no checkpoints in between, which hold pickles.

    Raises `TaskError` for a file that this trainer cannot read, for settings that it does not take, and where TRL is
    not installed.
    """
    at_least(1, batch=batch, longest=longest)
    _allowed(settings or {})
    rows = _rows(form, Path(path))
    _check(Path(model), Path(out), form, reward)
    own = _settings(form, Path(out), epochs, rate, batch, longest, seed, settings)
    trainer = _trainer(form, rows, model, reward, longest, own)
    done = trainer.train()
    trainer.model.save_pretrained(out, safe_serialization=True)
    trainer.processing_class.save_pretrained(out)
    return Finetuned(Path(out), form, len(rows), int(done.global_step), float(done.training_loss))


def _rows(form: Form, path: Path) -> list[Json]:
    if form not in TRAINERS:
        raise TaskError(f"the form is {form!r}: expected one of {', '.join(FORMS)}")
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, ValueError) as error:
        raise TaskError(f"{path} cannot be read ({error}): expected a file that was exported for {form}") from None
    for number, row in enumerate(rows, 1):
        if lacking := [name for name in COLUMNS[form] if not isinstance(row, dict) or name not in row]:
            raise TaskError(
                f"{path}, line {number} has no {lacking[0]!r}: expected a file that was exported for {form}"
            )
    if not rows:
        raise TaskError(f"{path} holds no line: expected a file that was exported for {form}")
    return rows


def _allowed(settings: Mapping[str, Json]) -> None:
    if ours := [name for name in settings if name in OURS or name.startswith(OURS_TOO)]:
        raise TaskError(
            f"the setting {ours[0]!r} is not yours to choose: the model is written once, in the end and to out=, as "
            "safetensors alone, nothing is fetched or sent, and no line is cut"
        )


def _check(model: Path, out: Path, form: Form, reward: str | os.PathLike[str] | None) -> None:
    if missing := [package for package in ("torch", "transformers", "datasets", "trl") if find_spec(package) is None]:
        raise TaskError(f'training needs {", ".join(missing)}: python -m pip install "thoughtgraph[train]"')
    for folder in (model, *([] if reward is None else [Path(reward)])):
        if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
            raise TaskError(
                f"{folder} holds no model: expected a folder with config.json, weights as safetensors and a tokenizer"
            )
    if out.exists() and any(out.iterdir()):
        raise TaskError(f"{out} is not empty: name a folder for the trained model that is not there yet")
    if (form == "grpo") != (reward is not None):
        raise TaskError("a reward model belongs to grpo, and grpo needs one: name its folder by reward=")


def _settings(
    form: Form, out: Path, epochs: float, rate: float, batch: int, longest: int, seed: int,
    more: Mapping[str, Json] | None,
) -> Any:  # fmt: skip
    """TRL's own configuration: offline, quiet, in full precision unless told otherwise."""
    torch, trl = import_module("torch"), import_module("trl")
    own: dict[str, Any] = {
        "output_dir": str(out), "num_train_epochs": epochs, "learning_rate": rate,
        "per_device_train_batch_size": batch, "seed": seed, "data_seed": seed, "report_to": "none",
        "save_strategy": "no", "bf16": False, "logging_strategy": "no", "disable_tqdm": True, "push_to_hub": False,
        "use_cpu": not torch.cuda.is_available(), "dataloader_pin_memory": torch.cuda.is_available(),
    }  # fmt: skip
    own |= {"max_completion_length": longest} if form == "grpo" else {"max_length": None}  # `_fits` has looked
    own |= {"assistant_only_loss": True} if form == "process" else {}
    try:
        return getattr(trl, f"{TRAINERS[form]}Config")(**{**own, **(more or {})})
    except TypeError as error:
        raise TaskError(f"TRL does not take these settings ({error})") from None


def _trainer(form: Form, rows: list[Json], model: Any, reward: Any, longest: int, settings: Any) -> Any:
    datasets, trl = import_module("datasets"), import_module("trl")
    tokenizer = _tokenizer(model)
    _fits(tokenizer, rows, longest)
    loaded = _loaded(model, tokenizer, rewarding=form == "reward")
    make, table = getattr(trl, f"{TRAINERS[form]}Trainer"), datasets.Dataset.from_list(rows)
    also = {} if reward is None else _judge(reward)
    return make(model=loaded, args=settings, train_dataset=table, processing_class=tokenizer, **also)


def _judge(reward: Any) -> dict[str, Any]:
    """The reward model, loaded here: by its name alone TRL would take pickled weights too, or fetch them."""
    tokenizer = _tokenizer(reward)
    judge = _loaded(reward, tokenizer, rewarding=True)
    return {"reward_funcs": judge, "reward_processing_classes": tokenizer}


def _tokenizer(folder: Any) -> Any:
    return import_module("transformers").AutoTokenizer.from_pretrained(folder, **LOCAL)


def _loaded(folder: Any, tokenizer: Any, *, rewarding: bool) -> Any:
    """A language model, or one with a head for a single reward."""
    kind, heads = ("SequenceClassification", {"num_labels": 1}) if rewarding else ("CausalLM", {})
    auto = getattr(import_module("transformers"), f"AutoModelFor{kind}")
    loaded = auto.from_pretrained(folder, use_safetensors=True, dtype="float32", **LOCAL, **heads)
    if loaded.config.pad_token_id is None:
        loaded.config.pad_token_id = (
            tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        )
    return loaded


LOCAL: Mapping[str, bool] = {"local_files_only": True, "trust_remote_code": False}
"""Nothing is fetched, and no code that comes with a model is run."""


def _fits(tokenizer: Any, rows: list[Json], longest: int) -> None:
    """TRL cuts some lines that are too long and drops others, without a word: nothing of an export is lost silently."""
    if not tokenizer.chat_template:
        raise TaskError("the model's tokenizer has no chat template: choose a model for chat, or give it one")
    lengths = [max(_length(tokenizer, said) for said in conversations(row)) for row in rows]
    if over := [number for number, length in enumerate(lengths, 1) if length > longest]:
        raise TaskError(
            f"{len(over)} of {len(rows)} lines are longer than {longest} tokens (line {over[0]} has "
            f"{lengths[over[0] - 1]}): leave them out, or raise longest="
        )


def _length(tokenizer: Any, said: list[Json]) -> int:
    return len(tokenizer.apply_chat_template(said, tokenize=True, return_dict=True)["input_ids"])


def conversations(row: Mapping[str, Json]) -> list[list[Json]]:
    """What a line holds, as whole conversations: two for a pair."""
    if "messages" in row:
        return [row["messages"]]
    ends = [row[name] for name in ("completion", "chosen", "rejected") if name in row] or [[]]
    return [[*row["prompt"], *end] for end in ends]
