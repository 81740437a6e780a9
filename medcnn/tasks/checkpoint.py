"""The checkpoint as a product: all that scoring needs in one file or one folder, and nothing personal."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

import medcnn
from medcnn.errors import CheckpointError, ConfigError
from medcnn.files import write_atomic
from medcnn.tasks.archive import read_checkpoint
from medcnn.tasks.base import CaseTask
from medcnn.tasks.build import build
from medcnn.tasks.decision import Decision
from medcnn.tasks.plain import is_plain
from medcnn.tasks.schema import check_product

WEIGHTS, RECIPE = "weights.safetensors", "product.json"
# What only training needs: it would be built for nothing, and could refuse a file that scores well.
TRAINING_ONLY = ("optimizer", "scheduler", "decay_all")
PARTS = ("task", "preprocess", "classes", "multilabel", "decision", "provenance")
#: Bytes of a recipe (it names the training cases), and of the list of tensors in the weights.
MAX_RECIPE, MAX_HEADER = 256 << 20, 32 << 20
#: Parameters of parts that a net builds and then replaces.
SLACK = 1_000_000
LISTS = ("image_shape", "trained_on", "spacing_mm")
PLACE = re.compile(r"(/|~/|\\\\|[A-Za-z]:[\\/]|file:)\S*[\\/]\S+")


@dataclass(frozen=True)
class Product:
    """A model that can be rebuilt, scored with and passed on.

    Attributes:
        weights: Name in the task to tensor, on the CPU; the averaged weights where training averaged them.
        task: ``{"class_path", "init_args"}`` of the task, net and loss.
        preprocess: The same of every fixed transform, in order.
        classes: Names, in the order of the logits.
        multilabel: Whether several findings may stand together.
        decision: ``Decision.to_dict()``; None where no validation has chosen one.
        provenance: run_id, medcnn_version, data_digest, image_shape ``(C, *spatial)``, trained_on and
            trained_patients: names of the training cases by content and of their patients, so that no test counts one
            of them. Of two classes also positive; where the answer is a segmentation also per_voxel, and spacing_mm:
            the usual voxel size along each axis of prepared cases.
    """

    weights: dict[str, Tensor]
    task: dict[str, Any]
    preprocess: list[dict[str, Any]]
    classes: tuple[str, ...]
    multilabel: bool
    decision: dict[str, Any] | None
    provenance: dict[str, Any]

    @classmethod
    def from_checkpoint(cls, path: Path) -> "Product":
        """Take from a training checkpoint what scoring needs; optimizer, callbacks and loops stay behind.

        Raises:
            CheckpointError: Not a checkpoint of medcnn, or made from objects that it holds no description of.
        """
        found = read_checkpoint(path)
        arguments, origin = dict(found["hyper_parameters"]), found["medcnn"]
        arguments.pop("_instantiator", None)
        class_path = arguments.pop("_class_path", None)
        lacking = [name for name in ("net", "loss", "classes") if name not in arguments]
        if class_path is None or lacking:
            raise CheckpointError(
                f"{Path(path).name} does not say how its {', '.join(lacking) or 'task'} was made, for it was passed "
                "as a ready object; make the task with medcnn.tasks.build.build, or train with `medcnn fit`"
            )
        parts = {
            "task": {"class_path": class_path,
                     "init_args": {k: v for k, v in arguments.items() if k not in TRAINING_ONLY}},
            "preprocess": _preprocess(found, Path(path).name),
            "classes": arguments["classes"],
            "multilabel": arguments.get("multilabel", False),
            "decision": found.get("decision"),
            "provenance": {
                "run_id": origin.get("run_id", ""),
                "medcnn_version": origin.get("version", ""),
                "data_digest": origin.get("data_digest", ""),
                "image_shape": origin.get("image_shape", []),
                "trained_on": origin.get("trained_on", []),
                # Of a segmentation alone, as its digest has always been.
                **{key: origin[key] for key in ("per_voxel", "spacing_mm") if origin.get(key)},
            },
        }  # fmt: skip
        # Absent from checkpoints that name cases by pseudonym, and from a segmentation.
        for key in ("trained_patients", "positive"):
            if origin.get(key) not in (None, ""):
                parts["provenance"][key] = origin[key]
        return cls._of(found["state_dict"], parts, Path(path).name)

    @classmethod
    def from_folder(cls, folder: Path) -> "Product":
        """Read a folder that ``to_folder`` wrote.

        Raises:
            CheckpointError: A file is missing, damaged, or the two do not belong together.
        """
        folder = Path(folder)
        try:
            parts = json.loads(_content(folder / RECIPE, MAX_RECIPE))
            content = _content(folder / WEIGHTS)
            if int.from_bytes(content[:8], "little") > MAX_HEADER:
                raise ValueError(f"{WEIGHTS} has a header of more than {MAX_HEADER:,} bytes")
            weights = safetensors.torch.load(content)
        except (OSError, ValueError, TypeError, KeyError, RecursionError, safetensors.SafetensorError) as error:
            first = (str(error).splitlines() or [""])[0][:160]
            raise CheckpointError(
                f"{folder.name} is no model folder, or is damaged ({type(error).__name__}: {first}); "
                f"expected {RECIPE} and {WEIGHTS} in it"
            ) from error
        if not isinstance(parts, dict) or parts.get("weights_sha256") != hashlib.sha256(content).hexdigest():
            raise CheckpointError(f"{WEIGHTS} and {RECIPE} in {folder.name} do not belong together; copy both again")
        return cls._of(weights, parts, folder.name)

    @classmethod
    def _of(cls, weights: Mapping[Any, Any], parts: Mapping[str, Any], name: str) -> "Product":
        wrong = [key for key in PARTS if key not in parts or not is_plain(parts[key])]
        if wrong or not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()):
            raise CheckpointError(f"{name} holds no plain {', '.join(wrong) or 'weights'}; medcnn did not write it")
        check_product(parts, name)
        if parts["decision"] is not None:
            Decision.from_dict(parts["decision"], parts["classes"], parts["multilabel"])
        for text in _texts({key: parts[key] for key in PARTS}):
            if PLACE.fullmatch(text):
                raise CheckpointError(
                    f"{name} names a place on the machine that trained it, {text[:80]!r}; a model that leaves must "
                    "not: take that argument out of the configuration and fit again"
                )
        origin = dict(parts["provenance"])
        return cls(
            weights=dict(weights),
            task=dict(parts["task"]),
            preprocess=[dict(part) for part in parts["preprocess"]],
            classes=tuple(parts["classes"]),
            multilabel=parts["multilabel"],
            decision=parts["decision"],
            provenance=origin | {key: list(origin[key]) for key in LISTS if key in origin},
        )

    def to_folder(self, folder: Path) -> None:
        """Write ``weights.safetensors`` and ``product.json``; each file appears whole, the recipe last."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        content = self._packed
        recipe = self._parts | {"weights_sha256": hashlib.sha256(content).hexdigest(), "written_by": medcnn.__version__}
        text = json.dumps(recipe, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomic(folder / WEIGHTS, lambda draft: draft.write_bytes(content))
        write_atomic(folder / RECIPE, lambda draft: draft.write_text(text, "utf-8"))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over weights and recipe: two products that score alike in every digit share it."""
        recipe = json.dumps(self._parts, sort_keys=True, ensure_ascii=False).encode()
        return hashlib.sha256(self._packed + recipe).hexdigest()

    def build_task(self) -> CaseTask:
        """The task with its weights and decision, ready to score.

        Raises:
            CheckpointError: A class outside the allow-list, or weights that do not fit it.
        """
        try:
            stored = sum(weight.numel() for weight in self.weights.values())
            task = build(self.task, parameters=SLACK + 2 * stored)
        except ConfigError as error:
            raise CheckpointError(f"the model cannot be built: {error}") from error
        if not isinstance(task, CaseTask):
            raise CheckpointError(f"the model is a {self.task.get('class_path')}; expected a task of medcnn")
        try:
            task.load_state_dict(self.weights)
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise CheckpointError(f"the weights do not fit the model's description: {first}") from error
        given = self.decision
        task.decision = None if given is None else Decision.from_dict(given, self.classes, self.multilabel)
        task.run_id, task.data_digest = self.provenance.get("run_id", ""), self.provenance.get("data_digest", "")
        task.image_shape = tuple(self.provenance.get("image_shape", ()))
        task.spacing_mm = tuple(self.provenance.get("spacing_mm", ()))
        return task.eval().requires_grad_(False)

    def build_preprocess(self) -> list[Any]:
        """The fixed transforms, in order.

        Raises:
            CheckpointError: One of them is outside the allow-list.
        """
        return [build(spec) for spec in self.preprocess]

    @property
    def positive(self) -> str | None:
        """Name of the positive class where there is one: the second of two that exclude each other."""
        binary = len(self.classes) == 2 and not (self.multilabel or self.provenance.get("per_voxel"))
        return self.classes[1] if binary else None

    @property
    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PARTS} | {"classes": list(self.classes)}

    @cached_property
    def _packed(self) -> bytes:
        # A clone each: tensors that share memory, as tied weights do, cannot be packed.
        return safetensors.torch.save({name: self.weights[name].clone().contiguous() for name in sorted(self.weights)})


def open_product(path: Path) -> Product:
    """A product from a checkpoint file or from a folder.

    Raises:
        CheckpointError: Neither, or it does not read.
    """
    path = Path(path)
    return Product.from_folder(path) if path.is_dir() else Product.from_checkpoint(path)


def _content(path: Path, most: int | None = None) -> bytes:
    """Return what an ordinary file holds: a device or a pipe has no end."""
    if not path.is_file():
        raise OSError(f"there is no file {path.name}")
    if most is not None and path.stat().st_size > most:
        raise ValueError(f"{path.name} has more than {most:,} bytes")
    return path.read_bytes()


def _preprocess(found: Mapping[str, Any], name: str) -> Any:
    data = found.get("datamodule_hyper_parameters")
    if data is None:
        return []
    if not isinstance(data, Mapping):
        raise CheckpointError(f"{name} holds no plain preprocess; medcnn did not write it")
    given = data.get("preprocess")
    return list(given) if isinstance(given, tuple) else [] if given is None else given


def _texts(value: Any) -> Iterator[str]:
    """Every string in plain data, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(key)
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
