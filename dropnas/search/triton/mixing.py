"""Triton kernels for batch norms, mixing weights and their gradients, on the edges that leave a state.

Design choices: one pass over the maps serves all operations of an edge. `answers` are the outputs of the convolutions
before their batch norms, (KINDS * G, pixels, C), for the G = E * K edges of K supernets. `shared` are the maps that all
edges add, (SHARED, pixels, K * C). `weights` are (KINDS + SHARED, G). See `kernels` for the other arguments.
"""

# mypy: ignore-errors
# ruff: noqa: N803

import triton
import triton.language as tl

from dropnas.search.triton.kernels import COUNTS, norm_of, of_channels


@triton.jit
def tile_of(pixels, seed, seeds, C: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr):
    """Return a tile's mask, its indices in the maps of one supernet and in those of all K, and its channels."""
    pixel, channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    here = (pixel < pixels)[:, None] & (channel < C)[None, :]
    pixel = pixel[:, None].to(tl.int64)
    return here, pixel * C + channel[None, :], (pixel * seeds + seed) * C + channel[None, :], channel


@triton.jit
def in_maps(maps, number, pixels, seeds, C: tl.constexpr):
    """A pointer to one of several maps (..., pixels, K * C)."""
    return maps + tl.cast(number, tl.int64) * pixels * seeds * C


@triton.jit
def normal(answers, mean, inverse, group, index, here, pixels, channel, C: tl.constexpr, TYPE: tl.constexpr):
    """The output of a convolution after batch norm: (BLOCK, WIDE)."""
    scale, shift = norm_of(mean, inverse, group, channel, C, TYPE, True)
    values = tl.load(answers + group.to(tl.int64) * pixels * C + index, mask=here, other=0.0).to(TYPE)
    return values * scale[None, :] + shift[None, :]


@triton.jit(do_not_specialize=COUNTS)
def mix(
    answers, mean, inverse, shared, weights, mixed, pixels, alike, seeds,
    KINDS: tl.constexpr, SHARED: tl.constexpr, C: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """For each edge, the weighted sum of its normalised outputs and of the shared maps: (E, pixels, K * C)."""
    group = tl.program_id(0)
    here, of_one, of_all, channel = tile_of(pixels, group % seeds, seeds, C, BLOCK, WIDE)
    total = tl.zeros((BLOCK, WIDE), dtype=TYPE)
    for kind in tl.static_range(KINDS):
        answer = kind * alike + group
        values = normal(answers, mean, inverse, answer, of_one, here, pixels, channel, C, TYPE)
        total += values * tl.load(weights + answer)
    for number in tl.static_range(SHARED):
        values = tl.load(in_maps(shared, number, pixels, seeds, C) + of_all, mask=here, other=0.0).to(TYPE)
        total += values * tl.load(weights + (KINDS + number) * alike + group)
    tl.store(in_maps(mixed, group // seeds, pixels, seeds, C) + of_all, total.to(mixed.dtype.element_ty), mask=here)


@triton.jit(do_not_specialize=COUNTS)
def back_to_weights(
    answers, mean, inverse, shared, upstream, sums, pixels, alike, seeds,
    KINDS: tl.constexpr, SHARED: tl.constexpr, C: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """For each tile, the sum of the gradient times each weighted map, and in the last row the sum of the gradient.

    `sums` are (tiles, KINDS + SHARED + 1, G, C).
    """
    group, tile = tl.program_id(0), tl.program_id(1)
    here, of_one, of_all, channel = tile_of(pixels, group % seeds, seeds, C, BLOCK, WIDE)
    upstream = in_maps(upstream, group // seeds, pixels, seeds, C)
    gradient = tl.load(upstream + of_all, mask=here, other=0.0).to(TYPE)
    out = sums + (tile * (KINDS + SHARED + 1) * alike + group) * C + channel
    for kind in tl.static_range(KINDS):
        values = normal(answers, mean, inverse, kind * alike + group, of_one, here, pixels, channel, C, TYPE)
        tl.store(out + kind * alike * C, tl.sum(gradient * values, axis=0), mask=channel < C)
    for number in tl.static_range(SHARED):
        values = tl.load(in_maps(shared, number, pixels, seeds, C) + of_all, mask=here, other=0.0).to(TYPE)
        tl.store(out + (KINDS + number) * alike * C, tl.sum(gradient * values, axis=0), mask=channel < C)
    tl.store(out + (KINDS + SHARED) * alike * C, tl.sum(gradient, axis=0), mask=channel < C)


@triton.jit(do_not_specialize=COUNTS)
def back_to_answers(
    answers, mean, inverse, weights, upstream, totals, of_answers, pixels, alike, seeds,
    KINDS: tl.constexpr, SHARED: tl.constexpr, C: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The gradients of the outputs before their batch norms.

    `totals` are the `sums` of `back_to_weights`, added over all tiles.
    """
    group = tl.program_id(0)
    here, of_one, of_all, channel = tile_of(pixels, group % seeds, seeds, C, BLOCK, WIDE)
    upstream = in_maps(upstream, group // seeds, pixels, seeds, C)
    level = of_channels(totals, (KINDS + SHARED) * alike + group, channel, C, TYPE) / pixels
    centred = tl.load(upstream + of_all, mask=here, other=0.0).to(TYPE) - level[None, :]
    for kind in tl.static_range(KINDS):
        answer = kind * alike + group
        values = normal(answers, mean, inverse, answer, of_one, here, pixels, channel, C, TYPE)
        slope = of_channels(totals, answer, channel, C, TYPE) / pixels
        factor = of_channels(inverse, answer, channel, C, TYPE) * tl.load(weights + answer)
        change = ((centred - values * slope[None, :]) * factor[None, :]).to(of_answers.dtype.element_ty)
        tl.store(of_answers + answer.to(tl.int64) * pixels * C + of_one, change, mask=here)


@triton.jit(do_not_specialize=COUNTS)
def back_to_shared(
    weights, upstream, of_shared, pixels, alike, seeds,
    KINDS: tl.constexpr, SHARED: tl.constexpr, C: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The gradients of the shared maps, summed over the edges."""
    seed = tl.program_id(0)
    here, _, of_all, _ = tile_of(pixels, seed, seeds, C, BLOCK, WIDE)
    for number in tl.static_range(SHARED):
        total = tl.zeros((BLOCK, WIDE), dtype=TYPE)
        for edge in range(alike // seeds):
            gradient = tl.load(in_maps(upstream, edge, pixels, seeds, C) + of_all, mask=here, other=0.0).to(TYPE)
            total += gradient * tl.load(weights + (KINDS + number) * alike + edge * seeds + seed)
        out = in_maps(of_shared, number, pixels, seeds, C) + of_all
        tl.store(out, total.to(of_shared.dtype.element_ty), mask=here)
