"""Slides and pages of the lessons, as HTML: what is on them, and what is not."""

import hashlib
import json
import re

import pages
import publish
import pytest
import teach
from answering import LESSONS


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_slides_have_one_idea_each_and_give_nothing_away(path):
    made = pages.slides_of(teach.read(path))
    texts = ["".join(slide.parts) for slide in made]
    assert 20 <= len(made) <= 60 and all(slide.parts for slide in made)
    whole = "\n".join(texts)
    for left_out in ("<summary>", "exercises.check(", "figures.start()", "Questionnaire", "my_prediction = None"):
        assert left_out not in whole, left_out
    for text in texts:
        assert len(re.findall(r"<h[123]", text)) <= 1
        assert ("<img" in text) == ("What the figure shows" in text)  # a figure stands with its sentence
        if "Predict." in text:
            assert "The run says" not in text and "<li>" in text  # its options are there, and not what came of it
        if "NotImplementedError" in text:
            assert text.endswith("</pre>")  # what an exercise asks for is on the next slide


def test_a_list_stays_with_its_sentence_and_what_is_folded_is_left_out():
    text = "## Head\nSay:\n\n- a\n- b\n\n```\nx\n\ny\n```\n\n<details><summary>Hint</summary>\n\nno\n\n</details>\nend"
    assert pages.blocks(text) == ["## Head", "Say:\n\n- a\n- b", "```\nx\n\ny\n```", "end"]


def test_a_page_holds_code_outputs_and_pictures_with_their_words():
    drawn = {"output_type": "display_data", "data": {"image/png": "aGVsbG8="}, "metadata": {"image/png": {"width": 300}}}
    outputs = [{"output_type": "stream", "text": "True & so on\n"}, drawn]
    cell = {"source": "print(1 < 2)", "metadata": {"alt": 'a "b"'}, "outputs": outputs}
    source, text, picture = pages.code(cell)
    assert "&lt;" in source and text == '<pre class="out">True &amp; so on</pre>'
    assert picture == '<img alt="a &quot;b&quot;" width="300" src="data:image/png;base64,aGVsbG8=">'
    kept = "## At $x$, or\n\nA full stop stays with $a$. A display $$b$$. does not"
    assert re.findall('"together">(.*?)</span>', pages.markdown(kept)) == ["$x$,", "$a$."]
    page = pages.document("x", "", "body", "alert('</script>')")
    assert page.count("</script>") == 1 and "http" not in page


def test_a_page_links_to_pages_and_to_the_web_only():
    names = {*pages.SHEETS, *(path.stem for path in LESSONS)}
    texts = [cell["source"] for path in LESSONS for cell in teach.read(path) if cell["cell_type"] == "markdown"]
    texts += [(teach.LESSONS / f"{name}.md").read_text(encoding="utf-8") for name in pages.SHEETS]
    body = pages.markdown("\n\n".join(texts))
    links = lambda html: {link for link in re.findall('href="([^"]*)"', html) if not link.startswith(("http", "#"))}
    assert {*pages.SHEETS} < {link.removesuffix(".html") for link in links(pages.linked(body, names))} <= names
    assert not links(pages.linked(body, set()))


def test_the_first_page_of_the_site_has_the_question_of_every_lesson_in_plain_letters():
    page = publish.first_page()
    assert page.count('<li><a href="lab/index.html?path=') == len(LESSONS) and "\\" not in page and "$" not in page


def test_our_wheel_has_the_checks_and_the_package(tmp_path):
    teach.handout(tmp_path / "out")
    wheel = publish.our_wheel(tmp_path / "out", tmp_path)
    made = publish.entry(wheel)
    assert made["name"] == "tinymaml" and made["imports"] == ["exercises", "figures", "tinymaml"]
    assert made["depends"] == ["matplotlib", "numpy", "tqdm"] and len(made["sha256"]) == 64


@pytest.mark.parametrize(("command", "words"), [
    ("site FULL", "is not empty: name a new folder"), ("pages FULL", "is not empty"), ("slides 13 X", "there is no lesson '13'"),
    ("site NEW --offline FULL", "holds no wheel of NumPy"),
])  # fmt: skip
def test_odd_arguments_are_refused_in_one_sentence(command, words, tmp_path):
    (tmp_path / "FULL").mkdir()
    (tmp_path / "FULL" / "file").write_text("")
    places = {name: str(tmp_path / name) for name in ("FULL", "NEW", "X")}
    with pytest.raises(SystemExit, match=words):
        teach.main([places.get(word, word) for word in command.split()])


def pyodide(folder, contents):
    """What `runtime` needs of the npm package: a lock that names each package with its sha256, here that of `contents`."""
    folder.mkdir()
    names = [*publish.AT_START, "micropip", "jedi", "piplite", "ssl", "openssl", "sqlite3"]
    digest = hashlib.sha256(contents).hexdigest()
    packages = {name: {"file_name": f"{name}-1.whl", "sha256": digest, "depends": []} for name in names}
    (folder / "pyodide-lock.json").write_text(json.dumps({"packages": packages}))
    for name in publish.CORE:
        (folder / name).write_text("")
    return names


def test_packages_come_from_the_cdn_or_from_the_folder_and_each_has_its_checksum(tmp_path):
    names = pyodide(tmp_path / "core", b"wheel")
    publish.runtime(tmp_path / "core", None, [], tmp_path / "online")
    lock = json.loads((tmp_path / "online" / "pyodide-lock.json").read_text())
    assert all(each["file_name"].startswith(publish.CDN) and len(each["sha256"]) == 64 for each in lock["packages"].values())
    (tmp_path / "wheels").mkdir()
    for name in names:
        (tmp_path / "wheels" / f"{name}-1.whl").write_bytes(b"wheel")
    publish.runtime(tmp_path / "core", tmp_path / "wheels", [], tmp_path / "offline")
    assert len(list((tmp_path / "offline").glob("*.whl"))) == len(names)
    (tmp_path / "wheels" / "jedi-1.whl").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"jedi-1\.whl is not the file that the npm package pyodide .* names"):
        publish.runtime(tmp_path / "core", tmp_path / "wheels", [], tmp_path / "changed")
    (tmp_path / "wheels" / "jedi-1.whl").unlink()
    with pytest.raises(ValueError, match=r"lacks jedi-1\.whl"):
        publish.runtime(tmp_path / "core", tmp_path / "wheels", [], tmp_path / "lost")
