import pytest

from tzar_actors.core.restart import Failed, GiveUp, Restart, RestartIntensity, Settled


def fail_at(intensity, *times):
    commands = ()
    for at in times:
        intensity, commands = intensity.step(Failed(at, jitter=0.0))
    return intensity, commands


@pytest.mark.promise(4, "ladder")
def test_delay_doubles_with_each_failure_up_to_the_longest():
    intensity = RestartIntensity(limit=9, first_delay_s=1.0, longest_delay_s=6.0)
    delays = []
    for at in range(5):
        intensity, (command,) = intensity.step(Failed(at, jitter=1.0))
        delays.append(command.after_s)
    assert delays == [1.0, 2.0, 4.0, 6.0, 6.0]


def test_jitter_spreads_a_delay_between_its_half_and_the_whole():
    intensity = RestartIntensity(first_delay_s=4.0)
    assert intensity.step(Failed(0.0, jitter=0.0))[1] == (Restart(2.0),)
    assert intensity.step(Failed(0.0, jitter=0.5))[1] == (Restart(3.0),)


@pytest.mark.promise(4, "ladder")
def test_one_failure_over_the_limit_gives_up_with_the_evidence():
    _, commands = fail_at(RestartIntensity(limit=2, window_s=60.0), 0.0, 10.0, 20.0)
    assert commands == (GiveUp(failures=(0.0, 10.0, 20.0)),)


def test_after_giving_up_the_count_begins_anew():
    intensity, _ = fail_at(RestartIntensity(limit=1, first_delay_s=1.0), 0.0, 1.0)
    assert intensity.failures == ()
    assert fail_at(intensity, 2.0)[1] == (Restart(0.5),)


def test_failures_older_than_the_window_do_not_count():
    intensity, commands = fail_at(RestartIntensity(limit=2, window_s=60.0, first_delay_s=1.0), 0.0, 10.0, 61.0)
    assert commands == (Restart(after_s=1.0),)
    assert intensity.failures == (10.0, 61.0)


def test_a_window_of_work_starts_the_count_anew():
    intensity, _ = fail_at(RestartIntensity(limit=2), 0.0, 1.0)
    intensity, commands = intensity.step(Settled())
    assert (intensity.failures, commands) == ((), ())


def test_the_delay_stays_finite_however_many_failures_are_allowed():
    intensity = RestartIntensity(limit=5000, window_s=1e9, failures=tuple(map(float, range(4000))), longest_delay_s=60)
    assert intensity.step(Failed(4000.0, jitter=1.0))[1] == (Restart(60.0),)
