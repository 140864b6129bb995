"""VMs are powered without a supervisor as one would: what must be committed is, and an error stays with its VM."""

import json
import threading
from dataclasses import replace

import pytest

from tzar_actors.by_hand.power import ByHand
from tzar_actors.by_hand.reach import Reach
from tzar_actors.client.fleet import ACCESS_FILE
from tzar_actors.drivers.fake import FakeDriver
from tzar_actors.errors import ConfigError, DriverError, LockedError
from tzar_actors.gateway.keys import TrainerAccess, load_or_make_keys
from tzar_actors.journal.reading import kept_fleet
from tzar_actors.settings import Settings

PATIENCE_S = 20.0


@pytest.fixture
def settings(tmp_path):
    hosts = [{"name": "h", "vms": 2, "boots_at_a_time": 2}, {"name": "i", "vms": 1}]
    return Settings.from_mapping({"fleet": {"state_dir": "state"}, "hosts": hosts}, folder=tmp_path)


@pytest.fixture
def fakes(monkeypatch):
    """The drivers' fakes by host, which are there for as long as the test; and the identities they delivered."""
    delivered = []
    drivers = {}
    for host in "hi":
        drivers[host] = FakeDriver(host, on_start=lambda vm, identity: delivered.append(identity))
    drivers["delivered"] = delivered
    monkeypatch.setattr("tzar_actors.by_hand.reach.make_driver", lambda host, fleet, state_dir: drivers[host.name])
    return drivers


@pytest.fixture
def do(settings, fakes):
    """Does it to VMs, and says how it ended, by VM."""

    def do(verb, *names):
        with ByHand(settings) as hand:
            vms = hand.reach.find(names, are_all=not names)
            return {done.vm: done for done in hand.each(verb, vms, timeout_s=1.0)}

    return do


def journalled(settings):
    return kept_fleet(settings.state_dir / "journal.sqlite").vms


def test_a_boot_has_an_incarnation_that_is_committed_before_with_the_key_that_the_vm_was_given(do, fakes, settings):
    def look(vm, identity):
        known = journalled(settings)[vm]
        assert (known.incarnation, known.public_key) == (identity.incarnation, identity.public_key)
        seen.append(vm)

    seen = []
    fakes["h"]._on_start = look
    assert do("start", "tzar-01")["tzar-01"].incarnation == 1
    assert do("restart", "tzar-01")["tzar-01"].incarnation == 2
    assert seen == ["tzar-01", "tzar-01"]


def test_an_identity_leads_to_the_supervisor_that_will_come(do, fakes, settings):
    do("start", "tzar-01")
    do("start", "tzar-03")
    one, another = fakes["delivered"]
    server, _ = load_or_make_keys(settings.state_dir)
    access = TrainerAccess.load(settings.state_dir / ACCESS_FILE)
    assert one.endpoint == another.endpoint == access.endpoint
    assert one.server_key == another.server_key == server.public == access.server_key
    assert (one.vm, another.vm) == ("tzar-01", "tzar-03")
    assert one.secret_key != another.secret_key
    assert one.orphan_s == settings.fleet.orphan_s


def test_a_chosen_port_is_the_one_that_is_dialled(do, fakes, settings):
    fleet = settings.fleet.model_copy(update={"port": 7077, "listen": "0.0.0.0"})
    chosen = settings.model_copy(update={"fleet": fleet})
    with ByHand(chosen) as hand:
        list(hand.each("start", {"tzar-01": "h"}, 1.0))
    assert fakes["delivered"][0].endpoint == "tcp://127.0.0.1:7077"
    assert not (settings.state_dir / ACCESS_FILE).exists(), "nothing had to be chosen"


def test_what_runs_already_is_left_alone(do, fakes):
    do("start", "tzar-01")
    assert "runs already" in do("start", "tzar-01")["tzar-01"].text
    assert len(fakes["delivered"]) == 1


def test_a_reset_makes_a_new_disk_where_there_is_no_checkpoint(do, fakes, settings):
    do("start", "tzar-01")
    machine = fakes["h"].vms["tzar-01"].machine_id
    done = do("reset", "tzar-01")["tzar-01"]
    assert (done.ok, done.incarnation) == (True, 2)
    vm = fakes["h"].vms["tzar-01"]
    assert vm.is_running
    assert vm.machine_id != machine
    assert journalled(settings)["tzar-01"].machine_id == vm.machine_id


def test_a_reset_restores_the_checkpoint_where_the_host_has_one(do, fakes, settings):
    do("start", "tzar-01")
    machine = fakes["h"].vms["tzar-01"].machine_id
    fakes["h"].checkpoint("tzar-01", "clean")
    fakes["h"].vms["tzar-01"].files["new"] = b"1"
    with ByHand(settings) as hand:
        hand.reach.plans["h"] = replace(hand.reach.plans["h"], checkpoint="clean")
        (done,) = hand.each("reset", {"tzar-01": "h"}, 1.0)
    assert (done.ok, done.incarnation) == (True, 2)
    assert (fakes["h"].vms["tzar-01"].machine_id, fakes["h"].vms["tzar-01"].files) == (machine, {})


def test_a_stop_is_kept_and_a_start_ends_it(do, settings):
    do("start", "tzar-01")
    do("stop", "tzar-01")
    assert journalled(settings)["tzar-01"].is_held
    do("start", "tzar-01")
    assert not journalled(settings)["tzar-01"].is_held


