"""The supernet's convolutions as Triton kernels: each program works on a tile of pixels of one operation.

Design choices: the depthwise and the pointwise convolution of an operation are computed as one dense convolution. It
has a matrix for each tap: the pointwise weights, scaled by the depthwise weights of the tap. A tile therefore costs one
matrix product for each tap, on tensor cores. The gradients of these matrices give the gradients of both kinds of
weights. Batch norm, ReLU and the statistics of the next norm are computed while the maps are in registers. Sums over
pixels are written for each tile and then added in a fixed order, without atomics, so that a repeated step gives the
same bits. The sums are in single precision, or in double precision if the maps are. The variance of a tile is computed
from deviations from the tile's own mean, which avoids cancellation.

Maps of G operations are (G, pixels, C). Maps of a state are (pixels, K * C), with C channels for each of K supernets;
operation g belongs to supernet g % K. A source is an input of an operation, (pixels, C): the maps of one supernet or of
one operation. Two strides describe both layouts: `apart` is the distance between two sources, and `step` the distance
between two pixels. A row of `layers` describes an operation by five numbers: the side and the dilation of its kernel,
the index of its first matrix, and the positions of its first depthwise and its first pointwise weight among all
weights. BLOCK is the number of pixels in a tile, and WIDE the number of channels that fit in it. Both are powers of
two; values beyond the maps are masked. TYPE is the dtype of the sums.
"""

# mypy: ignore-errors
# ruff: noqa: N803
# Triton compiles these functions from source, so mypy cannot check them; names of constants are in capitals.

import triton
import triton.language as tl

NOWHERE = tl.constexpr(2**20)  # a row so far outside the maps that no tap can reach them

# Kernels are not specialised for these arguments; otherwise, groups of 1, 2 and 16 seeds would need separate kernels.
COUNTS = ["pixels", "outputs", "tiles", "sources", "readers", "parts", "matrices", "alike", "seeds"]


