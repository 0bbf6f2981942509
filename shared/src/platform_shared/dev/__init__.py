"""The supervisor behind `make dev`: the process model of every deployed form, on one machine and with edits served.

One code server a location, one daemon, one webserver, the demo world. Built on asyncio and psutil: the kept libraries
for Procfiles (honcho) cannot restart one process of several.
"""