def test_a_vm_that_does_not_heed_a_stop_is_turned_off(do, fakes):
    do("create", "tzar-01")
    fakes["h"].vms["tzar-01"].heeds_stop = False
    do("start", "tzar-01")
    done = do("stop", "tzar-01")["tzar-01"]
    assert done.ok
    assert done.text.startswith("turned off, since it did not stop: it was asked to stop")
    assert not fakes["h"].vms["tzar-01"].is_running


def test_a_host_that_is_busy_turns_nothing_off(do, fakes):
    do("start", "tzar-01")
    fakes["h"].fail_next("stop", DriverError("too many operations", host="h", vm="tzar-01", busy=True))
    assert not do("stop", "tzar-01")["tzar-01"].ok
    assert fakes["h"].vms["tzar-01"].is_running


def test_a_removed_vm_keeps_its_number_and_nothing_else(do, fakes, settings):
    do("start", "tzar-01")
    do("stop", "tzar-01")
    assert do("remove", "tzar-01")["tzar-01"].ok
    assert fakes["h"].vms == {}
    known = journalled(settings)["tzar-01"]
    assert (known.machine_id, known.is_held, known.incarnation) == (None, False, 1)
    assert do("start", "tzar-01")["tzar-01"].incarnation == 2


def test_an_error_of_one_keeps_none_of_the_others(do, fakes, settings):
    fakes["h"].fail_next("create", DriverError("the disk is full", host="h"))
    fakes["i"].unreachable = True
    done = do("start", "tzar-01", "tzar-02", "tzar-03")
    assert sorted(each.ok for each in done.values()) == [False, False, True]
    assert "does not answer" in done["tzar-03"].text
    lines = (settings.state_dir / "events.jsonl").read_text(encoding="utf-8").splitlines()
    failed = [event for event in map(json.loads, lines) if event["event"] == "driver_failed"]
    assert sorted(event["host"] for event in failed) == ["h", "i"]


def test_an_incarnation_is_above_the_one_that_the_vm_has_whatever_the_journal_knows(do, fakes, settings):
    do("start", "tzar-01")
    fakes["h"].vms["tzar-01"].incarnation = 7  # the journal is an older copy
    assert do("restart", "tzar-01")["tzar-01"].incarnation == 8


def test_two_do_not_hold_a_state_folder(settings, fakes):
    with ByHand(settings), pytest.raises(LockedError, match="another supervisor runs on"), ByHand(settings):
        pytest.fail("it holds it as well")
    with ByHand(settings):
        """It was let go."""


def test_a_vm_that_nobody_knows_and_that_bears_the_mark_is_found(do, fakes, settings):
    do("create", "tzar-01")
    fakes["h"].create("tzar-77")
    with Reach(settings) as reach:
        assert reach.find(["tzar-77"]) == {"tzar-77": "h"}
        assert set(reach.find([], are_all=True)) == {"tzar-01", "tzar-02", "tzar-03", "tzar-77"}
        with pytest.raises(ConfigError, match="nearest known is tzar-0"):
            reach.find(["tzar-77"], only_configured=True)
    assert do("remove", "tzar-77")["tzar-77"].ok


def test_what_a_host_that_cannot_be_asked_has_is_unknown_and_never_absent(do, fakes, settings):
    do("create", "tzar-01")
    fakes["h"].unreachable = True
    with Reach(settings) as reach:
        seen = {each.vm: each for each in reach.look(reach.find([], are_all=True))}
    assert {vm: each.power for vm, each in seen.items()} == {
        "tzar-01": "unknown",
        "tzar-02": "unknown",
        "tzar-03": "absent",
    }
    assert "does not answer" in seen["tzar-01"].detail


def test_vms_are_numbered_and_found_as_the_supervisor_does(settings):
    with Reach(settings) as reach:
        assert reach.configured == {"tzar-01": "h", "tzar-02": "h", "tzar-03": "i"}
        assert {seen.power for seen in reach.look(reach.configured)} == {"absent"}, "there is no fleet yet"
    assert not settings.state_dir.exists()


def test_a_host_without_credentials_keeps_nobody_from_another_one(settings, fakes, do, monkeypatch):
    do("start")

    def make(host, fleet, state_dir):
        if host.name == "i":
            raise ConfigError("there are no credentials of i. Set them")
        return fakes[host.name]

    monkeypatch.setattr("tzar_actors.by_hand.reach.make_driver", make)
    done = do("stop", "tzar-01", "tzar-03")
    assert (done["tzar-01"].ok, done["tzar-03"].ok) == (True, False)
    assert "there are no credentials of i. Set them" in done["tzar-03"].text
    with Reach(settings) as reach:
        seen = {row.vm: row for row in reach.look(reach.find((), are_all=True))}
    assert {vm: row.power for vm, row in seen.items()} == {"tzar-01": "off", "tzar-02": "running", "tzar-03": "unknown"}
    assert "credentials" in seen["tzar-03"].detail


def test_who_is_interrupted_does_no_more(settings, fakes, monkeypatch):
    made, goes_on = [], threading.Event()

    def slowly(vm):
        made.append(vm)
        if len(made) > 1:
            goes_on.wait(PATIENCE_S)
        return f"machine of {vm}"

    monkeypatch.setattr(fakes["h"], "create", slowly)
    monkeypatch.setattr(fakes["i"], "create", slowly)
    vms = {f"vm-{number}": "hi"[number % 2] for number in range(50)}
    with ByHand(settings) as hand:
        doing = hand.each("create", vms, 1.0)
        next(doing)
        threading.Timer(1.0, goes_on.set).start()  # once it was interrupted, which waits for those under way
        with pytest.raises(KeyboardInterrupt):
            doing.throw(KeyboardInterrupt)
    assert 1 < len(made) <= 1 + 2 * 4
