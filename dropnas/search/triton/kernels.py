"""The supernet's convolutions as Triton kernels: a program works on a tile of pixels of one operation.

Design choices: a step on a GPU is bound by its memory, so what would be a pass over the maps of its own is done while
they are in registers: batch norm and ReLU before a depthwise convolution, the pointwise one after it, the statistics
of its answer; going backward the depthwise answer is computed once more. Sums over pixels are written for each tile
and added up afterwards in one order, never by atomics, so that a step gives the same bits twice. They are in single
precision (double for double), variances around the mean of their own tile, so that nothing cancels.

Maps of G operations are (G, pixels, C). Those of a state are (pixels, K * C), of which each of K supernets has C
channels; operation g is of supernet g % K. Both are told apart by two strides, from group to group and from pixel to
pixel. BLOCK is a tile's pixels and WIDE the channels it has room for, both powers of two; what lies beyond is masked.
TYPE is that of the sums.
"""

# mypy: ignore-errors
# ruff: noqa: N803
# Triton compiles these functions from their source, so Python's types mean nothing to them; constants are in capitals.

import triton
import triton.language as tl

# Arguments for whose values no kernel is compiled anew: else one search, two and sixteen would have kernels each.
COUNTS = ["pixels", "answers", "tiles", "sources", "readers", "edge", "groups", "seeds"]


@triton.jit
def product(left, right, PRECISION: tl.constexpr):
    """A matrix product; of doubles without tensor cores, which Triton does not use for them everywhere."""
    if left.dtype == tl.float64:
        return tl.sum(left[:, :, None] * right[None, :, :], axis=1)
    return tl.dot(left, right, input_precision=PRECISION)


@triton.jit
def matrix_of(matrices, group, channel, C: tl.constexpr):
    """The pointwise weights of an operation: (C', C)."""
    here = (channel < C)[:, None] & (channel < C)[None, :]
    return tl.load(matrices + group * C * C + channel[:, None] * C + channel[None, :], mask=here, other=0.0)


@triton.jit
def rectified(
    maps, image, row, column, inside, channel, mean, inverse,
    C: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr, step,
    NORMED: tl.constexpr, TYPE: tl.constexpr,
):  # fmt: skip
    """Pixels of the maps that a depthwise convolution reads, after batch norm (if NORMED) and ReLU; 0 off the maps."""
    here = inside & (row >= 0) & (row < HEIGHT) & (column >= 0) & (column < WIDTH)
    here = here[:, None] & (channel < C)[None, :]
    place = ((image * HEIGHT + row) * WIDTH + column)[:, None] * step + channel[None, :]
    values = tl.load(maps + place, mask=here, other=0.0).to(TYPE)
    if NORMED:
        values = tl.where(here, (values - mean[None, :]) * inverse[None, :], 0.0)
    return tl.maximum(values, 0.0)


