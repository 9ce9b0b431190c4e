"""SGLang as its authors made it, with no hook of ours: `python -m tests.engine.stock`, JSON in and out."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.processes import ROOT

START_AND_ANSWER_SECONDS = 280


def stock_tokens(
    model: Path, engine_args: Mapping[str, Any], prompts: Sequence[Sequence[int]], new_tokens: int
) -> list[list[int]]:
    """Greedy tokens of each prompt, one after the other, by an engine in a process of its own."""
    asked = {"model": str(model), "engine_args": engine_args, "prompts": prompts, "new_tokens": new_tokens}
    # the platform without which SGLang does not run on CPU, and no other plugin
    variables = {"SGLANG_PLUGINS": "lookaheadkv_cpu", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.stock"],
        cwd=ROOT,
        env=os.environ | variables,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=START_AND_ANSWER_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answers: list[list[int]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def main() -> None:
    asked = json.load(sys.stdin)
    from sglang.srt.entrypoints.engine import Engine

    from services.runtime.backends.sglang.engine import COMMON_ARGS, CPU_ARGS

    # what the runtime passes too
    args = COMMON_ARGS | CPU_ARGS | asked["engine_args"]
    engine = Engine(model_path=asked["model"], **args)
    sampling = {"max_new_tokens": asked["new_tokens"], "temperature": 0.0, "ignore_eos": True}
    answers = [engine.generate(input_ids=ids, sampling_params=sampling)["output_ids"] for ids in asked["prompts"]]
    engine.shutdown()
    sys.stdout.write("\n" + json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
