"""Random generators, each derived from a seed and what it is for.

Design: no code of this package draws from a global generator. A generator is named by (seed, purpose, indices), so that
no two uses share a stream, an epoch can be entered without replaying those before it, and the company in which a run
is made changes nothing.
"""

import hashlib
import json

import torch


def derive(seed: int, purpose: str, *indices: int) -> int:
    """A number in 0 … 2^63 - 1 from a seed, a purpose and indices (epoch, step…); sha256, so the same everywhere."""
    text = json.dumps([seed, purpose, *indices])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, purpose: str, *indices: int, device: str | torch.device = "cpu") -> torch.Generator:
    """A generator of its own for one purpose.

    Args:
        seed: the run's seed.
        purpose: what is drawn, for example "initialisation" or "augmentation".
        indices: which draw of that purpose, for example the epoch.
        device: where it draws; a CPU and a GPU generator give different numbers.
    """
    made = torch.Generator(device=device)
    made.manual_seed(derive(seed, purpose, *indices))
    return made
