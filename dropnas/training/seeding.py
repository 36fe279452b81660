"""Random generators, each derived from a seed and a purpose.

Design choices: no code of this package draws from a global generator. A generator is identified by (seed, purpose,
indices). No two uses therefore share a stream, and a run can start at any epoch without replaying the previous ones.
The group in which a run is trained has no effect on its numbers. A user's own operation may draw from the global
generators, so these are seeded and saved too.
"""

import hashlib
import json
import random
from typing import Any

import numpy as np
import torch


def derive(seed: int, purpose: str, *indices: int) -> int:
    """Derive a number in 0 … 2^63 - 1 from the sha256 of a seed, a purpose and indices (epoch, step…)."""
    text = json.dumps([seed, purpose, *indices])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, purpose: str, *indices: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Make a separate generator for one purpose, such as "augmentation", and for indices such as the epoch.

    Generators on a CPU and on a GPU give different numbers.
    """
    made = torch.Generator(device=device)
    made.manual_seed(derive(seed, purpose, *indices))
    return made


def seed_global_generators(seed: int) -> None:
    """Seed the global generators of torch (all devices), numpy and Python."""
    number = derive(seed, "global")
    torch.manual_seed(number)
    np.random.seed(number % 2**32)
    random.seed(number)


def global_random_state(device: str) -> dict[str, Any]:
    """The states of the global generators, as tensors and plain values."""
    numpy: Any = np.random.get_state(legacy=True)
    state = {
        "cpu": torch.get_rng_state(),
        "numpy": [torch.from_numpy(numpy[1].astype(np.int64)), *numpy[2:]],
        "python": random.getstate(),
    }
    if device.startswith("cuda"):
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_global_random_state(state: dict[str, Any], device: str) -> None:
    """Restore states from `global_random_state`."""
    torch.set_rng_state(state["cpu"])
    keys, *numpy = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *numpy))
    random.setstate(state["python"])
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(state["cuda"], device)
