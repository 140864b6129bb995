import pytest

from tzar_actors.core.blame import BlamePolicy, Case, Retry, Verdict, judge, late
from tzar_actors.core.evaluation import AttemptStory

POLICY = BlamePolicy(max_attempts=3, time_out_votes=2)


def stories(*of):
    """(vm, status) of each attempt, oldest first; (vm, status, incarnation) where that is not 1."""
    return [
        AttemptStory(f"1.{i}", vm, incarnation[0] if incarnation else 1, status, 1.0, f"{status} {i}", None, "")
        for i, (vm, status, *incarnation) in enumerate(of)
    ]


def proven(*of, **more):
    """A case in which every VM was proven."""
    return Case(stories(*of), [f"1.{i}" for i in range(len(of))], **more)


def unproven(*of, **more):
    return Case(stories(*of), **more)


# --- the evaluator failed


def test_a_fault_that_one_vm_saw_is_tried_again_elsewhere():
    assert judge(proven(("a", "fault")), POLICY) == Retry(frozenset("a"), fresh=True)


@pytest.mark.promise(3, "blame")
def test_a_fault_that_two_proven_vms_saw_is_the_genomes():
    verdict = judge(proven(("b", "fault"), ("a", "fault")), POLICY)
    assert verdict == Verdict(
        "genome_failed", "a and b, which had scored other genomes, saw the evaluator fail: fault 1"
    )


@pytest.mark.promise(3, "blame")
def test_two_vms_that_have_proven_nothing_condemn_nobody():
    assert judge(unproven(("a", "fault"), ("b", "fault")), POLICY) == Retry(frozenset("ab"))
    one_is_proven = Case(stories(("a", "fault"), ("b", "fault")), ["1.1"])
    assert judge(one_is_proven, POLICY) == Retry(frozenset("ab"))


def test_two_faults_on_one_proven_vm_are_no_proof():
    assert judge(proven(("a", "fault"), ("a", "fault", 2)), POLICY) == Retry(frozenset("a"))


def test_while_the_evaluator_is_in_doubt_no_vm_is_believed():
    assert judge(proven(("a", "fault"), ("b", "fault"), in_doubt=True), POLICY) == Retry(frozenset("ab"))


def test_a_death_between_two_faults_takes_nothing_from_them():
    verdict = judge(proven(("a", "fault"), ("b", "lost"), ("c", "fault")), POLICY)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome == "genome_failed"


@pytest.mark.promise(3, "blame")
def test_the_verdict_holds_what_the_evaluator_left():
    fault = AttemptStory("1.0", "a", 1, "fault", 1.0, "ended by itself", 139, "Segmentation fault\n")
    other = AttemptStory("1.1", "b", 1, "fault", 1.0, "ended by itself", 139, "Segmentation fault\n")
    verdict = judge(Case([fault, other], ["1.0", "1.1"]), POLICY)
    assert isinstance(verdict, Verdict)
    assert verdict.reason.endswith("ended by itself (exit code 139; its last output: Segmentation fault)")


@pytest.mark.promise(3, "blame")
def test_where_no_two_vms_are_proven_it_failed_after_all_attempts_in_two_incarnations_and_says_so():
    verdict = judge(unproven(("a", "fault"), ("a", "fault", 2), ("a", "fault", 2), vms=1), POLICY)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome == "genome_failed"
    assert verdict.reason.startswith("all 3 attempts failed, on a (no two VMs were proven: ")
    assert verdict.reason.endswith(": fault 2")


def test_one_incarnation_alone_never_condemns():
    verdict = judge(unproven(("a", "fault"), ("a", "fault"), ("a", "fault"), vms=1), POLICY)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome == "infra_failed"


# --- over the limit


@pytest.mark.promise(3, "blame")
def test_a_game_is_timed_out_when_enough_vms_have_seen_it():
    verdict = judge(unproven(("a", "timed_out"), ("b", "timed_out")), POLICY)
    assert verdict == Verdict("timed_out", "a and b ended the game: timed_out 1")


def test_one_vote_is_enough_where_one_is_asked_for():
    verdict = judge(unproven(("a", "timed_out")), BlamePolicy(time_out_votes=1))
    assert verdict == Verdict("timed_out", "a ended the game: timed_out 0")


