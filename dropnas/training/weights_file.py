"""The weights of a finished run, as safetensors: nothing in a run's folder is unpickled, so no file in it can run code.

safetensors is imported only where it is used, because the benchmarks run without it.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from dropnas.errors import DropnasError


def save_weights(weights: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors to a file, under their names in the network."""
    from safetensors.torch import save_file

    save_file({name: value.cpu().contiguous() for name, value in weights.items()}, file)


def load_weights(network: nn.Module, file: Path) -> None:
    """Load the weights of a network from a file.

    Raises:
        DropnasError: the file is missing or damaged, or its weights do not fit the network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.is_file():
        raise DropnasError("no such file", where=file, remedy="fetch the run's heavy part, or run it again")
    try:
        network.load_state_dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise DropnasError(f"is damaged ({error})", where=file, remedy="run `verify`") from error
    except RuntimeError as error:
        mismatch = str(error).splitlines()[1:2] or [str(error)]
        raise DropnasError(f"does not fit the run's other files: {mismatch[0].strip()}", where=file) from error
