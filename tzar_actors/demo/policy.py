"""The demo's genomes: the weights of a small network that looks at the screen and picks a key.

A genome is one msgpack map. Each layer of the network is a map of its `shape` and its `data`, which is little-endian
float32, row by row. Beside the network there is one other genome, `RANDOM_GENOME`: it presses keys at random.
"""

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import msgpack
import numpy as np
import numpy.typing as npt

__all__ = ["KEYS", "RANDOM_GENOME", "VIEW", "WEIGHTS", "GenomeError", "Policy", "genome_of", "policy_of"]

Vector: TypeAlias = npt.NDArray[np.float32]
Policy: TypeAlias = Callable[[npt.NDArray[np.uint8]], int]

KEYS = ("turn left", "turn right", "move forward")
VIEW = (15, 20)  # rows and columns of grey pixels that a policy sees
HIDDEN = 16

_LAYERS: dict[str, tuple[int, ...]] = {
    "hidden_weights": (prod(VIEW), HIDDEN),
    "hidden_bias": (HIDDEN,),
    "key_weights": (HIDDEN, len(KEYS)),
    "key_bias": (len(KEYS),),
}
WEIGHTS = sum(prod(shape) for shape in _LAYERS.values())  # numbers in one genome
RANDOM_GENOME: bytes = msgpack.packb({"policy": "random"})


class GenomeError(ValueError):
    """Bytes that are no genome of this demo. The text names the field and what it should be."""


def genome_of(weights: npt.NDArray[np.floating[Any]]) -> bytes:
    """The genome of a network.

    Args:
        weights: all its weights in one row, `WEIGHTS` finite numbers.

    Raises:
        GenomeError: there are more or fewer numbers, or one is not finite.
    """
    if weights.shape != (WEIGHTS,):
        raise GenomeError(f"weights: {WEIGHTS} numbers in one row are needed, not the shape {weights.shape}")
    if not np.isfinite(weights).all():
        raise GenomeError("weights: all must be finite numbers")
    layers: dict[str, Any] = {"policy": "network"}
    start = 0
    for name, shape in _LAYERS.items():
        end = start + prod(shape)
        layers[name] = {"shape": list(shape), "data": weights[start:end].astype("<f4").tobytes()}
        start = end
    packed: bytes = msgpack.packb(layers)
    return packed


def policy_of(genome: bytes, seed: int) -> Policy:
    """The policy that a genome describes: from the view (`VIEW` grey pixels) to the place of a key in `KEYS`.

    Args:
        genome: what `genome_of` made, or `RANDOM_GENOME`.
        seed: draws the keys of the random policy; a network draws nothing.

    Raises:
        GenomeError: the bytes are neither.
    """
    fields = _map_of(genome)
    match fields.get("policy"):
        case "random":
            _expect_fields(fields, {"policy"})
            draw = np.random.default_rng(seed)
            return lambda _: int(draw.integers(len(KEYS)))
        case "network":
            _expect_fields(fields, {"policy", *_LAYERS})
            return _network(*(_layer(name, fields[name], shape) for name, shape in _LAYERS.items()))
        case other:
            raise GenomeError(f"policy: 'network' or 'random' is needed, not {repr(other)[:40]}")


def _network(hidden_weights: Vector, hidden_bias: Vector, key_weights: Vector, key_bias: Vector) -> Policy:
    def press(view: npt.NDArray[np.uint8]) -> int:
        # Centred and spread to about one: a raw view is all positive, and its mean would drown what differs in it.
        seen = view.reshape(-1).astype(np.float32)
        seen = (seen - seen.mean()) / (seen.std() + np.float32(1.0))
        hidden = np.tanh(seen @ hidden_weights + hidden_bias)
        return int(np.argmax(hidden @ key_weights + key_bias))

    return press


def _map_of(genome: bytes) -> dict[str, Any]:
    try:
        fields = msgpack.unpackb(genome, raw=False)
    except Exception as error:  # msgpack raises a dozen kinds, all of which mean the same here
        raise GenomeError(f"genome: not msgpack: {type(error).__name__} {str(error)[:80]}") from error
    if not isinstance(fields, dict):
        raise GenomeError(f"genome: a map is needed, not {type(fields).__name__}")
    return fields


def _expect_fields(fields: dict[str, Any], wanted: set[str]) -> None:
    for name in sorted(wanted - fields.keys()):
        raise GenomeError(f"{name}: missing")
    for name in fields.keys() - wanted:
        raise GenomeError(f"{name}: unknown; a {fields['policy']} genome has {', '.join(sorted(wanted))}")


def _layer(name: str, layer: object, shape: tuple[int, ...]) -> Vector:
    if not isinstance(layer, dict) or set(layer) != {"shape", "data"}:
        raise GenomeError(f"{name}: a map of shape and data is needed")
    if layer["shape"] != list(shape):
        raise GenomeError(f"{name}.shape: {list(shape)} is needed, not {repr(layer['shape'])[:40]}")
    data, size = layer["data"], 4 * prod(shape)
    if not isinstance(data, bytes) or len(data) != size:
        found = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise GenomeError(f"{name}.data: {size} bytes of float32 are needed, not {found}")
    weights = np.frombuffer(data, "<f4").astype(np.float32).reshape(shape)
    if not np.isfinite(weights).all():
        raise GenomeError(f"{name}.data: all must be finite numbers")
    return weights
