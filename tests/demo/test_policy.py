import msgpack
import numpy as np
import pytest

from tzar_actors.demo.policy import KEYS, RANDOM_GENOME, VIEW, WEIGHTS, GenomeError, genome_of, policy_of


def weights(seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, WEIGHTS).astype(np.float32)


def views(count):
    return np.random.default_rng(1).integers(0, 256, (count, *VIEW), dtype=np.uint8)


def broken(**changes):
    fields = msgpack.unpackb(genome_of(weights()))
    for name, value in changes.items():
        if value is None:
            del fields[name]
        else:
            fields[name] = value
    return msgpack.packb(fields)


def test_a_genome_holds_the_weights_row_by_row_as_little_endian_float32():
    row = weights()
    layers = msgpack.unpackb(genome_of(row))
    assert layers.pop("policy") == "network"
    assert b"".join(layer["data"] for layer in layers.values()) == row.astype("<f4").tobytes()
    assert [layer["shape"] for layer in layers.values()] == [[300, 16], [16], [16, 3], [3]]


def test_equal_weights_make_equal_genomes_and_press_the_same_keys():
    one, other = genome_of(weights()), genome_of(weights())
    assert one == other
    press, press_again = policy_of(one, seed=1), policy_of(other, seed=2)
    assert [press(view) for view in views(50)] == [press_again(view) for view in views(50)]


def test_a_network_presses_the_key_whose_bias_outweighs_all_else():
    for key in range(len(KEYS)):
        row = np.zeros(WEIGHTS, np.float32)
        row[WEIGHTS - len(KEYS) + key] = 1.0
        assert {policy_of(genome_of(row), seed=0)(view) for view in views(5)} == {key}


def test_a_network_sees_what_differs_in_the_view():
    press = policy_of(genome_of(weights(3)), seed=0)
    assert len({press(view) for view in views(200)}) > 1


def test_the_random_policy_presses_all_keys_and_the_same_ones_for_the_same_seed():
    view = views(1)[0]
    one, same, other = (policy_of(RANDOM_GENOME, seed) for seed in (5, 5, 6))
    keys = [one(view) for _ in range(60)]
    assert set(keys) == {0, 1, 2}
    assert [same(view) for _ in range(60)] == keys
    assert [other(view) for _ in range(60)] != keys


@pytest.mark.parametrize(
    ("genome", "field"),
    [
        (b"", "genome: not msgpack"),
        (b"\xc1", "genome: not msgpack"),
        (msgpack.packb([1, 2]), "genome: a map is needed, not list"),
        (msgpack.packb({}), "policy: 'network' or 'random' is needed, not None"),
        (broken(policy="oracle"), "policy: 'network' or 'random' is needed, not 'oracle'"),
        (broken(policy=["network"]), r"policy: 'network' or 'random' is needed, not \['network'\]"),
        (broken(key_bias=None), "key_bias: missing"),
        (broken(luck=7), "luck: unknown; a network genome has"),
        (msgpack.packb({"policy": "random", "luck": 7}), "luck: unknown; a random genome has policy"),
        (broken(key_bias=b"abc"), "key_bias: a map of shape and data is needed"),
        (broken(key_bias={"shape": [4], "data": b"\0" * 12}), r"key_bias.shape: \[3\] is needed, not \[4\]"),
        (broken(key_bias={"shape": [3], "data": b"\0" * 11}), "key_bias.data: 12 bytes of float32 are needed, not 11"),
        (broken(key_bias={"shape": [3], "data": "text"}), "key_bias.data: 12 bytes of float32 are needed, not str"),
        (broken(key_bias={"shape": [3], "data": b"\xff" * 12}), "key_bias.data: all must be finite"),
    ],
)
def test_a_bad_genome_is_refused_and_the_field_named(genome, field):
    with pytest.raises(GenomeError, match=f"^{field}"):
        policy_of(genome, seed=0)


def test_weights_that_are_no_genome_are_refused():
    with pytest.raises(GenomeError, match=f"{WEIGHTS} numbers"):
        genome_of(np.zeros(7))
    with pytest.raises(GenomeError, match="finite"):
        genome_of(np.full(WEIGHTS, np.nan))
