"""The lock of a table, looked at inside the commit itself.

A writer checks its lock and then commits; a session that dies in between lets the next writer in, and both commits
would count: DuckLake takes a batch that both deleted and wrote for two. So each commit carries its lock in the
snapshot's `extra_info`, and a trigger in the catalog refuses a commit whose lock is gone. The trigger holds a second
lock until the commit has ended, for which the next holder of the table's lock waits (`locks.table_lock`).
"""

from platform_shared.postgres import CATALOG_SCHEMA, PLATFORM_SCHEMA
from platform_shared.warehouse.locks import HELD, TableLock

AUTHOR = "platform"
"""`author` of the snapshots that are held against their lock."""

_NAME = "platform_fence_1"
"""Of function and trigger; another text needs another number."""

_INSTALL = f"""
    CREATE OR REPLACE FUNCTION {PLATFORM_SCHEMA}.{_NAME}() RETURNS trigger LANGUAGE plpgsql AS $function$
    DECLARE
        of_table bigint := NEW.commit_extra_info::jsonb #>> '{{lock,key}}';
        of_session integer := NEW.commit_extra_info::jsonb #>> '{{lock,session}}';
    BEGIN
        PERFORM pg_advisory_xact_lock(of_table # 1);
        IF NOT EXISTS ({HELD.format(key="of_table", session="of_session")}) THEN
            RAISE EXCEPTION 'the lock of the table is lost';
        END IF;
        RETURN NEW;
    END
    $function$;
    CREATE OR REPLACE TRIGGER {_NAME} BEFORE INSERT ON {CATALOG_SCHEMA}.ducklake_snapshot_changes FOR EACH ROW
    WHEN (NEW.author = '{AUTHOR}') EXECUTE FUNCTION {PLATFORM_SCHEMA}.{_NAME}();
"""


def fence_token(lock: TableLock) -> dict[str, str]:
    """What a commit says of its lock, as `lock` in its `extra_info`."""
    return {"key": str(lock.key), "session": str(lock.session)}


def ensure_fence(lock: TableLock) -> None:
    """Puts the trigger into the catalog, which DuckLake has made, if it is not there."""
    installed = "SELECT 1 FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = %s"
    if lock.ask(installed, (f"{CATALOG_SCHEMA}.ducklake_snapshot_changes", _NAME)) is None:
        lock.ask(f"BEGIN; SELECT pg_advisory_xact_lock(hashtext('{_NAME}')); {_INSTALL} COMMIT")
