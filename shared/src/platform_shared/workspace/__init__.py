"""The workspace as a whole: which locations there are, what each defines, and the rules that hold between them.

Each location is loaded in a process of its own and snapshotted as JSON; whatever spans locations reads snapshots.
"""

OFF_METADATA_KEY = "platform/off"
"""Metadata of a schedule or sensor that is meant to be stopped; the value is the reason, for people.

Dagster's default status is STOPPED, so a stopped instigator does not tell a decision from an omission: this key does.
"""

SHOWS_TAG = "platform/shows"
"""Tag of an asset that is there to show how something behaves, named by the value; nobody waits until it is built.

Whatever asks whether all assets are built leaves these out: they may stay missing or stale by design.
"""
