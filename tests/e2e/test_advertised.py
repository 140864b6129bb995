"""Agents dial what their host's settings say, for orders and for genomes alike, wherever the supervisor listens."""

import os
import sys

import psutil
import pytest

import tzar_actors
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES

PATIENCE_S = 60.0
GAME = "def play(genome, params, game):\n    return float(genome[0])\n"


@pytest.mark.skipif(sys.platform != "linux", reason="every address of 127.0.0.0/8 is this machine's only there")
def test_an_agent_gets_orders_and_large_genomes_from_the_address_that_its_host_names(tmp_path):
    (tmp_path / "advertised_game.py").write_text(GAME)
    config = {
        "fleet": {"state_dir": str(tmp_path / "state"), "listen": "0.0.0.0", "share_blobs": False},
        "hosts": [{"name": "here", "vms": 1, "advertise": "127.0.0.2"}],
    }
    evaluator = {"kind": "python", "target": "advertised_game:play", "path": [str(tmp_path)]}
    with tzar_actors.launch({**config, "evaluator": evaluator}) as fleet:
        genome = b"\x07" + os.urandom(INLINE_LIMIT_BYTES)
        assert fleet.submit(genome).result(PATIENCE_S).fitness == 7.0
        [row] = fleet.status().vms
        agent = psutil.Process(row.pid)
        dialled = {end.raddr.ip for end in agent.net_connections("tcp") if end.raddr and end.status == "ESTABLISHED"}
        ports = {end.raddr.port for end in agent.net_connections("tcp") if end.raddr}
    assert dialled == {"127.0.0.2"}
    assert len(ports) == 2
