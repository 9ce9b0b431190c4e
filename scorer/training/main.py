"""The command that trains an adapter."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from pydantic import TypeAdapter, ValidationError

from scorer.adapters.config import AdapterConfig, FusionConfig
from scorer.adapters.errors import AdapterError
from scorer.adapters.fingerprint import model_fingerprint, read_config
from scorer.adapters.manifest import AdapterName, ModelName
from scorer.training.checkpoint import BadCheckpoint, load_checkpoint
from scorer.training.curves import plot_curves
from scorer.training.data.sample import BadLine
from scorer.training.inputs import CannotTrain, Prompts, read_prompts
from scorer.training.loop import Diverged, TrainingState, new_adapter
from scorer.training.model_folder import CannotLoad, load_model, load_tokenizer
from scorer.training.prepared import OtherSamples, PreparedSamples, Recipe, prepare
from scorer.training.progress import counting_bar, training_bar
from scorer.training.report import headline, save_adapter, write_metrics
from scorer.training.rows_forward import LookaheadModel
from scorer.training.run import Run, execute
from scorer.training.settings import TrainingSettings, problems

INTERRUPTED = 130
CHECKPOINT, METRICS, CURVES = "checkpoint.pt", "metrics.json", "curves.png"
ADAPTER, PREPARED = "adapter", "prepared"
EXPECTED = (AdapterError, BadCheckpoint, BadLine, CannotLoad, CannotTrain, Diverged, OtherSamples, OSError)


@dataclass(frozen=True)
class Source:
    """What a run reads, and how."""

    model: Path
    data: Path
    device: str
    dtype: str
    max_prompt_tokens: int
    validation_ratio: float
    seed: int
    prepared: Path
    cache_bytes: int  # for the K/V of training and of validation prompts, each


@dataclass(frozen=True)
class Target:
    """What a run writes."""

    out: Path
    name: str
    version: int
    save_every: int

    @property
    def adapter(self) -> Path:
        """The folder that appears at the end."""
        return self.out / ADAPTER

    def names(self, model: Path) -> dict[str, Any]:
        """The manifest's fields of that name, checked before hours of work. Raises CannotTrain."""
        names = {"adapter": self.name, "version": self.version, "model": model.resolve().name}
        try:
            TypeAdapter(AdapterName).validate_python(self.name)
            TypeAdapter(ModelName).validate_python(names["model"])
        except ValidationError as error:
            raise CannotTrain(f"name or folder of the model: {problems(error)}") from error
        return names

    def check(self, resume: bool) -> None:
        """Raises CannotTrain rather than replacing an earlier run's work, or when there is none to resume."""
        if self.adapter.exists():
            raise CannotTrain(f"out: {self.adapter} exists; choose another folder")
        checkpoint = self.out / CHECKPOINT
        if checkpoint.exists() and not resume:
            raise CannotTrain(f"out: {checkpoint} exists; add --resume or choose another folder")
        if resume and not checkpoint.exists():
            raise CannotTrain(f"out: {checkpoint} does not exist, so there is nothing to resume")


def main(
    model: Annotated[Path, typer.Option(help="folder of the model, in Hugging Face layout")],
    data: Annotated[Path, typer.Option(help='JSONL with {"prompt": text} or {"messages": [...]} a line')],
    out: Annotated[Path, typer.Option(help="folder for checkpoint, metrics and the adapter")],
    objective: Annotated[str, typer.Option(help="fused_max, evictable_max or paper")] = "fused_max",
    reference_answers: Annotated[bool, typer.Option(help="learn also from answers that the data name")] = True,
    steps: Annotated[int, typer.Option(help="optimiser steps")] = 100,
    batch: Annotated[int, typer.Option(help="samples a step")] = 8,
    learning_rate: Annotated[float, typer.Option(help="the peak; 2e-3 suits 135M models")] = 2e-3,
    warmup: Annotated[int | None, typer.Option(help="steps up to the peak; 5, or fewer in a short run")] = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same weights on the same machine")] = 0,
    max_response_tokens: Annotated[int, typer.Option(help="longest response of the model")] = 128,
    max_prompt_tokens: Annotated[int, typer.Option(help="longer prompts are left out")] = 2048,
    sink_tokens: Annotated[int, typer.Option(help="first tokens that serving always keeps")] = 4,
    recent_tokens: Annotated[int, typer.Option(help="last tokens that serving always keeps")] = 32,
    lookahead_tokens: Annotated[int, typer.Option(help="learned rows")] = 32,
    rank: Annotated[int, typer.Option(help="of the LoRA")] = 8,
    alpha: Annotated[float, typer.Option(help="of the LoRA")] = 32.0,
    validation_ratio: Annotated[float, typer.Option(min=0, max=0.9, help="share of the data not trained on")] = 0.1,
    save_every: Annotated[int, typer.Option(min=1, help="steps from one validation and checkpoint to the next")] = 20,
    prepared: Annotated[Path | None, typer.Option(help="folder of prepared samples, shared by runs; in OUT")] = None,
    cache_mib: Annotated[int, typer.Option(min=0, help="main memory for the K/V of prompts")] = 8192,
    device: Annotated[str, typer.Option(help="cpu or cuda; empty: cuda where there is one")] = "",
    dtype: Annotated[str, typer.Option(help="of the frozen model: bfloat16 or float32")] = "bfloat16",
    name: Annotated[str, typer.Option(help="of the adapter")] = "lookaheadkv",
    version: Annotated[int, typer.Option(min=1, help="of the adapter")] = 1,
    resume: Annotated[bool, typer.Option(help="go on from the checkpoint in the folder")] = False,
) -> None:
    """Trains a LookaheadKV adapter for a model on prompts and saves it as a folder."""
    try:
        settings = TrainingSettings(
            objective=objective,
            reference_answers=reference_answers,
            steps=steps,
            batch_samples=batch,
            learning_rate=learning_rate,
            warmup_steps=min(5, max(0, steps - 1)) if warmup is None else warmup,
            seed=seed,
            max_response_tokens=max_response_tokens,
            sink_tokens=sink_tokens,
            recent_tokens=recent_tokens,
        )
        fusion = FusionConfig(
            window_tokens=settings.window_tokens, sink_tokens=sink_tokens, recent_tokens=recent_tokens
        )
        config = AdapterConfig(lookahead_tokens=lookahead_tokens, rank=rank, alpha=alpha, fusion=fusion)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        folder = prepared or out / PREPARED
        source = Source(model, data, device, dtype, max_prompt_tokens, validation_ratio, seed, folder, cache_mib << 20)
        _run(source, settings, config, Target(out, name, version, save_every), resume)
    except ValidationError as error:
        raise SystemExit(problems(error)) from error
    except EXPECTED as error:
        raise SystemExit(f"{error}") from error
    except KeyboardInterrupt:
        sys.stderr.write("stopped; no step since the last checkpoint was kept\n")
        raise SystemExit(INTERRUPTED) from None


