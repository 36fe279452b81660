"""An edited or malicious archive is rejected in one line, and none of it enters the store."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropnas.archive.archive_file import SUMS, opened, write_archive
from dropnas.archive.unpack import unpack
from dropnas.errors import DropnasError
from tests.unit.archive.conftest import Edit, content_of, edited

Content = dict[str, bytes]


def first(content: Content, start: str, end: str) -> str:
    return next(name for name in sorted(content) if name.startswith(start) and name.endswith(end))


def plan_of(content: Content) -> str:
    return first(content, "plans/", "/plan.json")


def change_a_number(content: Content) -> None:
    name = first(content, "runs/retrain/", "/result.json")
    content[name] = content[name].replace(b'"best": ', b'"best": 1')


def change_a_number_and_its_manifest(content: Content) -> None:
    change_a_number(content)
    name = first(content, "runs/retrain/", "/result.json")
    manifest = name.replace("result.json", "manifest.json")
    values = json.loads(content[manifest])
    from hashlib import sha256

    values["files"]["result.json"] = sha256(content[name]).hexdigest()
    content[manifest] = json.dumps(values).encode()
    del content[name.replace("result.json", "run.json")]  # the receipt, which follows from the manifest


def change_an_option(content: Content) -> None:
    name = first(content, "runs/search/", "/manifest.json")
    values = json.loads(content[name])
    values["run"]["config"]["epochs"] += 1
    content[name] = json.dumps(values).encode()


def rename_a_run(content: Content) -> None:
    one, other = sorted({name.split("/")[2] for name in content if name.startswith("runs/search/")})[:2]
    for name in [name for name in content if f"/{one}/" in name]:
        content[name.replace(one, other)] = content.pop(name)


def add_a_run(content: Content) -> None:
    content["runs/search/strange-0123456789/manifest.json"] = b"{}"


def add_a_file(content: Content) -> None:
    content[first(content, "runs/search/", "/manifest.json").replace("manifest", "more")] = b"{}"


def remove_a_file(content: Content) -> None:
    del content[first(content, "runs/search/", "/alphas.json")]


def change_the_plan(content: Content) -> None:
    content[plan_of(content)] = content[plan_of(content)].replace(b'"study"', b'"../../study"')


def change_the_source(content: Content) -> None:
    content[first(content, "plans/", "source/dropnas/cli.py")] += b"\n"


def add_compiled_code(content: Content) -> None:
    content[plan_of(content).replace("plan.json", "source/dropnas/__pycache__/cli.cpython-311.pyc")] = b""


def add_a_marker(content: Content) -> None:
    content[plan_of(content).replace("plan.json", "done/table/x")] = b""


def add_a_plan(content: Content) -> None:
    content["plans/0123456789/plan.json"] = b"{}"


def rename_the_plan(content: Content) -> None:
    folder = plan_of(content).removesuffix("plan.json")
    for name in [name for name in content if name.startswith(folder)]:
        content[name.replace(folder, "plans/0123456789/")] = content.pop(name)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change_a_number, "result.json: changed since it was published"),
        (change_a_number_and_its_manifest, "was replaced by another computation"),
        (change_an_option, "its manifest belongs to another run"),
        (rename_a_run, "its manifest belongs to another run"),
        (add_a_run, "runs/search/strange-0123456789 is not a run of its plan"),
        (add_a_file, "more.json: not in the manifest"),
        (remove_a_file, "alphas.json: missing"),
        (change_the_plan, "was changed after it was frozen"),
        (change_the_source, "was changed after it was frozen"),
        (add_compiled_code, "cli.cpython-311.pyc does not belong in a frozen plan"),
        (add_a_marker, "done/table/x does not belong in a frozen plan"),
        (add_a_plan, "does not contain exactly one frozen plan"),
        (rename_the_plan, "holds another plan than its name says"),
    ],
)
def test_an_edit_with_new_checksums_is_refused(archived: Path, tmp_path: Path, edit: Edit, message: str) -> None:
    refused(edited(archived, tmp_path / "edited.zip", edit), tmp_path / "store", message)


def refused(file: Path, root: Path, message: str) -> None:
    with pytest.raises(DropnasError) as caught, opened(file) as archive:
        unpack(archive, root)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    left = [path for path in root.rglob("*") if path != root / "scratch"] if root.exists() else []
    assert left == []


def test_an_edit_without_new_checksums_is_refused(archived: Path, tmp_path: Path) -> None:
    content = content_of(archived)
    name = first(content, "runs/retrain/", "/result.json")
    with zipfile.ZipFile(archived) as old, zipfile.ZipFile(tmp_path / "edited.zip", "w") as new:
        for entry in old.infolist():
            new.writestr(entry, b"{}" if entry.filename == name else old.read(entry))
    refused(tmp_path / "edited.zip", tmp_path / "store", f"{name} was changed after the archive was made")


def raw(file: Path, *entries: tuple[str, bytes], mode: int = 0o100644) -> Path:
    """A zip with the given names, a mode for the last entry, and a matching list of checksums."""
    from hashlib import sha256

    sums = "".join(f"{sha256(data).hexdigest()}  {name}\n" for name, data in entries)
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(SUMS, sums)
        for name, data in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            packed.writestr(entry, data)
    return file


@pytest.mark.parametrize(
    "name",
    ["/etc/escaped", "../escaped", "runs/../../escaped", "runs//x", "./x", "..\\escaped", "C:x", "a\nb", "runs/.."],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    refused(raw(tmp_path / "bad.zip", (name, b"x")), tmp_path / "store", "which is not a valid file name")


def test_a_link_and_a_second_file_of_a_name_are_refused(tmp_path: Path) -> None:
    refused(raw(tmp_path / "link.zip", ("runs/x", b"/etc"), mode=0o120777), tmp_path / "a", "the link 'runs/x'")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = raw(tmp_path / "twice.zip", ("x", b"1"), ("x", b"2"))
    refused(twice, tmp_path / "b", "contains two files with one name")


def test_a_file_that_is_no_archive_is_reported(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("text")
    refused(tmp_path / "text.zip", tmp_path / "a", "is not an archive, or is damaged")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as packed:
        packed.writestr("x", "y")
    refused(tmp_path / "other.zip", tmp_path / "b", "is not an archive of this program: it has no SHA256SUMS")
    refused(raw(tmp_path / "empty.zip"), tmp_path / "c", "does not contain exactly one frozen plan")


CONTENT = {"runs/a/b.json": b"0123456789" * 40, "data/c.csv": b"1,2\n", "ü.txt": b""}


def test_a_file_before_the_archive_begins_is_refused(tmp_path: Path) -> None:
    """Such a change makes zipfile seek to a negative position, which is an OSError."""
    write_archive(tmp_path / "a.zip", CONTENT)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    at = content.rindex(b"PK\x05\x06") + 16  # the end of the archive says where its list of files begins
    content[at : at + 4] = (int.from_bytes(content[at : at + 4], "little") + 1).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DropnasError, match=r"or is damaged \(\[Errno"), opened(tmp_path / "a.zip"):
        pass


@given(st.data())
def test_a_changed_byte_is_refused_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    write_archive(folder / "a.zip", CONTENT)
    content = bytearray((folder / "a.zip").read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / "a.zip").write_bytes(content)
    try:
        with opened(folder / "a.zip") as archive:
            assert {name: archive.read(name) for name in archive.sums} == CONTENT
    except DropnasError as error:
        assert "\n" not in str(error)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}(/[a-zA-Z.+-]*[a-z]){0,2}", fullmatch=True), st.binary(), max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, content: Content) -> None:
    file = tmp_path_factory.mktemp("round") / "a.zip"
    folders = {"/".join(name.split("/")[:depth]) for name in content for depth in range(1, name.count("/") + 1)}
    content = {name: data for name, data in content.items() if name not in folders}
    write_archive(file, content)
    before = file.read_bytes()
    write_archive(file, dict(reversed(content.items())))
    assert file.read_bytes() == before and zipfile.is_zipfile(io.BytesIO(before))
    with opened(file) as archive:
        assert {name: archive.read(name) for name in archive.sums} == content
