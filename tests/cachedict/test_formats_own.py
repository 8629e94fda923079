"""Formats that users write: for classes of their own, for those of others, with files, with nested values."""

from __future__ import annotations

import pathlib
import resource
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from formats_double import Record, round_trip, stored

from exca.cachedict import CacheDict, DumpContext, _formats
from exca.errors import CorruptResult, InvalidInfra, ResultNotStored, StoreError, UntrustedResult


@DumpContext.register
class Recording:
    """A class with hooks of its own: an array, a tuple and a file."""

    def __init__(self, rate: tuple[int, str], samples: Any, note: str) -> None:
        self.rate, self.samples, self.note = rate, samples, note

    def __dump_info__(self, ctx: DumpContext) -> dict[str, Any]:
        path = ctx.new_file(".txt")
        path.write_text(self.note)
        return {"rate": ctx.dump(self.rate), "samples": ctx.dump(self.samples), "note": ctx.relative(path)}

    @classmethod
    def __load_from_info__(cls, ctx: DumpContext, rate: Any, samples: Any, note: str) -> Recording:
        return cls(ctx.load(rate), ctx.load(samples), (ctx.folder / note).read_text())


class LoudRecording(Recording):
    """Comes back as what it is, by the hooks of its parent."""


class Foreign:
    """Stands for a class of another library."""

    def __init__(self, text: str) -> None:
        self.text = text


class FarForeign(Foreign):
    pass


@DumpContext.register(default_for=Foreign)
class ForeignText:
    """Payloads, and a hook that is called when the item is deleted."""

    deleted: list[Any] = []  # noqa: RUF012

    @classmethod
    def __dump_info__(cls, ctx: DumpContext, value: Foreign) -> dict[str, Any]:
        return {"text": ctx.append(value.text.encode()), "kind": type(value).__name__}

    @classmethod
    def __load_from_info__(cls, ctx: DumpContext, text: int, kind: str) -> Foreign:
        return {"Foreign": Foreign, "FarForeign": FarForeign}[kind](ctx.read(text).decode())

    @classmethod
    def __delete_info__(cls, ctx: DumpContext, **info: Any) -> None:
        cls.deleted.append((ctx.folder, info))


@DumpContext.register(name="Lines")
class AsLines:
    """Only used where ``cache_type`` names it."""

    @staticmethod
    def __dump_info__(ctx: DumpContext, value: list[str]) -> dict[str, Any]:
        name = ctx.key_path(".lines")
        (ctx.folder / name).write_text("\n".join(value))
        return {"name": name}

    @staticmethod
    def __load_from_info__(ctx: DumpContext, name: str) -> list[str]:
        return (ctx.folder / name).read_text().split("\n")


@pytest.fixture(autouse=True)
def _nothing_deleted() -> None:
    ForeignText.deleted.clear()


def files(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (folder / "files").rglob("*"))


def recording(kind: type[Recording] = Recording) -> Recording:
    return kind((5, "Hz"), {"left": np.arange(3), "right": [np.zeros(2)]}, "a note")


@pytest.mark.parametrize("kind", [Recording, LoudRecording])
def test_a_class_with_hooks_comes_back(kind: type[Recording], tmp_path: pathlib.Path) -> None:
    copy = round_trip({"in": [recording(kind)]}, tmp_path)["in"][0]
    assert type(copy) is kind
    assert (copy.rate, copy.note) == ((5, "Hz"), "a note")
    assert copy.samples["left"].tolist() == [0, 1, 2]
    assert copy.samples["right"][0].flags.writeable


def test_what_stands_on_disk_for_it_does_not_change(tmp_path: pathlib.Path) -> None:
    record = stored(recording(), tmp_path, key="sub-1/ses 2")
    (name,) = files(tmp_path)
    assert name.startswith("sub-1_ses_2-")
    assert record.info == {
        "$": "own",
        "v": {
            "class": f"{__name__}:Recording",
            "info": {
                "rate": {"$": "tuple", "v": [5, "Hz"]},
                "samples": {
                    "left": {"$": "array", "v": [0, "<i8", [3]]},
                    "right": [{"$": "array", "v": [1, "<f8", [2]]}],
                },
                "note": f"files/{name}",
            },
            "files": [f"files/{name}"],
        },
    }


