"""What the plugin asks the scoring pass for, and adapters that it cannot load; no engine is started."""

import warnings
from types import SimpleNamespace

import pytest
import torch

from scorer.adapters.shapes import EMBEDDINGS
from scorer.kernels.dispatch import KernelHealth
from services.runtime.backends.sglang.process import ADAPTER_VARIABLE, START_FILE_VARIABLE, read_start_report
from services.runtime.backends.sglang.request_state import RequestState
from services.runtime.eviction import EvictionPlan
from tests.engine.adapters import LOOKAHEAD_TOKENS, random_adapter

HIDDEN, PROMPT_TOKENS = 8, 50
SLOTS = torch.arange(PROMPT_TOKENS, dtype=torch.int32) + 100


@pytest.fixture(scope="module")
def plugin():
    with warnings.catch_warnings():
        # SGLang warns about the GPUs it does not find
        warnings.simplefilter("ignore")
        from sglang.srt.layers.quantization.unquant import UnquantizedLinearMethod

        from services.runtime.backends.sglang import adapter, hooks, observe, prefills, support
    return SimpleNamespace(
        adapter=adapter,
        hooks=hooks,
        observe=observe,
        prefills=prefills,
        support=support,
        Unquantized=UnquantizedLinearMethod,
    )


def make_scheduler(plugin, model_path=None):
    """A scheduler of SGLang's, as far as adapter and rows look at it."""

    def linear():
        return SimpleNamespace(quant_method=plugin.Unquantized())

    layer = SimpleNamespace(
        self_attn=SimpleNamespace(qkv_proj=linear(), o_proj=linear()),
        mlp=SimpleNamespace(gate_up_proj=linear(), down_proj=linear(), dual_gemm=SimpleNamespace(max_tokens=0)),
    )
    model = SimpleNamespace(layers=[layer], embed_tokens=lambda ids: ids[:, None].float().expand(-1, HIDDEN))
    runner = SimpleNamespace(
        device="cpu",
        dtype=torch.float32,
        model_config=SimpleNamespace(model_path=model_path),
        model=SimpleNamespace(model=model),
    )
    return SimpleNamespace(
        tp_worker=SimpleNamespace(model_runner=runner),
        token_to_kv_pool_allocator=SimpleNamespace(page_size=1),
        req_to_token_pool=SimpleNamespace(req_to_token=SLOTS[None]),
    )


def make_request(policy, **params):
    """A request whose prompt 0, 1, 2, ... has just been prefilled."""
    req = SimpleNamespace(
        rid="r",
        origin_input_ids=list(range(PROMPT_TOKENS)),
        output_ids=[],
        extend_end=PROMPT_TOKENS,
        to_finish=None,
        is_retracted=False,
        finished=lambda: False,
        kv=SimpleNamespace(req_pool_idx=0),
        sampling_params=SimpleNamespace(custom_params=None),
    )
    req._lookaheadkv = RequestState(EvictionPlan(policy, params, 20, 0, 0))
    return req


def loaded(plugin, scheduler):
    embeddings, config = torch.ones(LOOKAHEAD_TOKENS, HIDDEN), SimpleNamespace(fusion=SimpleNamespace())
    config.fusion.model_dump = lambda: {"window_tokens": 10, "pool_width": 3, "sink_tokens": 0, "recent_tokens": 0}
    weights = SimpleNamespace(embeddings=embeddings, config=config, fusion=torch.ones(1, 1, 6))
    plugin.adapter.adapters_of(scheduler).current = plugin.adapter.LoadedAdapter("tiny", 1, None, weights)


def jobs(plugin, scheduler, *requests, first_token=7):
    batch = SimpleNamespace(reqs=requests)
    if first_token is not None:
        plugin.prefills.take_first_tokens(batch, torch.full((len(requests),), first_token))
    return list(plugin.prefills.finished_prefills(scheduler, batch))


def test_fused_asks_for_three_groups_that_do_not_see_each_other(plugin):
    scheduler = make_scheduler(plugin)
    loaded(plugin, scheduler)
    (job,) = jobs(plugin, scheduler, make_request("fused"))
    groups = plugin.observe.groups_of(scheduler, job)
    assert {
        kind: (group.first_position, len(group.context), len(group.embeddings), group.adapted)
        for kind, group in groups.items()
    } == {
        "lookahead_mass": (50, 50, LOOKAHEAD_TOKENS, True),
        # the adapter's window, not the policy's default
        "window_mass": (40, 40, 10, False),
        "first_token_mass": (50, 50, 1, False),
    }
    assert groups["first_token_mass"].embeddings[0, 0] == 7
    assert groups["window_mass"].embeddings[:, 0].tolist() == list(range(40, 50))
    assert all(torch.equal(group.context, SLOTS[: len(group.context)].long()) for group in groups.values())