def _run(source: Source, settings: TrainingSettings, config: AdapterConfig, target: Target, resume: bool) -> None:
    """From files to files. Raises one of EXPECTED."""
    names, model_config = target.names(source.model), read_config(source.model)
    target.check(resume)
    run = _prepared(source, settings, config, target, model_config)
    start = new_adapter(run.model, config, settings.seed)
    state = load_checkpoint(run.checkpoint, start, run.identity) if resume else TrainingState.of(start)
    with training_bar(settings, state) as on_step:
        rows = execute(run, state, on_step)
    if rows is None:
        sys.stderr.write(f"stopped after step {state.step} of {settings.steps}; go on from there with --resume\n")
        raise SystemExit(INTERRUPTED)
    write_metrics(target.out / METRICS, state, run.identity)
    plot_curves(state.metrics, state.validations, settings, target.out / CURVES)
    save_adapter(target.adapter, state, model_config, settings, rows, names)
    shares = "".join(f", {name} {share:.3f}" for name, share in headline(rows, settings).items())
    typer.echo(f"{target.adapter}: loss {state.metrics[-1].loss:.4f}{shares and ', retained' + shares[1:]}")


def _prepared(
    source: Source, settings: TrainingSettings, config: AdapterConfig, target: Target, model_config: dict[str, Any]
) -> Run:
    """Model, responses and targets; the checkpoint's identity names all that decides over the weights."""
    tokenizer = load_tokenizer(source.model)
    prompts = read_prompts(source.data, tokenizer, source.max_prompt_tokens, source.validation_ratio, source.seed)
    if prompts.too_long:
        sys.stderr.write(f"left out {prompts.too_long} prompts of more than {source.max_prompt_tokens} tokens\n")
    model = load_model(source.model, source.dtype, source.device)
    training, validation = _samples(source, settings, model, prompts, model_config)
    identity = {
        **_identity(source, settings, prompts, model_config),
        **settings.model_dump(),
        **config.model_dump(),
    }
    return Run(model, training, validation, settings, target.out / CHECKPOINT, identity, target.save_every)


def _samples(
    source: Source, settings: TrainingSettings, model: LookaheadModel, prompts: Prompts, model_config: dict[str, Any]
) -> tuple[PreparedSamples, PreparedSamples]:
    """To train on, and to validate with."""
    identity = _identity(source, settings, prompts, model_config)
    recipe = Recipe(settings.max_response_tokens, settings.window_tokens, source.cache_bytes, identity)
    with counting_bar("responses and targets", len(prompts.training + prompts.validation)) as on_done:
        return (
            prepare(model, prompts.training, source.prepared / "training", recipe, on_done),
            prepare(model, prompts.validation, source.prepared / "validation", recipe, on_done),
        )


def _identity(
    source: Source, settings: TrainingSettings, prompts: Prompts, model_config: dict[str, Any]
) -> dict[str, Any]:
    """All that decides over the samples."""
    return {
        "model_fingerprint": model_fingerprint(model_config),
        "prompts": prompts.digest,
        "device": source.device,
        "dtype": source.dtype,
        "max_response_tokens": settings.max_response_tokens,
        "window_tokens": settings.window_tokens,
    }


def run_command() -> None:
    """Reads the command line. A bug shows as a plain traceback."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
