import pkgutil

import pytest

from platform_shared.cli import commands
from platform_shared.cli.main import main


def test_help_lists_every_subcommand(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    names = [info.name.replace("_", "-") for info in pkgutil.iter_modules(commands.__path__)]
    assert {"sql", "status", "check", "setup", "dev", "demo"} <= set(names)
    assert all(name in printed for name in names)


def test_an_expected_error_is_one_line_without_traceback(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / "a"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "b"))
    assert main(["status"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("platform status: ")
    assert "different platforms" in printed
    assert "Traceback" not in printed
