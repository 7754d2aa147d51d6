"""Every wrong configuration is refused with one line that names the key."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackbert.config import check, ordered, read_texts
from stackbert.errors import UserError
from stackbert.flops import flops_per_token, recipe_flops
from stackbert.recipes import resolve

ROOT = Path(__file__).parent.parent
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay `over` on `base` as snakemake does: mappings merge, anything else is replaced."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def change(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def apply(config: Any) -> None:
        for part in path[:-1]:
            config = config[part]
        config[path[-1]] = to

    return apply


def test_texts_from_the_command_line_get_their_types() -> None:
    given = {"glue": {"subset": "True", "seeds": ["4", "5"], "learning_rate": "1e-3", "path": "5"}}
    config = merged(DEFAULT, given | {"pretrain": {"tokens_per_batch": "many"}})
    read_texts(config, ROOT / "workflow")
    glue = config["glue"]
    assert glue["subset"] is True and glue["seeds"] == [4, 5] and glue["learning_rate"] == 0.001
    assert glue["path"] == "5"
    with pytest.raises(UserError, match='tokens_per_batch: given "many", allowed type integer'):
        check(config, ROOT / "workflow")


def option(**keys: Any) -> Callable[[dict[str, Any]], None]:
    """Give the second stage of the default's stacking (170 updates) further keys."""
    return lambda config: config["recipes"]["stacking"][1].update(keys)


def test_default_and_overlays_are_right() -> None:
    check(DEFAULT, ROOT / "workflow")
    lab = merged(DEFAULT, yaml.safe_load((ROOT / "configs/growth_lab.yaml").read_text()))
    for overlay in [*(ROOT / "configs").glob("*.yaml"), ROOT / "tests/workflow/tiny.yaml"]:
        base = lab if overlay.stem.startswith("growth_lab_") else DEFAULT
        check(merged(base, yaml.safe_load(overlay.read_text())), ROOT / "workflow")


def test_every_key_of_the_schema_is_in_the_default_with_a_comment() -> None:
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    text = (ROOT / "config.yaml").read_text().splitlines()
    for section, entry in schema["properties"].items():
        for key in entry.get("properties", {section: None}):
            if section in ("recipes", "compare"):
                continue
            lines = [line for line in text if line.strip().startswith(f"{key}:")]
            assert lines, key
            assert any("#" in line for line in lines), f"{key} has no comment"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("model", "width", to="a"), r'model\.width: given "a", allowed type integer'),
        (change("modle", to=1), "modle is unknown, allowed: results"),
        (change("model", "widht", to=1), "widht in model is unknown, allowed: width"),
        (change("model", "dropout", to=1), r"model\.dropout: given 1, allowed less than 1"),
        (change("model", "heads", to=3), r"model\.width: given \d+, allowed a multiple of 2 x"),
        (change("seed", to=True), "seed: given true, allowed type integer"),
        (change("device", to="gpu"), 'device: given "gpu", allowed one of: auto, cpu, cuda'),
        (change("corpus", "dump", "sha256", to="x"), r"corpus\.dump\.sha256: given \"x\""),
        (change("corpus", "dump", "url", to="http://x"), "one of package, url, path; none only"),
        (change("corpus", "dump", "member", to=None), r"corpus\.dump\.member: given null"),
        (change("recipes", "stacking", 1, "layers", to=7), r"stacking\[1\]\.layers: 3 layers"),
        (change("recipes", "stacking", 1, "layers", to=-7), r"\[1\]\.layers: given -7, allowed at"),
        (change("recipes", "stacking", 0, "grow", to="stack"), r"stacking\[0\]\.grow: given"),
        (change("recipes", "stacking", 1, "lr", to=[[0, 1], [3, 4]]), r"updates that rise from 0"),
        (change("recipes", "a b", to=[]), r'recipes: given "a b"'),
        (option(grow="masked"), r"\[1\]\.mask_updates: given null, allowed with grow: masked"),
        (option(mask_updates=9), r"\[1\]\.mask_updates: given 9, allowed with grow: masked"),
        (option(grow="masked", mask_updates=170), r"mask_updates: given 170, allowed less than"),
        (option(grow="learned"), r"\[1\]\.learn_updates: given null, allowed with grow: learned"),
        (option(freeze=170), r"\[1\]\.freeze: given 170, allowed less than updates \(170\)"),
        (option(grow="identity", moments="copy"), r'"copy", allowed reset or keep with grow: id'),
        (option(grow="learned", learn_updates=9, moments="keep"), "allowed reset with grow: lea"),
        (option(grow=["stack", "masked"], fork_updates=9), r"\[1\]\.grow: given .* allowed to try"),
        (option(grow=["stack", "middle"]), r"fork_updates: given null, allowed 1 to updates"),
        (option(fork_updates=9), "fork_updates: given 9, allowed only with a list"),
        (option(grow=["stack"], fork_updates=9), r"grow: given \[\"stack\"\], allowed at least 2"),
        (option(grow="pile"), 'grow: given "pile", allowed one of: stack'),
        (option(grow=["stack", "identity"], fork_updates=9, moments="copy"), "with grow: identity"),
        (
            change("recipes", "scratch", 0, "until_slope", to=3),
            "allowed in a stage before",
        ),
        (option(moments="double"), 'moments: given "double", allowed one of: reset, copy, scaled'),
        (change("recipes", "stacking", 0, "freeze", to=3), "freeze: given 3, allowed only in a"),
        (change("compare", to={"arms": ["none"], "seeds": [1]}), r"compare\.arms: given none"),
        (change("compare", to={"arms": ["stacking"], "seeds": [1]}), 'control: given "scratch"'),
        (
            change("recipes", "x", to={"schedule": "cosine"}),
            r"recipes\.x: budget, peak, .* missing",
        ),
        (change("recipes", "x", to=3), r"recipes\.x: given 3, allowed type array"),
        (change("control", to="none"), 'control: given "none", allowed one of the recipes'),
        (change("pretrain", "tokens_per_batch", to=1000), r"tokens_per_update: given"),
        (change("pretrain", "max_positions", to=10**6), r"pretrain\.max_positions: given"),
        (change("glue", "max_positions", to=10**6), r"glue\.max_positions: given"),
        (change("glue", "tasks", to=["SST"]), r'glue\.tasks: given "SST", allowed one of: CoLA'),
        (lambda config: config["glue"].pop("seeds"), "glue: seeds missing"),
    ],
)
def test_wrong_values_name_key_given_and_allowed(edit: Callable, message: str) -> None:
    config = copy.deepcopy(DEFAULT)
    edit(config)
    with pytest.raises(UserError, match=message) as error:
        check(config, ROOT / "workflow")
    assert str(error.value).startswith("config key ") and "\n" not in str(error.value)


