"""Names each attribute of Dagster that is exported but not marked public and that the watching sensors rest on.

A failure here after an upgrade says which one moved, or has become public and may leave the list.
"""

import inspect

import dagster as dg
import pytest

USED = {
    "get_freshness_state_records": ("keys",),
    "all_instigator_state": (),
    "get_batch_ticks": ("selector_ids", "limit"),
}


@pytest.mark.parametrize("name", USED)
def test_a_name_is_there_and_still_needs_the_permission(name: str) -> None:
    found = getattr(dg.DagsterInstance, name, None)
    assert found is not None, (
        f"dagster has moved DagsterInstance.{name}: platform_shared.alerts.observed has to follow."
    )
    assert {*USED[name]} <= {*inspect.signature(found).parameters}
    assert not getattr(found, "_is_public", False), f"DagsterInstance.{name} is public now: take it off this list."
