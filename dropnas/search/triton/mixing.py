"""What the edges from a state add to the nodes, as Triton kernels: pools, batch norms, weights and their derivatives.

Design choices: one pass over the maps for all operations of an edge, with what the node has summed up so far. `answers`
are those of the convolutions, (CONVOLUTIONS * G, pixels, C) for the G = E * K edges of K supernets, then those of the
pools, which all edges share, (POOLS * K, pixels, C), all before their batch norms; `weights` are (operations, G), that
of the identity last. See `kernels` for the rest.
"""

# mypy: ignore-errors
# ruff: noqa: N803

import triton
import triton.language as tl

from dropnas.search.triton.kernels import COUNTS, answers_at, norm_of, note, of_channels


@triton.jit
def of_edge(edge, maps0, maps1, maps2, maps3):
    """The maps of an edge."""
    return tl.where(edge == 0, maps0, tl.where(edge == 1, maps1, tl.where(edge == 2, maps2, maps3)))


@triton.jit
def operation_of(kind, group, seed, alike, seeds, CONVOLUTIONS: tl.constexpr):
    """The number of an operation among the answers."""
    if kind < CONVOLUTIONS:
        return kind * alike + group
    return CONVOLUTIONS * alike + (kind - CONVOLUTIONS) * seeds + seed


@triton.jit
def tile_of(pixels, seed, seeds, C: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr):
    """Of a program's tile: which values there are, their indices in maps of one and of K supernets, its channels."""
    pixel, channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    here = (pixel < pixels)[:, None] & (channel < C)[None, :]
    pixel = pixel[:, None].to(tl.int64)
    return here, pixel * C + channel[None, :], (pixel * seeds + seed) * C + channel[None, :], channel


