"""How long a driver's call may take."""

from typing import get_args

from tzar_actors.core.call_limits import CallLimits, LaneVerb
from tzar_actors.core.vm_events import Verb


def test_every_verb_has_a_limit_that_follows_from_the_settings():
    limits = CallLimits(call_timeout_s=40.0, boot_timeout_s=100.0, stop_timeout_s=15.0)
    assert {verb: limits.limit_s(verb) for verb in get_args(LaneVerb)} == {
        "create": 200.0,
        "start": 140.0,
        "restore": 140.0,
        "stop": 55.0,
        "kill": 40.0,
        "remove": 80.0,
        "status": 20.0,
        "evidence": 20.0,
    }
    assert set(get_args(Verb)) < set(get_args(LaneVerb))


def test_a_vm_that_is_asked_to_stop_has_its_time_however_short_the_limit_is():
    assert CallLimits(call_timeout_s=0.1, stop_timeout_s=60.0).limit_s("stop") > 60.0
