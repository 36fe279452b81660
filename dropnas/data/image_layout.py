"""The source `images`: sorts the images of a folder or tar into splits and classes, without copying them.

Design choices: the expected layout is `train/<class>/<image>` and `val/<class>/<image>`, below any number of common
folders; `training/` and `validation/` are accepted too. ImageNet is distributed with a flat `val/`, whose labels
`dropnas.data.validation_labels` finds, and a flat `test/` without labels, which is ignored. A `test/` with class
folders is used if there is no `val/`. A source without these folders has one split, `<class>/<image>`, which serves for
training and testing; dataset.json records this (`test_is_train`). Classes are numbered by their sorted names, as is
usual for WordNet ids.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dropnas.data.config import DatasetConfig
from dropnas.data.manifest import SourceFile, entries_of
from dropnas.data.sources import locate
from dropnas.data.validation_labels import label
from dropnas.errors import DropnasError
from dropnas.workspace import Workspace

SUFFIXES = {".jpeg", ".jpg", ".png"}
TRAIN, TEST, LAST = {"train", "training"}, {"val", "validation"}, {"test"}
SORT = "sort the images into one folder for each class"
Classes = dict[str, list[SourceFile]]
Folders = tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """The labelled images of both splits of a folder or tar, in the order of the manifest."""

    location: Path
    classes: tuple[str, ...]
    train: list[tuple[SourceFile, int]]
    test: list[tuple[SourceFile, int]]
    test_is_train: bool


def read(config: DatasetConfig, workspace: Workspace) -> Listing:
    """List the images of the configured source. Raises the same errors as `locate` and `list_images`."""
    return list_images(locate(config, workspace))


def list_images(location: Path) -> Listing:
    """Find the images of a folder or tar and sort them into splits and classes.

    Raises:
        DropnasError: there are no images, the layout is not one of those described at the top of this module, a flat
            val/ has no labels, or the tar is damaged.
    """
    entries = entries_of(location)
    images = [entry for entry in entries if PurePosixPath(entry.path).suffix.lower() in SUFFIXES]
    if len({entry.path for entry in images}) < len(images):
        twice, _ = Counter(entry.path for entry in images).most_common(1)[0]
        raise DropnasError(f"holds {twice!r} more than once", where=location, remedy="pack it again")
    if not images:
        raise DropnasError("holds no .JPEG or .png images", where=location, remedy="unpack inner archives first")
    train, test = _splits(entries, images, location)
    classes = tuple(sorted(train))
    unknown = sorted(test.keys() - train.keys())
    if unknown:
        raise DropnasError(f"class {unknown[0]} of val/ is not in train/", where=location)
    return Listing(location, classes, _interleave(train, classes), _interleave(test, classes), train is test)


@dataclass(frozen=True)
class _Placed:
    """An image in a split.

    Attributes:
        root: the folders above the split.
        split: the folder of the split.
        name: the class; empty in a flat split.
    """

    entry: SourceFile
    root: Folders
    split: str
    name: str


def _splits(entries: list[SourceFile], images: list[SourceFile], location: Path) -> tuple[Classes, Classes]:
    """Group the training and the test images by class; both are the same object if the source has only one split."""
    placed = [found for entry in images if (found := _placed(entry, TRAIN | TEST))]
    roots = {one.root for one in placed if one.name}
    if not roots:
        classes = _single(images, location)
        return classes, classes
    root = _one_root(roots, location)
    train, test = ([one for one in placed if one.root == root and one.split in names] for names in (TRAIN, TEST))
    known = _by_class(train, location)
    if test and not any(one.name for one in test):
        labels = label([one.entry for one in test], entries, location)
        test = [_Placed(one.entry, root, one.split, labels[one.entry.path]) for one in test]
    if not test:
        last = [found for entry in images if (found := _placed(entry, LAST)) and found.root == root and found.name]
        test = [one for one in last if one.name in known]
    if not (train and test):
        raise DropnasError("has only one of train/ and val/", where=location, remedy="add the other split")
    return known, _by_class(test, location)


def _placed(entry: SourceFile, splits: set[str]) -> _Placed | None:
    folders = PurePosixPath(entry.path).parts[:-1]
    if folders[-2:-1] and folders[-2] in splits:
        return _Placed(entry, folders[:-2], folders[-2], folders[-1])
    if folders and folders[-1] in splits:
        return _Placed(entry, folders[:-1], folders[-1], "")
    return None


def _by_class(split: list[_Placed], location: Path) -> Classes:
    classes: Classes = defaultdict(list)
    for one in split:
        if not one.name:
            raise DropnasError(f"{one.entry.path} is not in a class folder", where=location, remedy=SORT)
        classes[one.name].append(one.entry)
    if len(folders := sorted({one.split for one in split})) > 1:
        raise DropnasError(f"has both {' and '.join(folders)}", where=location, remedy="remove one of them")
    return dict(classes)


def _single(images: list[SourceFile], location: Path) -> Classes:
    """The classes of a source that has no splits."""
    classes: Classes = defaultdict(list)
    for entry in images:
        folders = PurePosixPath(entry.path).parts[:-1]
        if not folders or folders[-1] in TRAIN | TEST | LAST:
            raise DropnasError(f"{entry.path} is not in a class folder", where=location, remedy=SORT)
        classes[folders[-1]].append(entry)
    root = _one_root({PurePosixPath(entry.path).parts[:-2] for entry in images}, location)
    if root[-1:] and root[-1] in LAST:
        raise DropnasError("has test/, but no train/", where=location, remedy="add the other split")
    return dict(classes)


def _one_root(roots: set[Folders], location: Path) -> Folders:
    if len(roots) > 1:
        names = ", ".join(sorted("/".join(root) or "." for root in roots)[:3])
        raise DropnasError(f"more than one folder of classes ({names})", where=location, remedy="set `path` to one")
    return roots.pop()


def _interleave(parts: Classes, classes: tuple[str, ...]) -> list[tuple[SourceFile, int]]:
    """List the first image (by path) of each class, then the second of each, and so on, with labels."""
    rows = [
        (rank, number, entry)
        for number, name in enumerate(classes)
        for rank, entry in enumerate(sorted(parts.get(name, []), key=lambda entry: entry.path))
    ]
    rows.sort(key=lambda row: row[:2])
    return [(entry, number) for _, number, entry in rows]
