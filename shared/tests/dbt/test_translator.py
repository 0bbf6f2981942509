"""Conditions by materialization, and code versions that cover what is read in place."""

import copy
from datetime import timedelta
from inspect import signature

import pytest

from platform_shared.automation import EVERY_MINUTE, on_any_input_partition, on_code_change, on_input_change
from platform_shared.dbt.meta import named_conditions
from platform_shared.dbt.translator import code_version, default_condition

TABLE, VIEW, EPHEMERAL, SEED = (f"model.shop.{name}" for name in ("table", "view", "ephemeral", "seed"))


def node(materialized, *parents, resource_type="model", macros=()):
    return {
        "resource_type": resource_type,
        "package_name": "shop",
        "raw_code": f"select 1 -- {materialized}" if resource_type == "model" else "",
        "checksum": {"checksum": "of the file"},
        "config": {"materialized": materialized},
        "depends_on": {"nodes": list(parents), "macros": list(macros)},
    }


def macro(package, *macros):
    return {"package_name": package, "macro_sql": "{% macro %}", "depends_on": {"macros": list(macros)}}


@pytest.fixture
def manifest():
    return {
        "nodes": {
            TABLE: node("table", VIEW),
            VIEW: node("view", EPHEMERAL, SEED),
            EPHEMERAL: node("ephemeral", "source.shop.raw", macros=["macro.shop.outer"]),
            SEED: node("seed", resource_type="seed"),
        },
        "macros": {
            "macro.shop.outer": macro("shop", "macro.shop.inner", "macro.dbt.theirs"),
            "macro.shop.inner": macro("shop", "macro.shop.outer"),
            "macro.dbt.theirs": macro("dbt"),
        },
    }


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("its own SQL", lambda m: m["nodes"][TABLE].update(raw_code="select 2")),
        ("a view that it reads", lambda m: m["nodes"][VIEW].update(raw_code="select 2")),
        ("an ephemeral model below the view", lambda m: m["nodes"][EPHEMERAL].update(raw_code="select 2")),
        ("a macro of that", lambda m: m["macros"]["macro.shop.outer"].update(macro_sql="changed")),
        ("a macro that the macro calls", lambda m: m["macros"]["macro.shop.inner"].update(macro_sql="changed")),
    ],
)
def test_the_code_version_changes_with(manifest, part, change):
    before = code_version(manifest, TABLE)
    assert code_version(copy.deepcopy(manifest), TABLE) == before
    change(manifest)
    assert code_version(manifest, TABLE) != before, part


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("a table that it reads", lambda m: m["nodes"][SEED]["checksum"].update(checksum="another")),
        ("dbt's own macros", lambda m: m["macros"]["macro.dbt.theirs"].update(macro_sql="changed")),
    ],
)
def test_the_code_version_stays_with(manifest, part, change):
    before = code_version(manifest, TABLE)
    change(manifest)
    assert code_version(manifest, TABLE) == before, part


def test_a_seed_is_its_file(manifest):
    before = code_version(manifest, SEED)
    manifest["nodes"][SEED]["checksum"]["checksum"] = "another"
    assert code_version(manifest, SEED) != before


def test_conditions_by_materialization():
    assert default_condition(node("view"), partitioned=False) == on_code_change()
    assert default_condition(node("seed", resource_type="seed"), partitioned=False) == on_code_change()
    assert default_condition(node("incremental"), partitioned=True) == on_input_change(at_most_every=EVERY_MINUTE)
    for materialized in ("table", "snapshot"):
        condition = default_condition(node(materialized), partitioned=False)
        assert condition == on_any_input_partition(at_most_every=EVERY_MINUTE)


def test_every_named_condition_can_look_through_views():
    """The method is exported without being marked public (docs/adr/0005): an upgrade that moves it is seen here."""
    for name, make in named_conditions().items():
        arguments = {"lookback": timedelta(days=7), "cron": "0 6 * * *", "timezone": "America/New_York"}
        needed = {p.name: arguments[p.name] for p in signature(make).parameters.values() if p.default is p.empty}
        condition = make(**needed)
        assert not getattr(type(condition).resolve_through_virtual, "_is_public", False)
        assert "resolves_virtual_deps=True" in repr(condition.resolve_through_virtual()), name
