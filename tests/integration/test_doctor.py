"""`lookaheadkv doctor` finds what is wrong, and says what to do."""

import ast
import json
import re
import shutil
import subprocess
import sys

import pytest

from services.cli.doctor.files import ARCHITECTURES
from tests.engine.adapters import random_adapter
from tests.processes import ROOT, free_port

COMMAND = [sys.executable, "-m", "services.cli.main", "doctor"]


def doctor(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and findings by name."""
    done = subprocess.run([*COMMAND, "--json", *arguments], cwd=ROOT, text=True, capture_output=True)
    assert "Traceback" not in done.stderr
    return done.returncode, {finding["name"]: finding for finding in json.loads(done.stdout)}


def test_a_machine_on_which_all_is_well(tiny_model, tmp_path, redis_server, start_runtime, start_router):
    model = tmp_path / "tiny"
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"architectures": ["LlamaForCausalLM"]}))
    (model / "model.safetensors").touch()
    adapter = random_adapter(model, tmp_path / "adapter")
    runtime = start_runtime()
    runtime.wait_for("ready")
    named = ["--model", str(model), "--adapter", str(adapter), "--redis-url", redis_server.url]
    code, found = doctor(*named, "--server", runtime.target, "--port", str(free_port()))
    assert {finding["state"] for finding in found.values()} == {"ok"}, found
    assert code == 0
    assert "sglang 0.5.23" in found["packages"]["detail"]
    assert "version 7 fits the model" in found["adapter"]["detail"]


def test_each_thing_that_is_wrong_has_its_remedy(tiny_model, tmp_path, start_router, redis_server):
    (tmp_path / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).touch()
    redis_server.client().config_set("maxmemory-policy", "allkeys-lru")
    router = start_router(f"127.0.0.1:{free_port()}")
    taken = router.target.rpartition(":")[2]
    named = ["--model", str(tmp_path), "--adapter", str(tmp_path), "--redis-url", redis_server.url]
    code, found = doctor(*named, "--server", router.target, "--server", "127.0.0.1:1", "--port", taken)
    assert code == 1
    wrong = {name for name, finding in found.items() if finding["state"] == "wrong"}
    servers = {f"server {router.target}", "server 127.0.0.1:1", f"port {taken}"}
    assert wrong == {"model", "adapter", "redis"} | servers
    assert all(found[name]["remedy"] for name in wrong)
    assert "GPT2LMHeadModel" in found["model"]["detail"] and "noeviction" in found["redis"]["detail"]
    assert "not ready" in found[f"server {router.target}"]["detail"]


def test_people_see_a_table_and_what_was_not_asked_for_is_not_wrong():
    done = subprocess.run(COMMAND, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0
    assert "✓" in done.stdout and "name its folder with --model" in done.stdout


@pytest.mark.parametrize("text", ["nonsense", "redis://user:pass:word@:x"])
def test_a_wrong_url_is_a_finding(text):
    code, found = doctor("--redis-url", text)
    assert (code, found["redis"]["state"]) == (1, "wrong")
    assert "pass:word" not in json.dumps(found)


def test_architectures_are_those_of_the_engine():
    # its module needs SGLang, which takes seconds to import
    source = (ROOT / "services" / "runtime" / "backends" / "sglang" / "support.py").read_text()
    (named,) = re.findall(r"^ARCHITECTURES = (.*)$", source, re.MULTILINE)
    assert ast.literal_eval(named) == ARCHITECTURES