@triton.jit
def added(total, left, right, PRECISION: tl.constexpr):
    """Add the product of two matrices to a total.

    Full single precision needs three TF32 products: the product of the two TF32 parts, and the products of each TF32
    part with the remainder of the other matrix.
    """
    if left.dtype == tl.float32 and PRECISION == "tf32x3":  # Triton's own version also checks for infinities
        left_high = (left.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        right_high = (right.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        total = tl.dot(left - left_high, right_high, total, input_precision="tf32")
        total = tl.dot(left_high, right - right_high, total, input_precision="tf32")
        return tl.dot(left_high, right_high, total, input_precision="tf32")
    return tl.dot(left, right, total, input_precision=PRECISION)


@triton.jit
def of_channels(values, group, channel, C: tl.constexpr, TYPE: tl.constexpr):
    """Load a group's value for each channel."""
    return tl.load(values + group * C + channel, mask=channel < C, other=0.0).to(TYPE)


@triton.jit
def norm_of(mean, inverse, group, channel, C: tl.constexpr, TYPE: tl.constexpr, NORMED: tl.constexpr):
    """Return the scale and shift of a batch norm for each channel; the scale is positive even for channels beyond C."""
    scale, shift = tl.full(channel.shape, 1.0, TYPE), tl.zeros(channel.shape, TYPE)
    if NORMED:
        scale = tl.load(inverse + group * C + channel, mask=channel < C, other=1.0).to(TYPE)
        shift = -of_channels(mean, group, channel, C, TYPE) * scale
    return scale, shift


@triton.jit
def rectified(values, scale, shift, NORMED: tl.constexpr):
    """Apply batch norm (if NORMED) and ReLU; values that were loaded as -inf become 0."""
    if NORMED:
        return tl.maximum(values.to(scale.dtype) * scale[None, :] + shift[None, :], 0.0).to(values.dtype)
    if values.dtype == scale.dtype:
        return tl.maximum(values, 0.0)
    return tl.where(values > 0, values, 0.0)  # bf16: one instruction handles two values; a maximum would widen them


@triton.jit
def layer_of(layers, group):
    """Load the side and the dilation of an operation's kernel, and the index of its first matrix."""
    return tl.load(layers + group * 5), tl.load(layers + group * 5 + 1), tl.load(layers + group * 5 + 2)


@triton.jit
def next_offset(down, right, corner, dilation):
    """Return the offset of the next tap, in rows and columns; the offset of the first tap is (corner, corner)."""
    is_last = right == -corner
    return tl.where(is_last, down + dilation, down), tl.where(is_last, corner, right + dilation)


@triton.jit
def is_on(row, column, HEIGHT: tl.constexpr, WIDTH: tl.constexpr):
    """Return whether a pixel is on the map; as the comparisons are unsigned, they also exclude negative values."""
    return (row.to(tl.uint32) < HEIGHT) & (column.to(tl.uint32) < WIDTH)


@triton.jit
def matrix_of(dense, number, channel, C: tl.constexpr):
    """Load one of the dense matrices: (channels read, channels written)."""
    here = (channel < C)[:, None] & (channel < C)[None, :]
    return tl.load(dense + (number * C + channel[:, None]) * C + channel[None, :], mask=here, other=0.0)


@triton.jit
def weights_of(joined, layers, C: tl.constexpr, TAPS: tl.constexpr, PART: tl.constexpr, WIDE: tl.constexpr):
    """Load the weights of an operation for some of the channels that it reads.

    Return the depthwise weights (TAPS, PART) and the pointwise weights (PART, WIDE), each followed by their indices and
    their mask. The indices and the mask of the operation's matrices (TAPS, PART, WIDE) come last.
    """
    layer = layers + tl.program_id(0) * 5
    size, first = tl.load(layer), tl.load(layer + 2)
    tap, out = tl.arange(0, TAPS), tl.arange(0, WIDE)
    channel = tl.program_id(1) * PART + tl.arange(0, PART)
    at_taps = tl.load(layer + 3) + channel[None, :] * size * size + tap[:, None]
    at_matrix = tl.load(layer + 4) + out[None, :] * C + channel[:, None]
    are_taps = (tap < size * size)[:, None] & (channel < C)[None, :]
    is_matrix = (channel < C)[:, None] & (out < C)[None, :]
    at_dense = ((first + tap[:, None, None]) * C + channel[None, :, None]) * C + out[None, None, :]
    is_dense = are_taps[:, :, None] & is_matrix[None, :, :]
    taps = tl.load(joined + at_taps, mask=are_taps, other=0.0)
    matrix = tl.load(joined + at_matrix, mask=is_matrix, other=0.0)
    return taps, at_taps, are_taps, matrix, at_matrix, is_matrix, at_dense, is_dense


@triton.jit
def make_dense(
    joined, layers, dense, C: tl.constexpr, TAPS: tl.constexpr, PART: tl.constexpr, WIDE: tl.constexpr
):  # fmt: skip
    """Store the matrices of all taps: the pointwise weights, scaled by the depthwise ones."""
    taps, _, _, matrix, _, _, at_dense, is_dense = weights_of(joined, layers, C, TAPS, PART, WIDE)
    tl.store(dense + at_dense, (taps[:, :, None] * matrix[None, :, :]).to(dense.dtype.element_ty), mask=is_dense)


@triton.jit(do_not_specialize=COUNTS)
def back_to_joined(
    joined, layers, of_dense, of_joined, parts, matrices,
    C: tl.constexpr, TAPS: tl.constexpr, PART: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Store the gradients of both kinds of weights, computed from partial sums (parts, matrices, C, C) over tiles."""
    taps, at_taps, are_taps, matrix, at_matrix, is_matrix, at_dense, is_dense = weights_of(
        joined, layers, C, TAPS, PART, WIDE
    )
    total = tl.zeros((TAPS, PART, WIDE), dtype=of_dense.dtype.element_ty)
    for part in range(parts):
        total += tl.load(of_dense + part * matrices * C * C + at_dense, mask=is_dense, other=0.0)
    tl.store(of_joined + at_taps, tl.sum(total * matrix[None, :, :], axis=2), mask=are_taps)
    tl.store(of_joined + at_matrix, tl.sum(total * taps[:, :, None], axis=0), mask=is_matrix)


@triton.jit(do_not_specialize=COUNTS)
def convolve(
    maps, mean, inverse, dense, layers, answer, means, squares, pixels, sources, apart, step,
    C: tl.constexpr, STRIDE: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, NORMED: tl.constexpr, PRECISION: tl.constexpr,
    TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Apply batch norm (if NORMED), ReLU and convolution; store the outputs and the statistics of each tile."""
    group, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    size, dilation, first = layer_of(layers, group)
    pixel, channel = tile * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    inside, exists, source = pixel < pixels, (channel < C)[None, :], group % sources
    image, row, column = pixel // (ROWS * COLUMNS), pixel // COLUMNS % ROWS * STRIDE, pixel % COLUMNS * STRIDE
    middle = ((image * HEIGHT + row) * WIDTH + column)[:, None] * step + channel[None, :]
    row = tl.where(inside, row, NOWHERE)
    scale, shift = norm_of(mean, inverse, source, channel, C, TYPE, NORMED)
    total = tl.zeros((BLOCK, WIDE), dtype=TYPE)
    corner = -(size // 2) * dilation
    down, right = corner, corner
    for tap in tl.range(0, size * size, num_stages=1):
        here = is_on(row + down, column + right, HEIGHT, WIDTH)[:, None] & exists
        of_tap = maps + source * apart + (down * WIDTH + right) * step
        values = tl.load(of_tap + middle, mask=here, other=float("-inf"))
        matrix = matrix_of(dense, first + tap, channel, C)
        total = added(total, rectified(values, scale, shift, NORMED), matrix, PRECISION)
        down, right = next_offset(down, right, corner, dilation)
    here, values = inside[:, None] & exists, total.to(answer.dtype.element_ty)
    tl.store(answer + (group * pixels + pixel[:, None]) * C + channel[None, :], values, mask=here)
    note(values.to(TYPE), here, means, squares, group, tile, pixels, channel, C, BLOCK)


@triton.jit
def note(values, here, means, squares, group, tile, pixels, channel, C: tl.constexpr, BLOCK: tl.constexpr):
    """Store the mean and the sum of squared deviations of a tile.

    They are computed from the stored (rounded) values, because these are the values that are normalised later.
    """
    average = tl.sum(tl.where(here, values, 0.0), axis=0) / tl.minimum(pixels - tile * BLOCK, BLOCK)
    squared = tl.where(here, (values - average[None, :]) * (values - average[None, :]), 0.0)
    index = (group * tl.num_programs(1) + tile) * C + channel
    tl.store(means + index, average, mask=channel < C)
    tl.store(squares + index, tl.sum(squared, axis=0), mask=channel < C)


@triton.jit(do_not_specialize=COUNTS)
def combine(
    means, squares, mean, inverse, unbiased, pixels, tiles, epsilon,
    C: tl.constexpr, BLOCK: tl.constexpr, TYPE: tl.constexpr, TILES: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Combine the statistics of all tiles: mean, 1 / standard deviation and unbiased variance of each channel."""
    group, channel = tl.program_id(0), tl.arange(0, WIDE)
    total, away = tl.zeros((WIDE,), dtype=TYPE), tl.zeros((WIDE,), dtype=TYPE)
    for first in range(0, tiles, TILES):
        values, count, _ = some_tiles(means, group, first, pixels, tiles, channel, C, BLOCK, TILES)
        total += tl.sum(values * count[:, None], axis=0)
    middle = total / pixels
    for first in range(0, tiles, TILES):
        values, count, here = some_tiles(means, group, first, pixels, tiles, channel, C, BLOCK, TILES)
        within, _, _ = some_tiles(squares, group, first, pixels, tiles, channel, C, BLOCK, TILES)
        apart = tl.where(here, values - middle[None, :], 0.0)
        away += tl.sum(within + apart * apart * count[:, None], axis=0)
    index, exists = group * C + channel, channel < C
    tl.store(mean + index, middle, mask=exists)
    tl.store(inverse + index, 1.0 / tl.sqrt(away / pixels + epsilon), mask=exists)
    tl.store(unbiased + index, away / (pixels - 1), mask=exists)


@triton.jit
def some_tiles(values, group, first, pixels, tiles, channel, C: tl.constexpr, BLOCK: tl.constexpr, TILES: tl.constexpr):
    """Load the values of several tiles, (TILES, WIDE); also return the pixels per tile and the mask of valid values."""
    tile = first + tl.arange(0, TILES)
    here = (tile < tiles)[:, None] & (channel < C)[None, :]
    found = tl.load(values + (group * tiles + tile)[:, None] * C + channel[None, :], mask=here, other=0.0)
    count = tl.minimum(tl.maximum(pixels - tile * BLOCK, 0), BLOCK)
    return found, count.to(found.dtype), here


@triton.jit
def answers_at(above, left, STRIDE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Return whether an output pixel has its centre tap at this position, and the index of this pixel in its image."""
    met = is_on(above, left, ROWS * STRIDE, COLUMNS * STRIDE)
    if STRIDE > 1:
        met = met & (above % STRIDE == 0) & (left % STRIDE == 0)
    return met, above // STRIDE * COLUMNS + left // STRIDE


@triton.jit(do_not_specialize=COUNTS)
def back_to_dense(
    maps, mean, inverse, upstream, layers, chunks, of_dense, pixels, outputs, tiles, sources, matrices, apart, step,
    C: tl.constexpr, STRIDE: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, NORMED: tl.constexpr, PRECISION: tl.constexpr,
    TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr, SLICE: tl.constexpr, TAPS: tl.constexpr,
):  # fmt: skip
    """Store the gradients of the matrices of several taps of an operation, summed over some tiles of its input.

    Each row of `chunks` holds a program's operation and its first tap. `of_dense` has shape (parts, matrices, C, C).
    """
    chunk, part = chunks + tl.program_id(0) * 2, tl.program_id(1)
    group, begin = tl.load(chunk).to(tl.int64), tl.load(chunk + 1)
    size, dilation, first = layer_of(layers, group)
    line = tl.arange(0, TAPS * WIDE)
    tap, out = begin + line // WIDE, line % WIDE
    exists = (tap < size * size) & (out < C)
    down = tl.where(exists, (tap // size - size // 2) * dilation, -NOWHERE)
    right = (tap % size - size // 2) * dilation
    channel, source = tl.program_id(2) * SLICE + tl.arange(0, SLICE), group % sources
    scale, shift = norm_of(mean, inverse, source, channel, C, TYPE, NORMED)
    total = tl.zeros((TAPS * WIDE, SLICE), dtype=TYPE)
    for tile in tl.range(part, tiles, tl.num_programs(1), num_stages=1):
        pixel = tile * BLOCK + tl.arange(0, BLOCK)
        inside = pixel < pixels
        image, row, column = pixel // (HEIGHT * WIDTH), pixel // WIDTH % HEIGHT, pixel % WIDTH
        here = inside[:, None] & (channel < C)[None, :]
        values = tl.load(maps + source * apart + pixel[:, None] * step + channel[None, :], mask=here, other=0.0)
        row = tl.where(inside, row, NOWHERE)
        met, at = answers_at(row[:, None] - down[None, :], column[:, None] - right[None, :], STRIDE, ROWS, COLUMNS)
        if STRIDE == 1:
            at = pixel[:, None] - (down * COLUMNS + right)[None, :]
        else:
            at += image[:, None] * (ROWS * COLUMNS)
        gradient = tl.load(upstream + group * outputs * C + at * C + out[None, :], mask=met, other=0.0)
        values = rectified(values, scale, shift, NORMED)  # no mask: the gradient is 0 beyond the last pixel
        total = added(total, tl.trans(gradient), values, PRECISION)
    index = ((part * matrices + first + tap[:, None]) * C + channel[None, :]) * C + out[:, None]
    tl.store(of_dense + index, total, mask=exists[:, None] & (channel < C)[None, :])


@triton.jit(do_not_specialize=COUNTS)
def back_to_maps(
    maps, mean, inverse, dense, layers, upstream, of_maps, sums, alongs,
    pixels, outputs, sources, readers, apart, step,
    C: tl.constexpr, STRIDE: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, NORMED: tl.constexpr, PRECISION: tl.constexpr,
    TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Store the gradient of the maps before the ReLU, summed over the operations that read them.

    If NORMED, this is the gradient of the normalised maps. Two sums over each tile are then stored as well, for the
    backward pass of their batch norm: `sums` receives the sum of the gradient, and `alongs` the sum of the gradient
    times the normalised maps.
    """
    source, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pixel, channel = tile * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    inside, exists = pixel < pixels, (channel < C)[None, :]
    image, row, column = pixel // (HEIGHT * WIDTH), pixel // WIDTH % HEIGHT, pixel % WIDTH
    row = tl.where(inside, row, NOWHERE)
    total = tl.zeros((BLOCK, WIDE), dtype=TYPE)
    for reader in range(0, readers):
        group = reader * sources + source
        size, dilation, first = layer_of(layers, group)
        corner = -(size // 2) * dilation
        down, right = corner, corner
        for tap in tl.range(0, size * size, num_stages=1):
            met, at = answers_at(row - down, column - right, STRIDE, ROWS, COLUMNS)
            if STRIDE == 1:
                at = pixel - (down * COLUMNS + right)
            else:
                at += image * (ROWS * COLUMNS)
            index = group * outputs * C + at[:, None] * C + channel[None, :]
            gradient = tl.load(upstream + index, mask=met[:, None] & exists, other=0.0)
            matrix = tl.trans(matrix_of(dense, first + tap, channel, C))
            total = added(total, gradient, matrix, PRECISION)
            down, right = next_offset(down, right, corner, dilation)
    here = inside[:, None] & exists
    index = source * apart + pixel[:, None].to(tl.int64) * step + channel[None, :]
    scale, shift = norm_of(mean, inverse, source, channel, C, TYPE, NORMED)
    values = tl.load(maps + index, mask=here, other=0.0).to(TYPE) * scale[None, :] + shift[None, :]
    total = tl.where(here & (values > 0), total, 0.0)
    total = total.to(of_maps.dtype.element_ty)
    tl.store(of_maps + index, total, mask=here)
    if NORMED:
        index = (source * tl.num_programs(1) + tile) * C + channel
        tl.store(sums + index, tl.sum(total.to(TYPE), axis=0), mask=channel < C)
        tl.store(alongs + index, tl.sum(total.to(TYPE) * values, axis=0), mask=channel < C)


@triton.jit(do_not_specialize=COUNTS)
def back_through_norm(
    maps, mean, inverse, gradient, total, along, pixels,
    C: tl.constexpr, TYPE: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Replace the gradient of the normalised maps by the gradient of the maps before batch norm."""
    group, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pixel, channel = tile * BLOCK + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    here = (pixel < pixels)[:, None] & (channel < C)[None, :]
    index = (group * pixels + pixel[:, None]) * C + channel[None, :]
    scale, shift = norm_of(mean, inverse, group, channel, C, TYPE, True)
    normal = tl.load(maps + index, mask=here, other=0.0).to(TYPE) * scale[None, :] + shift[None, :]
    level = of_channels(total, group, channel, C, TYPE)[None, :] / pixels
    slope = of_channels(along, group, channel, C, TYPE)[None, :] / pixels
    upstream = tl.load(gradient + index, mask=here, other=0.0).to(TYPE)
    change = (upstream - level - normal * slope) * scale[None, :]
    tl.store(gradient + index, change.to(gradient.dtype.element_ty), mask=here)