def test_order_of_keys_is_no_difference() -> None:
    one = {"b": [{"y": 1, "x": [2, 1]}], "a": {"d": 1, "c": 2}}
    other = {"a": {"c": 2, "d": 1}, "b": [{"x": [2, 1], "y": 1}]}
    assert repr(ordered(one)) == repr(ordered(other)) and ordered(one) == one


def test_default_recipes_and_the_best_one_cost_the_same_compute() -> None:
    config = resolve(merged(DEFAULT, yaml.safe_load((ROOT / "configs/growing.yaml").read_text())))
    flops = {name: recipe_flops(config, stages) for name, stages in config["recipes"].items()}
    assert list(flops) == ["stacking", "scratch", "growing"]
    assert flops["stacking"] == pytest.approx(flops["scratch"], rel=0.01)
    assert flops["growing"] == pytest.approx(flops["scratch"], rel=0.01)


@pytest.mark.parametrize("variant", ["growth_lab", "growth_lab_long", "growth_lab_gpu"])
def test_arms_of_the_lab_cost_the_same_and_are_annealed(variant: str) -> None:
    config = DEFAULT
    for name in sorted({"growth_lab", variant}):
        config = merged(config, yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text()))
    recipes = resolve(config)["recipes"]
    whole = recipe_flops(config, recipes["scratch-seed1"])
    for name, stages in recipes.items():
        share = {"third": 1 / 3, "fifth": 1 / 5}.get(name.split("-")[0].split("_")[-1], 1)
        assert recipe_flops(config, stages) == pytest.approx(share * whole, rel=0.01), name
        assert stages[-1]["lr"][-1][1] < 0.01 * stages[-1]["lr"][-2][1], name
        assert stages[-1]["layers"] == 12


def test_default_recipes_anneal() -> None:
    for stages in DEFAULT["recipes"].values():
        highest = max(rate for stage in stages for _, rate in stage["lr"])
        assert stages[-1]["lr"][-1][1] < 0.01 * highest


def test_flops_of_bert_base() -> None:
    # 6 x 85 M parameters of the layers x tokens, plus attention over 128 positions and the head.
    layers = 12 * (4 * 768**2 + 2 * 768 * 3072 + 2 * 128 * 768)
    head = 768**2 + 768 * 32768
    assert flops_per_token(12, 768, 3072, 128, 32768, 1.0) == 6 * (layers + head)