@pytest.mark.parametrize("kind", [Foreign, FarForeign])
def test_a_format_for_a_class_of_somebody_else(kind: type[Foreign], tmp_path: pathlib.Path) -> None:
    copies = round_trip([kind("ä"), {"b": kind("c")}], tmp_path)
    assert [type(copies[0]), type(copies[1]["b"])] == [kind, kind]
    assert [copies[0].text, copies[1]["b"].text] == ["ä", "c"]


def test_a_format_that_only_its_name_asks_for(tmp_path: pathlib.Path) -> None:
    assert stored(["a", "b"], tmp_path).info == ["a", "b"]
    record = stored(["a", "b"], tmp_path, cache_type="Lines")
    assert len(files(tmp_path)) == 1
    assert record.load() == ["a", "b"]
    _formats.check_cache_type("Lines")


def test_a_registered_class_by_its_name(tmp_path: pathlib.Path) -> None:
    assert round_trip(recording(), tmp_path, cache_type="Recording").note == "a note"
    with pytest.raises(ResultNotStored, match=r"it is not a .*Recording, as cache_type='Recording' asks"):
        stored(3, tmp_path, cache_type="Recording")
    with pytest.raises(InvalidInfra, match=r"registered here: .*Lines.*Recording"):
        _formats.check_cache_type("Recordings")


def test_deleting_removes_files_and_calls_the_hook(tmp_path: pathlib.Path) -> None:
    record = stored({"a": recording(), "b": [Foreign("x")], "c": (recording(), 1)}, tmp_path)
    assert len(files(tmp_path)) == 2
    _formats.delete(record.info, folder=tmp_path)
    assert files(tmp_path) == []
    assert ForeignText.deleted == [(tmp_path, {"text": 2, "kind": "Foreign"})]
    _formats.delete(record.info, folder=tmp_path)  # somebody else was deleting the same
    _formats.delete({"a": [1, {"$": "tuple", "v": [1]}]}, folder=tmp_path)
    _formats.delete("text", folder=tmp_path)


def test_values_inside_values_are_deleted_with_them(tmp_path: pathlib.Path) -> None:
    outer = Recording((1, "s"), [recording(), Foreign("x")], "outer")
    record = stored(outer, tmp_path)
    assert len(files(tmp_path)) == 2
    assert record.load().samples[0].note == "a note"
    _formats.delete(record.info, folder=tmp_path)
    assert files(tmp_path) == []
    assert len(ForeignText.deleted) == 1


def test_a_value_with_files_stays_in_its_record_however_long(tmp_path: pathlib.Path) -> None:
    """Who deletes a record reads the record alone."""
    record = stored([list(range(10_000)), recording()], tmp_path)
    assert isinstance(record.info, list)
    _formats.delete(record.info, folder=tmp_path)
    assert files(tmp_path) == []


def test_a_folder_may_stand_for_a_file(tmp_path: pathlib.Path) -> None:
    @DumpContext.register
    class Tree:
        def __dump_info__(self, ctx: DumpContext) -> dict[str, Any]:
            path = ctx.new_file()
            path.mkdir()
            (path / "leaf").touch()
            return {"path": ctx.relative(path)}

        @classmethod
        def __load_from_info__(cls, ctx: DumpContext, path: str) -> bool:
            return (ctx.folder / path / "leaf").exists()

    record = stored(Tree(), tmp_path, permissions=0o640)
    assert record.load()
    (tree,) = (tmp_path / "files").iterdir()
    assert (tree.stat().st_mode & 0o777, (tree / "leaf").stat().st_mode & 0o777) == (0o750, 0o640)
    _formats.delete(record.info, folder=tmp_path)
    assert files(tmp_path) == []