@pytest.mark.promise(3, "blame")
def test_with_fewer_vms_than_votes_that_many_incarnations_do():
    assert judge(unproven(("a", "timed_out"), vms=1), POLICY) == Retry(frozenset("a"), fresh=True)
    assert judge(unproven(("a", "timed_out"), ("a", "timed_out"), vms=1), POLICY) == Retry(frozenset("a"), fresh=True)
    verdict = judge(unproven(("a", "timed_out"), ("a", "timed_out", 2), vms=1), POLICY)
    assert verdict == Verdict("timed_out", "a in 2 incarnations ended the game: timed_out 1")


def test_with_vms_enough_two_incarnations_of_one_are_one_vote():
    verdict = judge(unproven(("a", "timed_out"), ("a", "timed_out", 2), vms=2), POLICY)
    assert verdict == Retry(frozenset("a"))


def test_with_more_votes_than_attempts_it_is_timed_out_after_all_attempts_and_names_every_vm():
    policy = BlamePolicy(max_attempts=3, time_out_votes=5)
    verdict = judge(unproven(("a", "timed_out"), ("b", "timed_out"), ("a", "timed_out", 2)), policy)
    assert verdict == Verdict("timed_out", "all 3 attempts ran over the limit on a and b")


# --- the VM died


@pytest.mark.promise(2, "a crash is never a low fitness")
@pytest.mark.parametrize("status", ["lost", "agent_fault", "cancelled"])
def test_what_the_infrastructure_does_is_never_the_genomes_fault(status):
    verdict = judge(proven(("a", status), ("b", status), ("c", status)), POLICY)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome == "infra_failed"


DEATHS = [("a", "lost"), ("b", "lost"), ("c", "lost")]


@pytest.mark.promise(3, "blame")
def test_a_genome_that_kills_a_third_vm_while_others_games_end_well_there_has_failed():
    verdict = judge(proven(*DEATHS, killed={"a": 30, "b": 30, "c": 30}, games=100), BlamePolicy())
    told = ", ".join(f"{vm} (30 games of others before)" for vm in "abc")
    assert verdict == Verdict("genome_failed", f"the VMs {told} died with it, and not with others: lost 2")


def test_two_vms_that_died_are_not_three():
    assert judge(proven(*DEATHS[:2], killed={"a": 900, "b": 900}, games=100), BlamePolicy()) == Retry(frozenset("ab"))


@pytest.mark.promise(3, "blame")
def test_vms_that_die_with_others_as_well_condemn_nobody():
    assert judge(proven(*DEATHS, killed={"a": 900, "b": 900, "c": 0}, games=3000), BlamePolicy()) == Retry(
        frozenset("abc")
    )
    assert judge(proven(*DEATHS, killed={"a": 5, "b": 9, "c": 7}, games=60), BlamePolicy()) == Retry(frozenset("abc"))


def test_the_more_games_there_were_the_more_is_asked_for():
    killed = {"a": 30, "b": 30, "c": 30}
    assert isinstance(judge(proven(*DEATHS, killed=killed, games=590), BlamePolicy()), Verdict)
    assert isinstance(judge(proven(*DEATHS, killed=killed, games=6_000), BlamePolicy()), Retry)


# --- the end


def test_after_the_last_attempt_a_mixed_story_is_the_infrastructures():
    verdict = judge(proven(("a", "fault"), ("b", "lost"), ("c", "timed_out")), POLICY)
    story = "1.0 on a: fault, fault 0; 1.1 on b: lost, lost 1; 1.2 on c: timed_out, timed_out 2"
    assert verdict == Verdict("infra_failed", f"3 attempts failed: {story}")


@pytest.mark.promise(3, "blame")
def test_a_retry_avoids_every_vm_that_failed():
    assert judge(proven(("a", "lost"), ("b", "timed_out")), POLICY) == Retry(frozenset("ab"), fresh=True)


def test_a_game_whose_attempts_are_all_excused_is_tried_again_anywhere():
    assert judge(Case(()), POLICY) == Retry(frozenset())


def test_the_story_of_many_attempts_stays_short_enough_for_the_wire():
    verdict = judge(proven(*[("a", "lost")] * 2000), BlamePolicy(max_attempts=2000))
    assert isinstance(verdict, Verdict)
    assert len(verdict.reason) <= 4000
    assert len(late(stories(*[("a", "lost")] * 2000))) <= 4000
