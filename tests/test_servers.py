"""Local web servers that end with their parent, tested with the HTTP server of the standard library."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from workbench import servers
from workbench.errors import ConfigError, StudyError

linux = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at Linux's /proc")

FILES = ("http.server", "--bind", "127.0.0.1")
# A process that starts a server, prints the server's port and process id, and waits to be killed.
PARENT = """
import time
from workbench import servers
words = ["--bind", "127.0.0.1"]
with servers.reserve_port(8900) as port, servers.start("Files", "http.server", str(port), *words, port=port) as server:
    server.wait()
    print(port, server.process.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def taken():
    """Return a port that another socket listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def listening(port: int) -> set[str]:
    """Return the addresses at which something listens on a port, as Linux writes them."""
    rows = [row.split() for file in ("tcp", "tcp6") for row in Path(f"/proc/net/{file}").read_text().splitlines()[1:]]
    return {row[1].rpartition(":")[0] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}


def group(leader: int) -> list[int]:
    """Return the processes of a group that are not dead."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def gone(leader: int, port: int, seconds: float = 5.0) -> bool:
    """Return whether a server's processes and its port are gone within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not group(leader) and not listening(port):
            return True
        time.sleep(0.05)
    return False


@linux
def test_a_server_answers_on_this_machine_only_and_is_gone_after_its_context(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.txt").write_text("here")
    with (
        servers.reserve_port(8900) as port,
        servers.start("Files", FILES[0], str(port), *FILES[1:], port=port) as server,
    ):
        server.wait()
        server.check()
        with urllib.request.urlopen(f"{server.address}/page.txt", timeout=5) as response:
            assert response.read() == b"here"
        assert server.address == f"http://127.0.0.1:{port}"
        assert listening(port) == {"0100007F"}
        assert server.process.pid in group(server.process.pid)
    assert group(server.process.pid) == []
    assert listening(port) == set()


def test_a_server_that_cannot_start_says_why(taken):
    with servers.start("Files", FILES[0], str(taken), *FILES[1:], port=taken) as server:
        server.process.wait(10)
        with pytest.raises(StudyError, match=r"^Files ended with exit status 1 \(OSError: .*in use\)\. Try another"):
            server.check()


def test_waiting_for_a_server_that_ended_does_not_go_on():
    with (
        servers.start("Nothing", "workbench.no_such_module", port=1) as server,
        pytest.raises(StudyError, match=r"^Nothing ended with exit status 1 \(.*No module named"),
    ):
        server.wait()


@linux
@pytest.mark.parametrize("sign", ["SIGTERM", "SIGKILL"])
def test_a_server_ends_with_a_parent_that_is_killed(sign):
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        port, pid = map(int, parent.stdout.readline().split())
        assert listening(port)
        parent.send_signal(getattr(signal, sign))
        parent.wait(10)
    assert gone(pid, port)


@linux
def test_a_server_that_ignores_sigterm_is_killed_with_its_children(tmp_path, monkeypatch):
    # It ignores SIGTERM, and its child would outlive it.
    (tmp_path / "stubborn.py").write_text(
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.fork()\ntime.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setattr(servers, "_STOP_TIMEOUT", 0.5)
    with servers.start("Stubborn", "stubborn", port=1) as server:
        end = time.monotonic() + 10
        while len(group(server.process.pid)) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        assert len(group(server.process.pid)) == 2
    assert gone(server.process.pid, port=1)


def test_a_port_that_is_taken_gives_the_next_free_one(taken):
    with servers.reserve_port(taken) as port:
        assert taken < port < taken + 20


def test_a_port_is_given_to_one_server_at_a_time_though_none_listens_yet(taken):
    with servers.reserve_port(taken) as port:
        with servers.reserve_port(port) as other:
            assert port < other < port + 20
        again = f"from workbench import servers\nwith servers.reserve_port({port}) as port: print(port)"
        ended = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True, check=True)
        assert int(ended.stdout) != port
    with servers.reserve_port(port) as once_more:
        assert once_more == port


def test_at_the_end_of_the_range_any_port_does():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 65535))
        other.listen()
        with servers.reserve_port(65535) as port:
            assert 1024 <= port < 65535


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    servers.require("json", option="--text")
    with pytest.raises(ConfigError) as refusal:
        servers.require("no_such_thing", option="--thing")
    assert str(refusal.value) == (
        "--thing needs no-such-thing, which is not installed. Install it with: pip install no-such-thing"
    )