def test_what_fails_leaves_no_files_behind(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ResultNotStored, match="does not pickle"):
        stored([recording(), (x for x in [1])], tmp_path)
    assert files(tmp_path) == []

    class Broken(Recording):
        def __dump_info__(self, ctx: DumpContext) -> dict[str, Any]:
            super().__dump_info__(ctx)
            raise KeyError("the user's own mistake")

    with pytest.raises(KeyError, match="own mistake"):
        stored([recording(), recording(Broken)], tmp_path)
    assert files(tmp_path) == []


def test_incident_08_what_the_disk_refuses_leaves_no_files_behind(tmp_path: pathlib.Path) -> None:
    cache: CacheDict[Recording] = CacheDict(tmp_path)
    cache["a"] = recording()
    before, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = files(tmp_path)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))  # a note fits, a record does not
        with pytest.raises(ResultNotStored):
            cache["b"] = recording()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert files(tmp_path) == kept
    assert cache["a"].note == "a note"


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (None, "returned None: it must be a dict"),
        ({1: 2}, "must be a dict, whose keys can be names of arguments"),
        ({"a b": 2}, "names of arguments"),
        (
            {"a": [{"b": np.arange(2)}]},
            r"returned, at 'a', a value of type ndarray, which is no JSON: put in what ctx\.dump",
        ),
        ({"a": {1: 2}}, "a value of type dict, which is no JSON"),
        ({"a": float("nan")}, "nan, which is no JSON"),
    ],
    ids=repr,
)
def test_an_info_that_json_would_change_is_refused(info: Any, message: str, tmp_path: pathlib.Path) -> None:
    class Careless(Recording):
        def __dump_info__(self, ctx: DumpContext) -> Any:
            ctx.new_file()
            return info

    with pytest.raises(TypeError, match=rf"Careless\.__dump_info__ returned.*{message}|{message}"):
        stored(recording(Careless), tmp_path)


def test_hooks_that_are_missing_or_of_the_wrong_kind_are_named_at_once() -> None:
    with pytest.raises(TypeError, match=r"Nothing has no __dump_info__"):

        @DumpContext.register
        class Nothing:
            pass

    with pytest.raises(TypeError, match=r"Half has no __load_from_info__"):

        @DumpContext.register
        class Half:
            def __dump_info__(self, ctx: DumpContext) -> dict[str, Any]:
                return {}

    with pytest.raises(TypeError, match=r"Wrong\.__load_from_info__ must be a classmethod"):

        @DumpContext.register
        class Wrong(Recording):
            def __load_from_info__(self, ctx: DumpContext) -> Any:  # type: ignore[override]
                return None


@pytest.mark.parametrize("taken", [dict, str, object, list])
def test_the_types_of_json_keep_their_format(taken: type) -> None:
    with pytest.raises(TypeError, match=f"no format can be the default for {taken.__name__}"):
        DumpContext.register(default_for=taken)(ForeignText)


def test_a_name_of_exca_cannot_be_taken() -> None:
    with pytest.raises(ValueError, match=r"'Pickle' is the name of a format that comes with exca.*name="):
        DumpContext.register(name="Pickle")(AsLines)


def test_a_format_of_its_own_for_arrays_replaces_the_usual_one(tmp_path: pathlib.Path) -> None:
    code = f"""
import pathlib, sys; sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
from formats_double import stored
import numpy as np
from exca.cachedict import DumpContext

@DumpContext.register(default_for=np.ndarray)
class Half:
    @classmethod
    def __dump_info__(cls, ctx, value):
        return {{"data": ctx.append(value.astype("f2").tobytes())}}
    @classmethod
    def __load_from_info__(cls, ctx, data):
        return np.frombuffer(ctx.read(data), "f2")

for value in (np.arange(2.0), [np.arange(2.0)]):
    record = stored(value, pathlib.Path({str(tmp_path)!r}))
    print(record.load(), len(record.payloads[0]))
print(stored(np.arange(2.0), pathlib.Path({str(tmp_path)!r}), cache_type="MemmapArray").info)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "[0. 1.] 4",
        "[array([0., 1.], dtype=float16)] 4",
        "{'$': 'array', 'v': [0, '<f8', [2]]}",
    ], done.stderr


MODULE = """
from exca.cachedict import DumpContext

