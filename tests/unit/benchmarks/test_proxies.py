"""A peer that is not installed is missing from the table, with what to do about it."""

from pathlib import Path

import pytest

from benchmarks.proxies import NotInstalledError, haproxy_command, nginx_command


@pytest.mark.parametrize(("command", "program"), [(haproxy_command, "haproxy"), (nginx_command, "nginx")])
def test_what_is_not_installed_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: object, program: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_args, **_options: None)
    assert callable(command)
    with pytest.raises(NotInstalledError, match=f"apt-get install {program}"):
        command(81, 82, tmp_path)


def test_the_configuration_names_both_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda program, **_options: f"/bin/{program}")
    command = nginx_command(81, 82, tmp_path, buffering=False)
    written = Path(command[-1]).read_text()
    assert command[0] == "/bin/nginx"
    assert "listen 127.0.0.1:81;" in written
    assert "server 127.0.0.1:82;" in written
    assert "proxy_buffering off;" in written
