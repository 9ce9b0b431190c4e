"""`lookaheadkv doctor` finds what is wrong, and says what to do."""

import ast
import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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
    publish = [*COMMAND[:-1], "adapters", "publish", str(adapter), "--alias", "default"]
    subprocess.run([*publish, "--redis-url", redis_server.url], cwd=ROOT, check=True, capture_output=True)
    runtime = start_runtime()
    runtime.wait_for("ready")
    named = ["--model", str(model), "--adapter", str(adapter), "--redis-url", redis_server.url]
    code, found = doctor(*named, "--server", runtime.target, "--port", str(free_port()))
    assert {finding["state"] for finding in found.values()} == {"ok"}, found
    assert code == 0
    assert "sglang 0.5.23" in found["packages"]["detail"]
    assert "version 7 fits the model" in found["adapter"]["detail"]
    assert "default is version 7 of 1" in [finding["detail"] for finding in found.values()]
    assert "valkey" in found["redis version"]["detail"]


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


def test_a_user_without_rights_on_some_keys_is_told_which(redis_server):
    with redis_server.client() as admin:
        rights = ("~{tenants}:*", "+@read", "+@write", "+@connection", "+@scripting", "+time", "+config|get")
        admin.execute_command("ACL", "SETUSER", "router", "on", ">secret", *rights)
    code, found = doctor("--redis-url", redis_server.url.replace("://", "://router:secret@"))
    states = {use: found[f"redis {use}"]["state"] for use in ("adapters", "budgets", "quotas")}
    assert (code, states) == (1, {"adapters": "wrong", "budgets": "ok", "quotas": "wrong"})
    assert "~quota:*" in found["redis quotas"]["remedy"] and "secret" not in json.dumps(found)


def test_a_redis_that_does_not_answer_and_a_listener_that_is_no_redis_are_findings():
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        other = f"127.0.0.1:{http.server_port}"
        nobody = f"redis://127.0.0.1:{free_port()}"
        _, away = doctor("--redis-url", nobody)
        code, wrong = doctor("--redis-url", f"redis://{other}", "--server", other)
        http.shutdown()
    assert (away["redis"]["state"], away["redis"]["remedy"]) == ("wrong", "start it, or name another one")
    assert (code, wrong["redis"]["state"], wrong[f"server {other}"]["state"]) == (1, "wrong", "wrong")
    assert "does not speak gRPC" in wrong[f"server {other}"]["detail"]


@pytest.mark.parametrize("config", ["[]", "no JSON", '{"architectures": 3}'])
def test_a_broken_model_folder_is_a_finding(config, tmp_path):
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).touch()
    (tmp_path / "config.json").write_text(config)
    code, found = doctor("--model", str(tmp_path), "--redis-url", f"redis://127.0.0.1:{free_port()}")
    assert (code, found["model"]["remedy"]) == (1, "download the model again")
    assert not [finding for finding in found.values() if "bug" in finding["remedy"]]


def test_architectures_are_those_of_the_engine():
    # its module needs SGLang, which takes seconds to import
    source = (ROOT / "services" / "runtime" / "backends" / "sglang" / "support.py").read_text()
    (named,) = re.findall(r"^ARCHITECTURES = (.*)$", source, re.MULTILINE)
    assert ast.literal_eval(named) == ARCHITECTURES