@triton.jit(do_not_specialize=COUNTS)
def pool(
    state, answers, chosen, means, squares, pixels, seeds, MAXIMUM: tl.constexpr, AVERAGE: tl.constexpr,
    C: tl.constexpr, STRIDE: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Maximum and average over 3 x 3 pixels, with their statistics; `chosen` says which tap was the (first) maximum."""
    seed, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pixel, channel = tile * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    inside, exists = pixel < pixels, (channel < C)[None, :]
    image, row, column = pixel // (ROWS * COLUMNS), pixel // COLUMNS % ROWS * STRIDE, pixel % COLUMNS * STRIDE
    largest, total = tl.full((BLOCK, WIDE), float("-inf"), TYPE), tl.zeros((BLOCK, WIDE), dtype=TYPE)
    which = tl.full((BLOCK, WIDE), 4, tl.int32)
    for tap in tl.range(0, 9, num_stages=1):
        above, left = row + tap // 3 - 1, column + tap % 3 - 1
        here = inside & (above >= 0) & (above < HEIGHT) & (left >= 0) & (left < WIDTH)
        index = ((image * HEIGHT + above) * WIDTH + left)[:, None] * seeds * C + seed * C + channel[None, :]
        values = tl.load(state + index, mask=here[:, None] & exists, other=float("-inf")).to(TYPE)
        which = tl.where(values > largest, tap, which)
        largest = tl.maximum(largest, values)
        total += tl.where(here[:, None], values, 0.0)
    here, index = inside[:, None] & exists, (seed * pixels + pixel[:, None]) * C + channel[None, :]
    if MAXIMUM:
        values = largest.to(answers.dtype.element_ty)
        tl.store(answers + index, values, mask=here)
        tl.store(chosen + index, which.to(tl.uint8), mask=here)
        note(values.to(TYPE), here, means, squares, seed, tile, pixels, channel, C, BLOCK)
    if AVERAGE:
        first = seed + MAXIMUM * seeds
        values = (total / counts(row, column, HEIGHT, WIDTH)[:, None]).to(answers.dtype.element_ty)
        tl.store(answers + (first * pixels + pixel[:, None]) * C + channel[None, :], values, mask=here)
        note(values.to(TYPE), here, means, squares, first, tile, pixels, channel, C, BLOCK)


@triton.jit
def counts(row, column, HEIGHT: tl.constexpr, WIDTH: tl.constexpr):
    """How many of the 3 x 3 pixels around some are on the maps."""
    high = tl.minimum(row + 2, HEIGHT) - tl.maximum(row - 1, 0)
    return high * (tl.minimum(column + 2, WIDTH) - tl.maximum(column - 1, 0))


@triton.jit(do_not_specialize=COUNTS)
def back_to_pooled(
    gradient, chosen, weights, upstream0, upstream1, upstream2, upstream3, of_state, pixels, outputs, alike, seeds,
    MAXIMUM: tl.constexpr, AVERAGE: tl.constexpr, SKIP: tl.constexpr,
    C: tl.constexpr, STRIDE: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The derivative in the state by way of its pools and, if SKIP, the identity; weights are the identity's, (G,)."""
    seed = tl.program_id(0).to(tl.int64)
    here, _, index, channel = tile_of(pixels, seed, seeds, C, BLOCK, WIDE)
    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    image, row, column = pixel // (HEIGHT * WIDTH), pixel // WIDTH % HEIGHT, pixel % WIDTH
    total = tl.zeros((BLOCK, WIDE), dtype=TYPE)
    if MAXIMUM or AVERAGE:
        for tap in tl.range(0, 9, num_stages=1):
            above, left = row - (tap // 3 - 1), column - (tap % 3 - 1)
            met, at = answers_at(above, left, STRIDE, ROWS, COLUMNS)
            reached = (seed * outputs + image * (ROWS * COLUMNS) + at)[:, None] * C + channel[None, :]
            met = met[:, None] & here
            if MAXIMUM:
                met_too = met & (tl.load(chosen + reached, mask=met, other=0) == tap)
                total += tl.load(gradient + reached, mask=met_too, other=0.0).to(TYPE)
            if AVERAGE:
                values = tl.load(gradient + MAXIMUM * seeds * outputs * C + reached, mask=met, other=0.0).to(TYPE)
                total += tl.where(met, values / counts(above, left, HEIGHT, WIDTH)[:, None], 0.0)
    if SKIP:
        for edge in range(alike // seeds):
            values = tl.load(of_edge(edge, upstream0, upstream1, upstream2, upstream3) + index, mask=here, other=0.0)
            total += values.to(TYPE) * tl.load(weights + edge * seeds + seed)
    tl.store(of_state + index, total.to(of_state.dtype.element_ty), mask=here)


@triton.jit(do_not_specialize=COUNTS)
def mix(
    state, answers, mean, inverse, weights, before0, before1, before2, before3, mixed0, mixed1, mixed2, mixed3,
    pixels, alike, seeds, CONVOLUTIONS: tl.constexpr, POOLS: tl.constexpr, SKIP: tl.constexpr, ADDED: tl.constexpr,
    C: tl.constexpr, TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The weighted sum of the normalised answers of an edge's operations: (pixels, K * C); `before` is ADDED."""
    group = tl.program_id(0)
    edge, seed = group // seeds, group % seeds
    here, of_one, of_all, channel = tile_of(pixels, seed, seeds, C, BLOCK, WIDE)
    total = tl.zeros((BLOCK, WIDE), dtype=TYPE)
    for kind in tl.static_range(CONVOLUTIONS + POOLS):
        operation = operation_of(kind, group, seed, alike, seeds, CONVOLUTIONS).to(tl.int64)
        scale, shift = norm_of(mean, inverse, operation, channel, C, TYPE, True)
        weight = tl.load(weights + kind * alike + group)
        values = tl.load(answers + operation * pixels * C + of_one, mask=here, other=0.0).to(TYPE)
        total += values * (scale * weight)[None, :] + (shift * weight)[None, :]
    if SKIP:
        weight = tl.load(weights + (CONVOLUTIONS + POOLS) * alike + group)
        total += tl.load(state + of_all, mask=here, other=0.0).to(TYPE) * weight
    if ADDED:
        total += tl.load(of_edge(edge, before0, before1, before2, before3) + of_all, mask=here, other=0.0).to(TYPE)
    out = of_edge(edge, mixed0, mixed1, mixed2, mixed3)
    tl.store(out + of_all, total.to(mixed0.dtype.element_ty), mask=here)


@triton.jit
def normal(answers, mean, inverse, operation, index, here, pixels, channel, C: tl.constexpr, TYPE: tl.constexpr):
    """An answer after batch norm: (BLOCK, WIDE)."""
    operation = operation.to(tl.int64)
    scale, shift = norm_of(mean, inverse, operation, channel, C, TYPE, True)
    values = tl.load(answers + operation * pixels * C + index, mask=here, other=0.0).to(TYPE)
    return values * scale[None, :] + shift[None, :]


@triton.jit(do_not_specialize=COUNTS)
def back_to_weights(
    state, answers, mean, inverse, upstream0, upstream1, upstream2, upstream3, sums, pixels, alike, seeds,
    CONVOLUTIONS: tl.constexpr, POOLS: tl.constexpr, SKIP: tl.constexpr,
    C: tl.constexpr, TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Of a tile the sums of the gradient's products with what is weighted, and of the gradient itself, which is last.

    sums are (tiles, operations + 1, G, C).
    """
    group, tile = tl.program_id(0), tl.program_id(1)
    edge, seed = group // seeds, group % seeds
    here, of_one, of_all, channel = tile_of(pixels, seed, seeds, C, BLOCK, WIDE)
    gradient = tl.load(of_edge(edge, upstream0, upstream1, upstream2, upstream3) + of_all, mask=here, other=0.0)
    gradient = gradient.to(TYPE)
    out = sums + (tile * (CONVOLUTIONS + POOLS + SKIP + 1) * alike + group) * C + channel
    for kind in tl.static_range(CONVOLUTIONS + POOLS):
        operation = operation_of(kind, group, seed, alike, seeds, CONVOLUTIONS)
        values = normal(answers, mean, inverse, operation, of_one, here, pixels, channel, C, TYPE)
        tl.store(out + kind * alike * C, tl.sum(gradient * values, axis=0), mask=channel < C)
    if SKIP:
        values = tl.load(state + of_all, mask=here, other=0.0).to(TYPE)
        tl.store(out + (CONVOLUTIONS + POOLS) * alike * C, tl.sum(gradient * values, axis=0), mask=channel < C)
    out += (CONVOLUTIONS + POOLS + SKIP) * alike * C
    tl.store(out, tl.sum(gradient, axis=0), mask=channel < C)


@triton.jit(do_not_specialize=COUNTS)
def back_to_answers(
    answers, mean, inverse, weights, upstream0, upstream1, upstream2, upstream3, totals, of_answers,
    pixels, alike, seeds,
    CONVOLUTIONS: tl.constexpr, POOLS: tl.constexpr, SKIP: tl.constexpr,
    C: tl.constexpr, TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The derivatives in the convolutions' answers before their batch norms; totals are `sums` over all tiles."""
    group = tl.program_id(0)
    edge, seed = group // seeds, group % seeds
    here, of_one, of_all, channel = tile_of(pixels, seed, seeds, C, BLOCK, WIDE)
    centred = tl.load(of_edge(edge, upstream0, upstream1, upstream2, upstream3) + of_all, mask=here, other=0.0)
    level = of_channels(totals, (CONVOLUTIONS + POOLS + SKIP) * alike + group, channel, C, TYPE) / pixels
    centred = centred.to(TYPE) - level[None, :]
    for kind in tl.static_range(CONVOLUTIONS):
        operation = kind * alike + group
        values = normal(answers, mean, inverse, operation, of_one, here, pixels, channel, C, TYPE)
        slope = of_channels(totals, operation, channel, C, TYPE) / pixels
        factor = of_channels(inverse, operation, channel, C, TYPE) * tl.load(weights + operation)
        change = ((centred - values * slope[None, :]) * factor[None, :]).to(of_answers.dtype.element_ty)
        tl.store(of_answers + operation.to(tl.int64) * pixels * C + of_one, change, mask=here)


@triton.jit(do_not_specialize=COUNTS)
def back_to_pools(
    pools, mean, inverse, weights, upstream0, upstream1, upstream2, upstream3, totals, of_pools, pixels, alike, seeds,
    CONVOLUTIONS: tl.constexpr, POOLS: tl.constexpr, SKIP: tl.constexpr,
    C: tl.constexpr, TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The same of the pools, summed over the edges; the first five are of the pools only."""
    seed = tl.program_id(0)
    here, of_one, of_all, channel = tile_of(pixels, seed, seeds, C, BLOCK, WIDE)
    for kind in tl.static_range(POOLS):
        operation = kind * seeds + seed
        values = normal(pools, mean, inverse, operation, of_one, here, pixels, channel, C, TYPE)
        total, level, slope = tl.zeros((BLOCK, WIDE), TYPE), tl.zeros((WIDE,), TYPE), tl.zeros((WIDE,), TYPE)
        for edge in range(alike // seeds):
            group = edge * seeds + seed
            weight = tl.load(weights + (CONVOLUTIONS + kind) * alike + group)
            gradient = tl.load(of_edge(edge, upstream0, upstream1, upstream2, upstream3) + of_all, mask=here, other=0.0)
            total += gradient.to(TYPE) * weight
            level += of_channels(totals, (CONVOLUTIONS + POOLS + SKIP) * alike + group, channel, C, TYPE) * weight
            slope += of_channels(totals, (CONVOLUTIONS + kind) * alike + group, channel, C, TYPE) * weight
        scale = of_channels(inverse, operation, channel, C, TYPE)
        change = (total - (level / pixels)[None, :] - values * (slope / pixels)[None, :]) * scale[None, :]
        change = change.to(of_pools.dtype.element_ty)
        tl.store(of_pools + operation.to(tl.int64) * pixels * C + of_one, change, mask=here)
