"""The supernet's convolutions as Triton kernels: a program works on a tile of pixels of one operation.

Design choices: the depthwise and the pointwise convolution of an operation are one dense convolution, whose matrix for
each tap is the pointwise weights scaled by the tap's. So a tile costs one matrix product a tap, by tensor cores, and
the derivative in such a matrix gives those in both kinds of weights. Batch norm, ReLU and the next norm's statistics
are computed while maps are in registers. Sums over pixels are written for each tile and added up afterwards in one
order, never by atomics, so that a step gives the same bits twice. They are in single precision (double for double),
variances around the mean of their own tile, so that nothing cancels.

Maps of G operations are (G, pixels, C). Those of a state are (pixels, K * C), of which each of K supernets has C
channels; operation g is of supernet g % K. Two strides describe either: from source to source and from pixel to pixel.
`layers` has five numbers for each operation: side and dilation of its kernel, its first matrix, where its taps and its
pointwise weights begin. BLOCK is a tile's pixels and WIDE the channels it has room for, both powers of two; what lies
beyond is masked. TYPE is that of the sums.
"""

# mypy: ignore-errors
# ruff: noqa: N803
# Triton compiles these functions from their source, so Python's types mean nothing to them; constants are in capitals.

import triton
import triton.language as tl

NOWHERE = tl.constexpr(2**20)  # a row on no map, and so far that no tap leads back

# Arguments whose values do not specialise kernels; otherwise 1, 2 and 16 searches would each need their own.
COUNTS = ["pixels", "outputs", "tiles", "sources", "readers", "parts", "matrices", "alike", "seeds"]


@triton.jit
def added(total, left, right, PRECISION: tl.constexpr):
    """A matrix product more; in single precision as three of TF32, of what its mantissa holds and what it does not."""
    if left.dtype == tl.float32 and PRECISION == "tf32x3":  # Triton's own way looks for infinities, too
        left_high = (left.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        right_high = (right.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        total = tl.dot(left - left_high, right_high, total, input_precision="tf32")
        total = tl.dot(left_high, right - right_high, total, input_precision="tf32")
        return tl.dot(left_high, right_high, total, input_precision="tf32")
    return tl.dot(left, right, total, input_precision=PRECISION)


@triton.jit
def of_channels(values, group, channel, C: tl.constexpr, TYPE: tl.constexpr):
    """What a group has one of for each channel."""
    return tl.load(values + group * C + channel, mask=channel < C, other=0.0).to(TYPE)


@triton.jit
def norm_of(mean, inverse, group, channel, C: tl.constexpr, TYPE: tl.constexpr, NORMED: tl.constexpr):
    """Factor and summand of a batch norm, for each channel; the factor is positive, beyond C as well."""
    scale, shift = tl.full(channel.shape, 1.0, TYPE), tl.zeros(channel.shape, TYPE)
    if NORMED:
        scale = tl.load(inverse + group * C + channel, mask=channel < C, other=1.0).to(TYPE)
        shift = -of_channels(mean, group, channel, C, TYPE) * scale
    return scale, shift


@triton.jit
def rectified(values, scale, shift, NORMED: tl.constexpr):
    """After batch norm (if NORMED) and ReLU; 0 where values were loaded as -inf."""
    if NORMED:
        return tl.maximum(values.to(scale.dtype) * scale[None, :] + shift[None, :], 0.0).to(values.dtype)
    if values.dtype == scale.dtype:
        return tl.maximum(values, 0.0)
    return tl.where(values > 0, values, 0.0)  # two in an instruction in bf16, which a maximum would widen


@triton.jit
def layer_of(layers, group):
    """Side and dilation of an operation's kernel, and its first matrix."""
    return tl.load(layers + group * 5), tl.load(layers + group * 5 + 1), tl.load(layers + group * 5 + 2)


@triton.jit
def next_offset(down, right, corner, dilation):
    """Rows and columns from an output's pixel to the one that the next tap reads; (corner, corner) are the first's."""
    is_last = right == -corner
    return tl.where(is_last, down + dilation, down), tl.where(is_last, corner, right + dilation)


@triton.jit
def is_on(row, column, HEIGHT: tl.constexpr, WIDTH: tl.constexpr):
    """Whether there is such a pixel; one comparison a side, since what is negative is large without a sign."""
    return (row.to(tl.uint32) < HEIGHT) & (column.to(tl.uint32) < WIDTH)


@triton.jit
def matrix_of(dense, number, channel, C: tl.constexpr):
    """One of the dense matrices: (channels read, channels written)."""
    here = (channel < C)[:, None] & (channel < C)[None, :]
    return tl.load(dense + (number * C + channel[:, None]) * C + channel[None, :], mask=here, other=0.0)


@triton.jit
def weights_of(joined, layers, C: tl.constexpr, TAPS: tl.constexpr, PART: tl.constexpr, WIDE: tl.constexpr):
    """Of some channels that an operation reads: taps (TAPS, PART) and pointwise weights (PART, WIDE), each with indices
    and mask; indices and mask of its matrices (TAPS, PART, WIDE).
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
    """The matrices of all taps: pointwise weights, scaled by the depthwise ones."""
    taps, _, _, matrix, _, _, at_dense, is_dense = weights_of(joined, layers, C, TAPS, PART, WIDE)
    tl.store(dense + at_dense, (taps[:, :, None] * matrix[None, :, :]).to(dense.dtype.element_ty), mask=is_dense)


@triton.jit(do_not_specialize=COUNTS)
def back_to_joined(
    joined, layers, of_dense, of_joined, parts, matrices,
    C: tl.constexpr, TAPS: tl.constexpr, PART: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The derivatives in both kinds of weights from the parts (parts, matrices, C, C) of those in the matrices."""
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
    """Batch norm, ReLU and convolution; of each tile the means and squared deviations."""
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
    """Mean and squared deviations of a tile of what was written, which is what will be normalised."""
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
    """Statistics of all pixels from those of the tiles: mean, 1 / deviation, unbiased variance of each channel."""
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
    """Values of some tiles (TILES, WIDE), the pixels of each, and which there are."""
    tile = first + tl.arange(0, TILES)
    here = (tile < tiles)[:, None] & (channel < C)[None, :]
    found = tl.load(values + (group * tiles + tile)[:, None] * C + channel[None, :], mask=here, other=0.0)
    count = tl.minimum(tl.maximum(pixels - tile * BLOCK, 0), BLOCK)
    return found, count.to(found.dtype), here


@triton.jit
def answers_at(above, left, STRIDE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Whether an answer's pixel has its middle at this row and column of the maps, and which of the image's."""
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
    """The derivatives in the matrices of some taps of an operation, summed over some of the tiles of what it reads.

    chunks has an operation and its first tap for each program; of_dense is (parts, matrices, C, C).
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
        values = rectified(values, scale, shift, NORMED)  # beyond the last pixel the gradient is 0
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
    """The derivative in the maps, summed over the operations that read them, through the ReLU.

    If NORMED it is that in the normalised maps, with what their batch norm's derivative needs: the sums over a tile of
    it (`sums`) and of its products with them (`alongs`).
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
    """From the derivative in the normalised maps and its sums over all pixels that in the maps, in its stead."""
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