@triton.jit
def depthwise(
    maps, kernels, image, row, column, inside, channel, mean, inverse,
    C: tl.constexpr, SIZE: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, step, NORMED: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The depthwise convolution at the pixels (row, column) of its answer: (BLOCK, WIDE)."""
    total = tl.zeros((BLOCK, WIDE), dtype=TYPE)
    for down in range(SIZE):
        for right in tl.static_range(SIZE):
            values = rectified(
                maps, image, row * STRIDE + (down - SIZE // 2) * DILATION,
                column * STRIDE + (right - SIZE // 2) * DILATION, inside, channel, mean, inverse,
                C, HEIGHT, WIDTH, step, NORMED, TYPE,
            )  # fmt: skip
            weight = kernels + channel * SIZE * SIZE + down * SIZE + right
            total += values * tl.load(weight, mask=channel < C, other=0.0).to(TYPE)[None, :]
    return total


@triton.jit
def of_channels(values, group, channel, C: tl.constexpr, TYPE: tl.constexpr):
    """What a group has one of for each channel: (WIDE,)."""
    return tl.load(values + group * C + channel, mask=channel < C, other=0.0).to(TYPE)


@triton.jit(do_not_specialize=COUNTS)
def convolve(
    maps, mean, inverse, kernels, matrices, answer, means, squares, pixels, sources,
    C: tl.constexpr, SIZE: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    apart, step, NORMED: tl.constexpr, PRECISION: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Batch norm, ReLU, depthwise and pointwise convolution; of each tile the means and squared deviations."""
    group, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pixel, channel = tile * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    inside = pixel < pixels
    source = group % sources
    middle, scale = channel.to(TYPE), channel.to(TYPE)
    if NORMED:
        middle = of_channels(mean, source, channel, C, TYPE)
        scale = of_channels(inverse, source, channel, C, TYPE)
    between = depthwise(
        maps + source * apart, kernels + group * C * SIZE * SIZE, pixel // (ROWS * COLUMNS),
        pixel // COLUMNS % ROWS, pixel % COLUMNS, inside, channel, middle, scale,
        C, SIZE, DILATION, STRIDE, HEIGHT, WIDTH, step, NORMED, TYPE, BLOCK, WIDE,
    )  # fmt: skip
    kind = answer.dtype.element_ty
    matrix = matrix_of(matrices, group, channel, C).to(kind)
    values = product(between.to(kind), tl.trans(matrix), PRECISION).to(kind)
    here = inside[:, None] & (channel < C)[None, :]
    tl.store(answer + (group * pixels + pixel[:, None]) * C + channel[None, :], values, mask=here)
    values = values.to(TYPE)  # what is normalised is what was written
    average = tl.sum(tl.where(here, values, 0.0), axis=0) / tl.minimum(pixels - tile * BLOCK, BLOCK)
    squared = tl.where(here, (values - average[None, :]) * (values - average[None, :]), 0.0)
    place = (group * tl.num_programs(1) + tile) * C + channel
    tl.store(means + place, average, mask=channel < C)
    tl.store(squares + place, tl.sum(squared, axis=0), mask=channel < C)


@triton.jit(do_not_specialize=COUNTS)
def combine(
    means, squares, mean, inverse, unbiased, pixels, tiles, epsilon,
    C: tl.constexpr, BLOCK: tl.constexpr, TYPE: tl.constexpr, TILES: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Statistics of all pixels from those of the tiles: mean, 1 / deviation, unbiased variance of each channel."""
    group, channel = tl.program_id(0), tl.arange(0, WIDE)
    total, spread = tl.zeros((WIDE,), dtype=TYPE), tl.zeros((WIDE,), dtype=TYPE)
    for first in range(0, tiles, TILES):
        values, count, _ = some_tiles(means, group, first, pixels, tiles, channel, C, BLOCK, TILES)
        total += tl.sum(values * count[:, None], axis=0)
    middle = total / pixels
    for first in range(0, tiles, TILES):
        values, count, here = some_tiles(means, group, first, pixels, tiles, channel, C, BLOCK, TILES)
        within, _, _ = some_tiles(squares, group, first, pixels, tiles, channel, C, BLOCK, TILES)
        away = tl.where(here, values - middle[None, :], 0.0)
        spread += tl.sum(within + away * away * count[:, None], axis=0)
    place, exists = group * C + channel, channel < C
    tl.store(mean + place, middle, mask=exists)
    tl.store(inverse + place, 1.0 / tl.sqrt(spread / pixels + epsilon), mask=exists)
    tl.store(unbiased + place, spread / (pixels - 1), mask=exists)


@triton.jit
def some_tiles(values, group, first, pixels, tiles, channel, C: tl.constexpr, BLOCK: tl.constexpr, TILES: tl.constexpr):
    """Values of some tiles (TILES, WIDE), the pixels of each, and which there are."""
    tile = first + tl.arange(0, TILES)
    here = (tile < tiles)[:, None] & (channel < C)[None, :]
    found = tl.load(values + (group * tiles + tile)[:, None] * C + channel[None, :], mask=here, other=0.0)
    count = tl.minimum(tl.maximum(pixels - tile * BLOCK, 0), BLOCK)
    return found, count.to(found.dtype), here


@triton.jit(do_not_specialize=COUNTS)
def back_to_weights(
    maps, mean, inverse, kernels, matrices, upstream, between, of_weights, pixels, tiles, sources,
    C: tl.constexpr, SIZE: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    apart, step, NORMED: tl.constexpr, PRECISION: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr, TAPS: tl.constexpr,
):  # fmt: skip
    """Derivatives in the depthwise answer (`between`) and, summed over some tiles, in both kinds of weights.

    of_weights are (parts, G * C * (C + SIZE * SIZE)): all pointwise ones, then all depthwise ones. TAPS is room for
    SIZE * SIZE.
    """
    group, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    channel, tap = tl.arange(0, WIDE), tl.arange(0, TAPS)
    exists, source = channel < C, group % sources
    middle, scale = channel.to(TYPE), channel.to(TYPE)
    if NORMED:
        middle = of_channels(mean, source, channel, C, TYPE)
        scale = of_channels(inverse, source, channel, C, TYPE)
    matrix = matrix_of(matrices, group, channel, C).to(upstream.dtype.element_ty)
    in_matrix, in_taps = tl.zeros((WIDE, WIDE), dtype=TYPE), tl.zeros((TAPS, WIDE), dtype=TYPE)
    for tile in range(part, tiles, tl.num_programs(1)):
        pixel = tile * BLOCK + tl.arange(0, BLOCK)
        inside = pixel < pixels
        image, row, column = pixel // (ROWS * COLUMNS), pixel // COLUMNS % ROWS, pixel % COLUMNS
        here = inside[:, None] & exists[None, :]
        place = (group * pixels + pixel[:, None]) * C + channel[None, :]
        gradient = tl.load(upstream + place, mask=here, other=0.0)
        answer = depthwise(
            maps + source * apart, kernels + group * C * SIZE * SIZE, image, row, column, inside, channel,
            middle, scale, C, SIZE, DILATION, STRIDE, HEIGHT, WIDTH, step, NORMED, TYPE, BLOCK, WIDE,
        )  # fmt: skip
        in_matrix += product(tl.trans(gradient), answer.to(gradient.dtype), PRECISION)
        inner = product(gradient, matrix, PRECISION).to(gradient.dtype)
        tl.store(between + place, inner, mask=here)
        for down in range(SIZE):
            for right in tl.static_range(SIZE):
                values = rectified(
                    maps + source * apart, image, row * STRIDE + (down - SIZE // 2) * DILATION,
                    column * STRIDE + (right - SIZE // 2) * DILATION, inside, channel, middle, scale,
                    C, HEIGHT, WIDTH, step, NORMED, TYPE,
                )  # fmt: skip
                of_tap = tl.sum(values * inner.to(TYPE), axis=0)
                in_taps += tl.where((tap == down * SIZE + right)[:, None], of_tap[None, :], 0.0)
    groups = tl.num_programs(0)
    out = of_weights + part * groups * C * (C + SIZE * SIZE)
    of_matrix = out + group * C * C + channel[:, None] * C + channel[None, :]
    tl.store(of_matrix, in_matrix, mask=exists[:, None] & exists[None, :])
    out += groups * C * C + group * C * SIZE * SIZE
    there = (tap < SIZE * SIZE)[:, None] & exists[None, :]
    tl.store(out + channel[None, :] * SIZE * SIZE + tap[:, None], in_taps, mask=there)


@triton.jit(do_not_specialize=COUNTS)
def back_to_maps(
    maps, mean, inverse, kernels, between, of_maps, sums, alongs, pixels, sources, readers, answers,
    C: tl.constexpr, SIZE: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    apart, step, NORMED: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The derivative in the maps, summed over the operations that read them, through the ReLU.

    If NORMED it is that in the normalised maps, with what their batch norm's derivative needs: the sums over a tile of
    it (`sums`) and of its products with them (`alongs`). `pixels` are those of the maps, `answers` those of between.
    """
    source, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pixel, channel = tile * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    inside = pixel < pixels
    image, row, column = pixel // (HEIGHT * WIDTH), pixel // WIDTH % HEIGHT, pixel % WIDTH
    exists = (channel < C)[None, :]
    total = tl.zeros((BLOCK, WIDE), dtype=TYPE)
    for reader in range(0, readers):
        group = reader * sources + source
        for down in range(SIZE):
            above = row - (down - SIZE // 2) * DILATION
            for right in tl.static_range(SIZE):
                left = column - (right - SIZE // 2) * DILATION
                met = inside & (above >= 0) & (left >= 0) & (above < ROWS * STRIDE) & (left < COLUMNS * STRIDE)
                if STRIDE > 1:
                    met = met & (above % STRIDE == 0) & (left % STRIDE == 0)
                at = (image * ROWS + above // STRIDE) * COLUMNS + left // STRIDE
                reached = between + (group * answers + at)[:, None] * C + channel[None, :]
                gradient = tl.load(reached, mask=met[:, None] & exists, other=0.0).to(TYPE)
                weight = kernels + (group * C + channel) * SIZE * SIZE + down * SIZE + right
                total += gradient * tl.load(weight, mask=channel < C, other=0.0).to(TYPE)[None, :]
    here = inside[:, None] & exists
    place = source * apart + pixel[:, None].to(tl.int64) * step + channel[None, :]
    values = tl.load(maps + place, mask=here, other=0.0).to(TYPE)
    if NORMED:
        middle = of_channels(mean, source, channel, C, TYPE)
        scale = of_channels(inverse, source, channel, C, TYPE)
        values = (values - middle[None, :]) * scale[None, :]
    total = tl.where(here & (values > 0), total, 0.0).to(of_maps.dtype.element_ty)
    tl.store(of_maps + place, total, mask=here)
    if NORMED:
        total = total.to(TYPE)
        part = (source * tl.num_programs(1) + tile) * C + channel
        tl.store(sums + part, tl.sum(total, axis=0), mask=channel < C)
        tl.store(alongs + part, tl.sum(total * values, axis=0), mask=channel < C)


@triton.jit(do_not_specialize=COUNTS)
def back_through_norm(
    maps, mean, inverse, gradient, total, along, of_maps, pixels,
    C: tl.constexpr, TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The derivative in the maps from that in the normalised maps and its sums over all pixels."""
    group, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pixel, channel = tile * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    here = (pixel < pixels)[:, None] & (channel < C)[None, :]
    place = (group * pixels + pixel[:, None]) * C + channel[None, :]
    scale = of_channels(inverse, group, channel, C, TYPE)[None, :]
    normal = (tl.load(maps + place, mask=here, other=0.0).to(TYPE) - of_channels(mean, group, channel, C, TYPE)) * scale
    upstream = tl.load(gradient + place, mask=here, other=0.0).to(TYPE)
    level = of_channels(total, group, channel, C, TYPE)[None, :] / pixels
    slope = of_channels(along, group, channel, C, TYPE)[None, :] / pixels
    tl.store(of_maps + place, ((upstream - level - normal * slope) * scale).to(of_maps.dtype.element_ty), mask=here)


@triton.jit
def normal(maps, mean, inverse, place, here, operation, channel, C: tl.constexpr, TYPE: tl.constexpr):
    """Maps of an operation after batch norm: (BLOCK, WIDE), 0 off the maps."""
    values = tl.load(maps + place, mask=here, other=0.0).to(TYPE)
    values = (values - of_channels(mean, operation, channel, C, TYPE)[None, :]) * (
        of_channels(inverse, operation, channel, C, TYPE)[None, :]
    )
    return tl.where(here, values, 0.0)


@triton.jit(do_not_specialize=COUNTS)
def mix(
    maps0, maps1, maps2, maps3, means, inverses, weights, mixed, pixels, edge, groups,
    seeds, KINDS: tl.constexpr, C: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The weighted sum of the normalised answers of one to four operations on an edge: (pixels, K * C).

    means and inverses are (KINDS, G, C), weights (KINDS, G); the edge's operations have the numbers from edge * K on.
    """
    seed, tile = tl.program_id(0), tl.program_id(1)
    pixel, channel = tile * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    here = (pixel < pixels)[:, None] & (channel < C)[None, :]
    group = edge * seeds + seed
    place = (group.to(tl.int64) * pixels + pixel[:, None]) * C + channel[None, :]
    total = tl.zeros((BLOCK, WIDE), dtype=TYPE)
    for kind in tl.static_range(KINDS):
        maps = maps0 if kind == 0 else (maps1 if kind == 1 else (maps2 if kind == 2 else maps3))
        operation = kind * groups + group
        values = normal(maps, means, inverses, place, here, operation, channel, C, TYPE)
        total += values * tl.load(weights + operation).to(TYPE)
    out = mixed + pixel[:, None].to(tl.int64) * (seeds * C) + seed * C + channel[None, :]
    tl.store(out, total.to(mixed.dtype.element_ty), mask=here)


@triton.jit(do_not_specialize=COUNTS)
def back_to_mixing(
    maps0, maps1, maps2, maps3, means, inverses, upstream, sums, pixels, edge, groups,
    seeds, KINDS: tl.constexpr, C: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Of a tile the sums of the gradient's products with each normalised answer, and of the gradient itself.

    sums are (tiles, KINDS + 1, G, C).
    """
    seed, tile = tl.program_id(0), tl.program_id(1)
    pixel, channel = tile * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    here = (pixel < pixels)[:, None] & (channel < C)[None, :]
    group = edge * seeds + seed
    place = (group.to(tl.int64) * pixels + pixel[:, None]) * C + channel[None, :]
    source = upstream + pixel[:, None].to(tl.int64) * (seeds * C) + seed * C + channel[None, :]
    gradient = tl.load(source, mask=here, other=0.0).to(TYPE)
    out = sums + (tile * (KINDS + 1) * groups + group) * C + channel
    for kind in tl.static_range(KINDS):
        maps = maps0 if kind == 0 else (maps1 if kind == 1 else (maps2 if kind == 2 else maps3))
        values = normal(maps, means, inverses, place, here, kind * groups + group, channel, C, TYPE)
        tl.store(out + kind * groups * C, tl.sum(gradient * values, axis=0), mask=channel < C)
    tl.store(out + KINDS * groups * C, tl.sum(gradient, axis=0), mask=channel < C)


@triton.jit(do_not_specialize=COUNTS)
def back_to_answers(
    maps0, maps1, maps2, maps3, means, inverses, weights, upstream, totals,
    of_maps0, of_maps1, of_maps2, of_maps3, pixels, edge, groups,
    seeds, KINDS: tl.constexpr, C: tl.constexpr, TYPE: tl.constexpr,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The derivatives in the answers before their batch norms; totals are `sums` over all tiles."""
    seed, tile = tl.program_id(0), tl.program_id(1)
    pixel, channel = tile * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    here = (pixel < pixels)[:, None] & (channel < C)[None, :]
    group = edge * seeds + seed
    place = (group.to(tl.int64) * pixels + pixel[:, None]) * C + channel[None, :]
    source = upstream + pixel[:, None].to(tl.int64) * (seeds * C) + seed * C + channel[None, :]
    centred = tl.load(source, mask=here, other=0.0).to(TYPE)
    centred -= of_channels(totals, KINDS * groups + group, channel, C, TYPE)[None, :] / pixels
    for kind in tl.static_range(KINDS):
        maps = maps0 if kind == 0 else (maps1 if kind == 1 else (maps2 if kind == 2 else maps3))
        of_maps = of_maps0 if kind == 0 else (of_maps1 if kind == 1 else (of_maps2 if kind == 2 else of_maps3))
        operation = kind * groups + group
        values = normal(maps, means, inverses, place, here, operation, channel, C, TYPE)
        slope = of_channels(totals, operation, channel, C, TYPE) / pixels
        factor = tl.load(weights + operation).to(TYPE) * of_channels(inverses, operation, channel, C, TYPE)
        change = (centred - values * slope[None, :]) * factor[None, :]
        tl.store(of_maps + place, change.to(of_maps.dtype.element_ty), mask=here)
