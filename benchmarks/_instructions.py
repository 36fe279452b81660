"""Counts the machine instructions that a program executes in our Triton kernels, without a GPU.

The kernels are compiled for an H100, and their binaries are disassembled.

Design choices: an instruction is counted once for each iteration of the loops around it, in each warp of each program
instance. The numbers of iterations follow from the launch arguments (`TRIPS`); a kernel whose loops are not described
there is rejected. Caches and the contention between warps for issue slots are ignored. The total divided by the number
of instructions that a GPU can issue per second would therefore be a lower bound on the time if it did not count both
sides of each branch.
"""

import math
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from unittest import mock

from torch import Tensor

from benchmarks._compiling import for_an_h100

LABEL = re.compile(r"\s*(\.L_x_\d+):")
INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(.*?);")
BRANCH = re.compile(r"\bBRA\S*\s.*`\((\.L_x_\d+)\)")
PADDING = re.compile(r"NOP\b")
TILES = 64  # tiles that `combine` reads in one pass

Loops = tuple[int, ...]  # the indices of the loops around an instruction
Given = Mapping[str, Any]  # launch arguments of a kernel: sizes by name, lengths of tensors, the grid


def _taps(given: Given) -> float:
    """The average number of taps (kernel positions) per convolution in a launch."""
    return float(given["dense"] / given["grid"][0])


TRIPS: dict[str, Callable[[Given], list[float]]] = {
    "make_dense": lambda given: [],
    "convolve": lambda given: [_taps(given)],
    "combine": lambda given: [math.ceil(given["tiles"] / TILES)] * 2,
    "mix": lambda given: [],
    "back_to_weights": lambda given: [],
    "back_to_answers": lambda given: [],
    "back_to_shared": lambda given: [given["alike"] / given["seeds"]] * given["SHARED"],
    "back_to_dense": lambda given: [given["tiles"] / given["grid"][1]],
    "back_to_joined": lambda given: [given["parts"]],
    "back_to_maps": lambda given: [given["readers"], _taps(given) / given["readers"]],
    "back_through_norm": lambda given: [],
}


def instructions(program: Callable[[], None], only: Collection[str] = TRIPS) -> dict[str, int]:
    """Count the instructions of a program by kernel. Kernels are compiled, but nothing is computed.

    Args:
        only: names of the kernels to count.
    """
    from triton.runtime.jit import JITFunction

    from dropnas.search.triton.precompile import compile_all, needed_by

    found, run, bodies = Counter[str](), JITFunction.run, dict[int, Counter[Loops]]()

    def count(kernel: Any, *args: Any, grid: Any, warmup: bool, **constants: Any) -> None:
        if kernel.__name__ in TRIPS and kernel.__name__ not in only:
            return
        compiled = run(kernel, *args, grid=grid, warmup=True, **constants)
        if compiled is None:  # during the dry run of `needed_by`, kernels are not compiled
            return
        if id(compiled) not in bodies:
            bodies[id(compiled)] = in_loops(disassembled(compiled.asm["cubin"]))
        names = [parameter.name for parameter in kernel.params]
        given = {name: len(value) if isinstance(value, Tensor) else value for name, value in zip(names, args)}  # noqa: B905
        issued = _issued(bodies[id(compiled)], TRIPS[kernel.__name__](given | constants | {"grid": grid}))
        found[kernel.__name__] += round(issued * math.prod(grid) * compiled.metadata.num_warps)

    with for_an_h100(), mock.patch.object(JITFunction, "run", count):
        compile_all(needed_by(program), threads=len(os.sched_getaffinity(0)))
        found.clear()
        program()
    return dict(found.most_common())


def disassembled(binary: bytes) -> str:
    """Disassemble a binary with nvdisasm, which ships with Triton."""
    from triton import knobs

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        command = [knobs.nvidia.nvdisasm.path, "-ndf", "-c", file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def in_loops(text: str) -> Counter[Loops]:
    """Count the instructions, grouped by the loops that contain them.

    A loop is a backward jump. Loops are numbered in the order in which they start.
    """
    code, labels = list[str](), dict[str, int]()
    for line in text.splitlines():
        if label := LABEL.match(line):
            labels[label[1]] = len(code)
        elif instruction := INSTRUCTION.search(line):
            code.append(instruction[1])
    jumps = [(labels.get(jump[1], end), end) for end, line in enumerate(code) if (jump := BRANCH.search(line))]
    loops = sorted({(begin, end) for begin, end in jumps if begin < end})
    return Counter(
        tuple(number for number, (begin, end) in enumerate(loops) if begin <= place <= end)
        for place, line in enumerate(code)
        if not PADDING.match(line)
    )


def _issued(body: Mapping[Loops, int], trips: Sequence[float]) -> float:
    """The number of instructions that a warp issues; `trips` must have an entry for each loop."""
    loops = {loop for around in body for loop in around}
    assert len(loops) == len(trips), f"{len(loops)} loops, of which {len(trips)} are described"
    return sum(count * math.prod(trips[loop] for loop in around) for around, count in body.items())
