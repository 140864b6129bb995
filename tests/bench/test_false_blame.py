"""No genome is blamed for what the infrastructure did. `python bench/false_blame.py` plays a million games."""

import pytest
from false_blame import play


@pytest.mark.promise(3, "blame")
@pytest.mark.parametrize(("vms", "crash_share", "seed"), [(8, 0.05, 1), (3, 0.05, 2), (16, 0.01, 3), (4, 0.3, 4)])
def test_vms_that_crash_by_chance_condemn_no_genome(vms, crash_share, seed):
    found = play(15_000, vms, crash_share, seed)
    assert found.condemned == []
    assert set(found.outcomes) <= {"scored", "infra_failed"}
    assert sum(found.outcomes.values()) == 15_000


@pytest.mark.promise(3, "blame")
def test_genomes_that_kill_one_vm_after_the_other_are_found_among_vms_that_hardly_ever_crash():
    found = play(15_000, 8, 0.0005, seed=5, killers=1000)
    assert found.condemned == []
    assert found.killers["genome_failed"] >= 12
