"""The labels of ImageNet's validation images, which are distributed in one folder, with a separate list of labels.

Design choices: three such lists are known. They are found by their file name, anywhere in the source:

- `LOC_val_solution.csv` of Kaggle: a row such as `ILSVRC2012_val_00000001,n01751748 111 108 230 366` for each image, in
  any order.
- `ILSVRC2012_validation_ground_truth.txt` of the development kit: each image's class as a number, in the order of the
  images' names; `meta.mat` in the same source maps each number to a class.
- `imagenet_2012_validation_synset_labels.txt`: the class of each image, in the order of the images' names.
"""

import csv
import io
from collections.abc import Callable
from contextlib import closing
from pathlib import Path, PurePosixPath

from dropnas.data.manifest import BytesAt, SourceFile
from dropnas.errors import DropnasError

SOLUTION, SYNSETS = "LOC_val_solution.csv", "imagenet_2012_validation_synset_labels.txt"
NUMBERS_FILE, META_FILE = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
Labels = dict[str, str]  # class of each image by its path
Texts = dict[str, bytes]  # content of the list and of meta.mat, by file name


def label(images: list[SourceFile], entries: list[SourceFile], location: Path) -> Labels:
    """Find the class of each image of a flat folder in the list of labels that the source contains.

    Raises:
        DropnasError: there is no list, or it does not match the images.
    """
    lists = {PurePosixPath(entry.path).name: entry for entry in entries}
    known = next((name for name in LISTS if name in lists), None)
    if known is None:
        raise DropnasError(
            f"{images[0].path} is not in a class folder, and there is no list of labels",
            where=location,
            remedy=f"put one of {', '.join(LISTS)} into the source, or sort the images into one folder for each class",
        )
    if known == NUMBERS_FILE and META_FILE not in lists:
        raise DropnasError(f"{known} needs {META_FILE}", where=location, remedy="put it into the source, too")
    paths = sorted(entry.path for entry in images)
    with closing(BytesAt(location)) as source:
        texts = {
            name: source.read(entry.path, entry.offset, entry.length)
            for name, entry in lists.items()
            if name in (known, META_FILE)
        }
    try:
        labels = LISTS[known](texts, paths)
    except (ValueError, LookupError, TypeError, csv.Error) as error:
        raise DropnasError(
            f"{known} is not a list of labels ({error})", where=location, remedy="fetch it again"
        ) from error
    if missing := [path for path in paths if not labels.get(path)]:
        raise DropnasError(f"{known} has no label for {missing[0]}", where=location, remedy="fetch it again")
    return labels


def _solution(texts: Texts, paths: list[str]) -> Labels:
    rows = csv.reader(io.StringIO(texts[SOLUTION].decode()))
    classes = {row[0]: row[1].split()[0] for row in rows if row and row[0] != "ImageId"}
    return {path: classes.get(PurePosixPath(path).stem, "") for path in paths}


def _numbers(texts: Texts, paths: list[str]) -> Labels:
    names = _classes(texts[META_FILE])
    return _in_order([names[int(number)] for number in texts[NUMBERS_FILE].split()], paths)


def _synsets(texts: Texts, paths: list[str]) -> Labels:
    return _in_order(texts[SYNSETS].decode().split(), paths)


def _in_order(classes: list[str], paths: list[str]) -> Labels:
    if len(classes) != len(paths):
        raise ValueError(f"{len(classes)} labels for {len(paths)} images")
    return dict(zip(paths, classes, strict=True))


def _classes(meta: bytes) -> dict[int, str]:
    """Map the development kit's class numbers to WordNet ids: the first two fields of each row of `synsets`."""
    from scipy.io import loadmat  # the import takes half a second and is rarely needed
    from scipy.io.matlab import MatReadError

    try:
        synsets = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
    except MatReadError as error:
        raise ValueError(f"{META_FILE}: {error}") from error
    return {int(row[0]): str(row[1]) for row in synsets}


LISTS: dict[str, Callable[[Texts, list[str]], Labels]] = {
    SOLUTION: _solution,
    NUMBERS_FILE: _numbers,
    SYNSETS: _synsets,
}