def test_parameters_of_the_plan_win_over_those_of_the_adapter(plugin):
    scheduler = make_scheduler(plugin)
    loaded(plugin, scheduler)
    (job,) = jobs(plugin, scheduler, make_request("fused", window_tokens=5))
    assert (job.policy.window_tokens, job.policy.pool_width) == (5, 3)


@pytest.mark.parametrize(
    ("policy", "has_adapter", "first_token", "why"),
    [
        ("lookahead", False, 7, "policy 'lookahead' needs an adapter, and there is none"),
        ("fused", True, None, "the first token was not sampled in the step of the prefill"),
        ("no-such", True, 7, "policy 'no-such' cannot be used"),
    ],
)
def test_prompt_that_cannot_be_looked_at_stays_whole_and_says_why(plugin, policy, has_adapter, first_token, why):
    scheduler, req = make_scheduler(plugin), make_request(policy)
    if has_adapter:
        loaded(plugin, scheduler)
    assert jobs(plugin, scheduler, req, first_token=first_token) == []
    assert why in req._lookaheadkv.pending.skipped
    assert req._lookaheadkv.settled


def test_choice_made_before_a_retraction_stands_without_the_adapter(plugin):
    scheduler, req = make_scheduler(plugin), make_request("fused")
    req._lookaheadkv.kept = torch.zeros(1, 1, 20, dtype=torch.int32)
    assert [job.req for job in jobs(plugin, scheduler, req)] == [req]


def test_resumed_request_gets_its_own_last_token(plugin):
    req, sampled = make_request("lookahead"), torch.tensor([7])
    req._lookaheadkv.replay = [3, 4]
    plugin.prefills.take_first_tokens(SimpleNamespace(reqs=[req]), sampled)
    assert sampled.tolist() == [4]


@pytest.fixture
def load(plugin, tiny_model, tmp_path, monkeypatch):
    """load(poison, change): what loading a new adapter said, and whether it is there, after a change of the model."""

    def load(poison="", change=lambda layer: None):
        monkeypatch.setenv(ADAPTER_VARIABLE, str(random_adapter(tiny_model, tmp_path / "adapter", poison)))
        scheduler = make_scheduler(plugin, tiny_model)
        change(scheduler.tp_worker.model_runner.model.model.layers[0])
        return plugin.adapter.load_adapter(scheduler), plugin.adapter.adapters_of(scheduler).current is not None

    return load


def test_adapter_is_loaded(load):
    assert load() == ("", True)


def test_without_a_folder_nothing_is_loaded_and_nothing_is_wrong(plugin, monkeypatch):
    monkeypatch.delenv(ADAPTER_VARIABLE, raising=False)
    assert plugin.adapter.load_adapter(make_scheduler(plugin)) == ""


def test_numbers_that_are_not_finite_are_refused_by_tensor(load):
    why, there = load(poison=EMBEDDINGS)
    assert not there and f"{EMBEDDINGS}: holds values that are not finite" in why


def test_quantised_model_is_refused(load):
    def quantise(layer):
        layer.mlp.down_proj.quant_method = SimpleNamespace()

    why, there = load(change=quantise)
    assert not there and "quant_method: SimpleNamespace has not been tested with an adapter" in why


def test_fused_mlp_that_calls_no_linear_is_refused(load):
    def fuse(layer):
        layer.mlp.dual_gemm.max_tokens = 16

    why, there = load(change=fuse)
    assert not there and f"lookahead_tokens: {LOOKAHEAD_TOKENS} is not above 16" in why


def test_kernels_that_are_off_are_told_to_the_parent_process(plugin, tmp_path, monkeypatch):
    hooks = plugin.hooks
    monkeypatch.setattr(plugin.support, "refuse_settings", lambda: None)
    monkeypatch.setattr(plugin.support, "refuse_model", lambda scheduler: None)
    monkeypatch.setattr(hooks, "check_kernels", lambda scheduler: None)
    monkeypatch.setattr(hooks, "HEALTH", KernelHealth(failed={"lora_rows": "AssertionError: differs"}))
    monkeypatch.delenv(ADAPTER_VARIABLE, raising=False)
    monkeypatch.setenv(START_FILE_VARIABLE, str(tmp_path / "report"))
    hooks.around_scheduler_init(lambda scheduler: None, make_scheduler(plugin))
    assert read_start_report(tmp_path / "report").kernels_off == {"lora_rows": "AssertionError: differs"}
