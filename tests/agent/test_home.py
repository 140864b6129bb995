"""An identity that comes in: taken once, and only by the machine that it names."""

import json
import os
import time

import pytest

from tzar_agent import home as home_module
from tzar_agent.home import Home
from tzar_agent.machine import virtual_machine_id
from tzar_agent.protocol.identity import Identity, IdentityError

ID = "0f0e0d0c-0000-4000-8000-00000000000a"


def identity(machine_id=None):
    keys = {"server_key": "s" * 40, "public_key": "p" * 40, "secret_key": "x" * 40}
    return Identity("fleet", "vm-1", 3, "tcp://10.0.0.1:9", **keys, entropy="00", time=1.0, orphan_s=None,
                    machine_id=machine_id)  # fmt: skip


@pytest.fixture
def now(monkeypatch):
    """Monotonic seconds, as the home sees them."""
    now = [0.0]
    monkeypatch.setattr(home_module, "time", Clock(now))
    return now


class Clock:
    def __init__(self, now):
        self.time = time.time
        self._now = now

    def monotonic(self):
        return self._now[0]


def deliver(home, document):
    home.identity.write_text(document.to_json(), encoding="utf-8")


def test_an_identity_is_taken_once_and_removed(tmp_path):
    home = Home(tmp_path)
    deliver(home, identity())
    assert home.take_identity() == identity()
    assert not home.has_identity()
    assert home.take_identity() is None


@pytest.mark.parametrize("named", [ID, ID.upper()])
def test_an_identity_that_names_this_machine_is_taken(tmp_path, named):
    home = Home(tmp_path, machine_id=lambda: ID.upper())
    deliver(home, identity(named))
    assert home.take_identity() == identity(named)


@pytest.mark.parametrize("this", ["another", None])
def test_an_identity_of_another_machine_is_refused_and_removed(tmp_path, now, this):
    home = Home(tmp_path, machine_id=lambda: this)
    deliver(home, identity(ID))
    assert home.take_identity() is None
    assert home.has_identity(), "a clone may bear its template's name for a moment"
    now[0] = 10.0
    assert home.take_identity() is None
    assert not home.has_identity()


def test_a_machine_that_learns_its_name_late_takes_the_identity(tmp_path, now):
    name = ["of the template"]
    home = Home(tmp_path, machine_id=lambda: name[0])
    deliver(home, identity(ID))
    assert home.take_identity() is None
    name[0], now[0] = ID, 9.0
    assert home.take_identity() == identity(ID)


def test_each_identity_has_its_own_time_of_grace(tmp_path, now):
    home = Home(tmp_path, machine_id=lambda: "another")
    deliver(home, identity("first"))
    home.take_identity()
    now[0] = 9.0
    deliver(home, identity("second"))
    home.take_identity()
    now[0] = 18.0
    assert home.take_identity() is None
    assert home.has_identity()


def test_a_machine_that_is_no_hyper_v_guest_has_no_name():
    assert virtual_machine_id() is None or os.name == "nt"


def test_the_document_names_a_machine_only_where_the_identity_does():
    assert "machine_id" not in json.loads(identity().to_json())
    assert json.loads(identity(ID).to_json())["machine_id"] == ID
    assert Identity.from_json(identity(ID).to_json()) == identity(ID)


@pytest.mark.parametrize("wrong", ["", 7, None])
def test_a_machine_id_that_is_no_text_is_refused(wrong):
    document = json.loads(identity(ID).to_json()) | {"machine_id": wrong}
    with pytest.raises(IdentityError, match="field machine_id has a wrong value"):
        Identity.from_json(json.dumps(document))
