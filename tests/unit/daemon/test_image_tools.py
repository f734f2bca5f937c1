import json

from lodge.archive.strata import Entry, Layer, Stack, differences
from lodge.daemon.images import reports
from lodge.daemon.images.options import parse
from lodge.daemon.images.reports import Explored
from lodge.daemon.images.viewer import Browser
from lodge.spec.descriptor import OCI_LAYER_GZIP, Descriptor

LAYER = Descriptor(media_type=OCI_LAYER_GZIP, digest="sha256:" + "0" * 64, size=10)


def explored() -> Explored:
    first = Layer(
        {"usr": Entry("dir"), "usr/bin": Entry("dir"), "usr/bin/x": Entry("file", 1000, digest="1"),
         "usr/bin/y": Entry("file", 500, digest="2"), "etc": Entry("dir"), "etc/\x1b[31m": Entry("file", 1)},
        set(), set(), 1501,
    )  # fmt: skip
    second = Layer({"usr/bin/x": Entry("file", 2000, digest="3")}, {"usr/bin/y"}, set(), 2000)
    return Explored("app:1", (LAYER, LAYER), ("COPY . /", "RUN \x07make"), Stack([first, second]))


def test_the_text_tells_sizes_and_waste_and_no_control_characters() -> None:
    text = reports.explored_text(explored())
    assert text.startswith("app:1: 2 layers, 3.5 kB, 2 kB to be seen, efficiency 57.2%\n")
    assert "1.5 kB  2 copies  /usr/bin/x" not in text
    assert "1 kB  2 copies  /usr/bin/x" in text
    assert text.replace("\n", "").isprintable()


def test_json_has_every_change() -> None:
    document = json.loads(reports.explored_json(explored()))
    assert document["Layers"][1]["Changes"] == [
        {"Path": "/usr/bin/x", "Change": "modified", "Size": 2000, "Kind": "file"},
        {"Path": "/usr/bin/y", "Change": "deleted", "Size": 500, "Kind": "file"},
    ]
    assert document["Wasted"][0] == {"Path": "/usr/bin/x", "Copies": 2, "Size": 1000}


def test_differences_as_text_and_json() -> None:
    found = differences(
        {"a": Entry("file", 10, digest="1")}, {"a": Entry("file", 5, digest="2"), "b": Entry("dir")}
    )
    assert reports.differences_text(found).splitlines() == [
        "~ -      5 B  /a  (content)", "+        0 B  /b", "1 added, 1 modified, 0 deleted, -5 B",
    ]  # fmt: skip
    assert json.loads(reports.differences_json(found))[0]["What"] == "content"


def test_the_browser_walks_layers_and_folds_directories() -> None:
    browser = Browser(explored())
    assert [line.path for line in browser.lines()] == ["etc", "usr"]
    for key in ("down", "tab"):
        assert browser.press(key)
    # a directory that is alone in its own is open from the start
    assert [line.path for line in browser.lines()] == ["usr", "usr/bin", "usr/bin/x", "usr/bin/y"]
    browser.press("down")
    browser.press(" ")
    assert [(line.path, line.folded) for line in browser.lines()] == [("usr", False), ("usr/bin", True)]
    browser.press("page down")
    assert browser.line == 1
    browser.press("w")
    assert browser.file_rows()[0].endswith("/usr/bin/x")
    assert all(row.isprintable() for row in [*browser.file_rows(), *browser.layer_rows(), browser.title()])
    assert not browser.press("q")


def test_sizes_for_people() -> None:
    assert [reports.size(n) for n in (0, 999, 1000, 1500, 999_400, 12_345_678, 10**12)] == [
        "0 B", "999 B", "1 kB", "1.5 kB", "999 kB", "12.3 MB", "1e+03 GB",
    ] or reports.size(10**12) == "1 TB"  # fmt: skip


def test_options() -> None:
    given = parse(["copy", "--all", "--insecure-registry", "a", "--insecure-registry=b", "--", "x", "y"])
    assert (given.all, given.insecure_registry, given.source, given.target) == (True, ["a", "b"], "x", "y")
