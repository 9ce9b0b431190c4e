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

from services.cli.doctor.files import model
from services.cli.doctor.finding import State, Subject
from services.cli.doctor.redis import redis
from services.cli.doctor.registry import registry
from services.cli.doctor.servers import servers
from services.runtime.backends.sglang.architectures import ARCHITECTURES
from tests.engine.adapters import random_adapter
from tests.processes import ROOT, free_port

COMMAND = [sys.executable, "-m", "services.cli.main", "doctor"]


def doctor(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and findings by name."""
    done = subprocess.run([*COMMAND, "--json", *arguments], cwd=ROOT, text=True, capture_output=True)
    assert "Traceback" not in done.stderr
    return done.returncode, {finding["name"]: finding for finding in json.loads(done.stdout)}


def test_a_machine_on_which_all_is_well(tiny_model, tmp_path, redis_server, start_runtime, start_router):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["LlamaForCausalLM"]}))
    (folder / "model.safetensors").touch()
    adapter = random_adapter(folder, tmp_path / "adapter")
    publish = [*COMMAND[:-1], "adapters", "publish", str(adapter), "--alias", "default"]
    subprocess.run([*publish, "--redis-url", redis_server.url], cwd=ROOT, check=True, capture_output=True)
    runtime = start_runtime()
    runtime.wait_for("ready")
    named = ["--model", str(folder), "--adapter", str(adapter), "--redis-url", redis_server.url]
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
    (found,) = redis(Subject(redis_url=text))
    assert (found.state, found.remedy) == (State.WRONG, "correct the URL")
    assert "pass:word" not in found.detail


def test_a_user_without_rights_on_some_keys_is_told_which(redis_server):
    with redis_server.client() as admin:
        rights = ("~{tenants}:*", "+@read", "+@write", "+@connection", "+@scripting", "+time", "+config|get")
        admin.execute_command("ACL", "SETUSER", "router", "on", ">secret", *rights)
    subject = Subject(redis_url=redis_server.url.replace("://", "://router:secret@"))
    found = {finding.name: finding for finding in redis(subject)}
    states = [found[f"redis {use}"].state for use in ("adapters", "budgets", "quotas")]
    assert states == [State.WRONG, State.OK, State.WRONG]
    assert "~quota:*" in found["redis quotas"].remedy and "secret" not in str(found)


def test_a_redis_that_does_not_answer_and_a_listener_that_is_no_redis_are_findings():
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        other = f"127.0.0.1:{http.server_port}"
        (away,) = redis(Subject(redis_url=f"redis://127.0.0.1:{free_port()}"))
        (no_redis,) = redis(Subject(redis_url=f"redis://{other}"))
        (no_grpc,) = servers(Subject(servers=(other,)))
        http.shutdown()
    assert {finding.state for finding in (away, no_redis, no_grpc)} == {State.WRONG}
    assert away.remedy == "start it, or name another one"
    assert "does not speak gRPC" in no_grpc.detail and "gRPC port" in no_grpc.remedy


@pytest.mark.parametrize("config", ["[]", "no JSON", '{"architectures": 3}'])
def test_a_broken_model_folder_is_a_finding(config, tmp_path):
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).touch()
    (tmp_path / "config.json").write_text(config)
    subject = Subject(tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}")
    (found,) = model(subject)
    assert (found.state, found.remedy) == (State.WRONG, "download the model again")
    (unread,) = registry(subject)
    assert unread.state is State.SKIPPED


def test_architectures_are_those_of_the_engine():
    # as the engine reads them
    source = (ROOT / "services" / "runtime" / "backends" / "sglang" / "architectures.py").read_text()
    (named,) = re.findall(r"^ARCHITECTURES = (.*)$", source, re.MULTILINE)
    assert ast.literal_eval(named) == ARCHITECTURES
