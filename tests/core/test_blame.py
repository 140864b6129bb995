from tzar_actors.core.blame import BlamePolicy, Retry, Verdict, judge
from tzar_actors.core.evaluation import AttemptStory

POLICY = BlamePolicy(max_attempts=3, time_out_votes=2)


def stories(*of):
    """(vm, status) of each attempt, oldest first."""
    return [AttemptStory(f"1.{i}", vm, 1, status, 1.0, f"{status} {i}", None, "") for i, (vm, status) in enumerate(of)]


def test_a_fault_that_one_vm_saw_is_tried_again_elsewhere():
    assert judge(stories(("a", "fault")), POLICY) == Retry(frozenset("a"))


def test_a_fault_that_two_vms_saw_is_the_genomes():
    verdict = judge(stories(("b", "fault"), ("a", "fault")), POLICY)
    assert verdict == Verdict("genome_failed", "a and b saw the evaluator fail: fault 1")


def test_two_faults_on_one_vm_are_no_proof():
    assert judge(stories(("a", "fault"), ("a", "fault")), POLICY) == Retry(frozenset("a"))


def test_a_death_between_two_faults_takes_nothing_from_them():
    verdict = judge(stories(("a", "fault"), ("b", "lost"), ("c", "fault")), POLICY)
    assert verdict == Verdict("genome_failed", "a and c saw the evaluator fail: fault 2")


def test_where_there_is_one_vm_alone_the_genome_failed_after_all_attempts():
    verdict = judge(stories(("a", "fault"), ("a", "fault"), ("a", "fault")), POLICY)
    assert verdict == Verdict("genome_failed", "all 3 attempts failed on a, no other VM was had: fault 2")


def test_a_game_is_timed_out_when_enough_vms_have_seen_it():
    verdict = judge(stories(("a", "timed_out"), ("b", "timed_out")), POLICY)
    assert verdict == Verdict("timed_out", "a and b ended the game: timed_out 1")


def test_one_vote_is_enough_where_one_is_asked_for():
    verdict = judge(stories(("a", "timed_out")), BlamePolicy(time_out_votes=1))
    assert verdict == Verdict("timed_out", "a ended the game: timed_out 0")


def test_with_fewer_vms_than_votes_it_is_timed_out_after_all_attempts_and_names_every_vm():
    policy = BlamePolicy(max_attempts=3, time_out_votes=3)
    verdict = judge(stories(("a", "timed_out"), ("b", "timed_out"), ("a", "timed_out")), policy)
    assert verdict == Verdict("timed_out", "all 3 attempts ran over the limit on a and b")


def test_what_the_infrastructure_does_is_never_the_genomes_fault():
    for status in ("lost", "agent_fault", "cancelled"):
        verdict = judge(stories(("a", status), ("b", status), ("c", status)), POLICY)
        assert isinstance(verdict, Verdict)
        assert verdict.outcome == "infra_failed"


def test_after_the_last_attempt_a_mixed_story_is_the_infrastructures():
    verdict = judge(stories(("a", "fault"), ("b", "lost"), ("c", "timed_out")), POLICY)
    story = "1.0 on a: fault, fault 0; 1.1 on b: lost, lost 1; 1.2 on c: timed_out, timed_out 2"
    assert verdict == Verdict("infra_failed", f"3 attempts failed: {story}")


def test_a_retry_avoids_every_vm_that_failed():
    assert judge(stories(("a", "lost"), ("b", "timed_out")), POLICY) == Retry(frozenset("ab"))


def test_the_story_of_many_attempts_stays_short_enough_for_the_wire():
    many = stories(*[("a", "lost")] * 2000)
    verdict = judge(many, BlamePolicy(max_attempts=2000))
    assert isinstance(verdict, Verdict)
    assert len(verdict.reason) <= 4000