@DumpContext.register
class Far:
    def __dump_info__(self, ctx):
        return {"x": 1}
    @classmethod
    def __load_from_info__(cls, ctx, x):
        return ("loaded", x)
"""


def test_a_class_that_is_not_loaded_yet_is_imported_by_its_path(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far_away.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    record = Record(tmp_path / "cache")
    record.path.parent.mkdir()
    record.info = {"$": "own", "v": {"class": "far_away:Far", "info": {"x": 1}}}
    record.path.parent.chmod(0o777)
    with pytest.raises(UntrustedResult, match="names a module to be imported"):
        record.load()
    assert "far_away" not in sys.modules
    record.path.parent.chmod(0o700)
    assert record.load() == ("loaded", 1)
    del sys.modules["far_away"]


def test_a_class_that_is_gone_is_named_and_its_files_can_be_deleted(tmp_path: pathlib.Path) -> None:
    record = stored(recording(), tmp_path)
    record.info["v"]["class"] = "no_such_module:Recording"
    with pytest.raises(CorruptResult, match=r"no_such_module:Recording, which is not found here.*importable"):
        record.load()
    with pytest.raises(CorruptResult, match="no_such_module:Recording"):
        _formats.delete(record.info, folder=tmp_path)
    assert files(tmp_path) == []
    record.info["v"]["class"] = f"{__name__}:Foreign"
    with pytest.raises(CorruptResult, match=r"Foreign, which has no __load_from_info__ here"):
        record.load()


@pytest.mark.parametrize("name", ["/etc/hostname", "files/../../x", ".."])
def test_no_info_leads_out_of_the_folder(name: str, tmp_path: pathlib.Path) -> None:
    outside = tmp_path / "x"
    outside.touch()
    folder = tmp_path / "cache"
    record = stored(recording(), folder)
    record.info["v"]["files"] = [name]
    with pytest.raises(CorruptResult, match="outside of it"):
        _formats.delete(record.info, folder=folder)
    assert outside.exists()
    assert pathlib.Path("/etc/hostname").exists()


def test_a_context_says_when_it_is_used_at_the_wrong_time(tmp_path: pathlib.Path) -> None:
    with pytest.raises(StoreError, match="nothing can be stored with it now"):
        DumpContext(tmp_path, source=Record(tmp_path)).append(b"")
    with pytest.raises(StoreError, match="nothing can be read of it now"):
        DumpContext(tmp_path, sink=Record(tmp_path)).read(0)


SCRIPT = """
import dataclasses, enum, sys
from exca.cachedict import CacheDict, DumpContext

class Kind(enum.Enum):
    A = 1

@dataclasses.dataclass
class Report:
    kind: Kind

@DumpContext.register
class Far:
    def __dump_info__(self, ctx):
        return {}
    @classmethod
    def __load_from_info__(cls, ctx):
        return cls()

if __name__ == "__main__":
    cache = CacheDict("cache")
    if "write" in sys.argv:
        cache["all"] = [Report(Kind.A), Far()]
    report, far = cache["all"]
    print(report == Report(Kind.A), type(far) is Far)
"""


@pytest.mark.slow
def test_incident_02_classes_of_a_script_are_found_by_running_and_by_importing_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "experiment.py").write_text(SCRIPT)
    reader = (
        "import experiment as e; r, f = e.CacheDict('cache')['all']; print(r == e.Report(e.Kind.A), type(f) is e.Far)"
    )
    stranger = "from exca.cachedict import CacheDict; print(*(type(v).__module__ for v in CacheDict('cache')['all']))"
    for arguments, printed in (
        (["experiment.py", "write"], "True True\n"),
        (["experiment.py"], "True True\n"),
        (["-c", reader], "True True\n"),
        (["-c", stranger], "experiment experiment\n"),
    ):
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=False, capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (printed, "")
