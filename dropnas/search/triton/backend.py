"""The Triton backend of the engine: whether it can run here, and what it consists of."""

from dropnas.search.engine.cell import Backend
from dropnas.search.triton.fused_edges import add_edges, check_kernels
from dropnas.training.graphs import Prepare


def make_backend() -> tuple[Backend, Prepare]:
    """What computes the edges, and what compiles its kernels for a step before that first runs.

    Raises:
        DropnasError: Triton cannot compile here.
    """
    check_kernels()
    from dropnas.search.triton.precompile import compile_ahead  # needs Triton

    return add_edges, compile_ahead
