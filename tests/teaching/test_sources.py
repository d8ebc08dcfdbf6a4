"""The sources of the teaching kit: complete, of a size that fits, and right."""

import json
import math
import re
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml

from relviz import cli, networks, statistics
from relviz.corpora import lesson
from tests.book.toc import ROOT
from tools import course

LECTURES = sorted((course.SOURCES / "lectures").glob("*.md"))
QUIZZES = sorted((course.SOURCES / "quizzes").glob("*.json"))


@pytest.fixture(params=LECTURES, ids=lambda path: path.stem)
def lecture(request) -> Path:
    return request.param


@pytest.fixture(params=QUIZZES, ids=lambda path: path.stem)
def quiz(request) -> list[dict]:
    return json.loads(request.param.read_text())


def cells(number: str) -> list[nbformat.NotebookNode]:
    return nbformat.read(course.chapters()[number], 4).cells


def shown_by(number: str) -> set[str]:
    """Names of a chapter's figures."""
    shown = (cell.metadata.get("mystnb", {}).get("figure") for cell in cells(number))
    return {figure["name"] for figure in shown if figure}


def test_there_are_eight_lectures_and_four_weeks():
    assert [path.stem[0] for path in LECTURES] == list("12345678")
    weeks = ["week1", "week2", "week3", "week4"]
    assert [path.stem for path in QUIZZES] == weeks
    assert sorted(p.stem for p in (course.SOURCES / "assignments").glob("*.py")) == weeks


def test_a_lecture_takes_60_to_80_minutes_and_every_slide_says_what_to_say(lecture):
    slides = course.slides(lecture.read_text())
    assert 60 <= sum(minutes for _, minutes, _ in slides) <= 80
    assert all(len(said.split()) >= 20 for _, _, said in slides)
    assert 10 <= len(slides) <= 16


def test_a_slide_has_few_words_and_one_heading(lecture):
    for shown, _, _ in course.slides(lecture.read_text()):
        text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|!\[\]\([^)]*\)|\|", " ", shown, flags=re.DOTALL)
        assert len(text.split()) <= 60, shown
        assert len(re.findall(r"^#+ ", shown, re.MULTILINE)) == 1


def test_a_lecture_takes_figures_and_numbers_from_its_chapters(lecture):
    text = lecture.read_text()
    named = re.findall(r"!\[\]\((fig-(\d\d)-[\w-]+)\)", text)
    assert named
    assert not {name for name, number in named if name not in shown_by(number)}
    for number in sorted(set(re.findall(r"\{glue:text\}`(\d\d)/", text))):
        prose = "\n".join(cell.source for cell in cells(number))
        has = {found.partition(":")[0] for found in re.findall(r"\{glue:text\}`([^`]+)`", prose)}
        wanted = re.findall(rf"\{{glue:text\}}`{number}/([^`:]+)", text)
        assert set(wanted) <= has


def test_a_lecture_links_to_pages_that_the_book_has(lecture):
    for page in re.findall(r"\]\(book:([^)#]+)\.html", lecture.read_text()):
        assert list((course.ROOT / "book").glob(f"{page}.*"))


def test_every_chapter_has_a_handout():
    shown = yaml.safe_load((course.SOURCES / "handouts.yml").read_text())
    assert list(shown) == list(course.chapters())
    for number, names in shown.items():
        assert set(names) <= shown_by(number)


def test_a_question_has_one_right_answer_and_says_why_of_each(quiz):
    assert 5 <= len(quiz) <= 10
    for asked in quiz:
        assert asked["type"] == "multiple_choice"
        answers = asked["answers"]
        assert sum(answer["correct"] for answer in answers) == 1
        assert len({answer["answer"] for answer in answers}) == len(answers) >= 3
        assert all(answer["feedback"] for answer in answers)


def test_the_right_answer_is_not_always_in_one_place():
    places = [
        [answer["correct"] for answer in asked["answers"]].index(True)
        for path in QUIZZES
        for asked in json.loads(path.read_text())
    ]
    assert len(set(places)) >= 3


def key(week: int, begin: str) -> str:
    asked = json.loads((course.SOURCES / "quizzes" / f"week{week}.json").read_text())
    (answers,) = [each["answers"] for each in asked if each["question"].startswith(begin)]
    (right,) = [each["answer"] for each in answers if each["correct"]]
    return right


def test_keys_agree_with_the_library():
    conv, pool = networks.geometry(networks.PHONE_CNN)[:2]
    assert key(1, "How many samples") == str(conv.receptive_field)
    assert key(1, "The receptive field") == f"{pool.receptive_field} samples"
    wilson = statistics.wilson(1.0, 45)
    assert key(3, "All of 45 men") == f"100 % [{wilson.low:.0%}, 100 %]".replace("2%", "2 %")


@pytest.mark.slow
def test_keys_agree_with_arithmetic():
    stays = key(2, "The first layer has a stride")
    assert math.gcd(int(stays), 10) == 10
    assert key(2, "The images of a 700 Hz tone") == f"{16000 // 10 - 700} Hz"
    inside = np.mean(np.abs(np.random.default_rng(0).normal(size=100_000)) < 1)
    assert key(3, "The truth itself") == "two thirds"
    assert abs(inside - 2 / 3) < 0.03
    x = np.random.default_rng(1).normal(size=(80, 30, 4000)) / np.sqrt(80)
    average = np.einsum("kin,kjn->ij", x, x) / 4000
    assert np.allclose(average, np.eye(30), atol=0.02)
    assert key(1, "For an untrained layer") == "about the spectrum of the vowel's blocks"


def test_slides_parts():
    text = "# A\n\nNote (3 min):\nSay it.\n\n---\n\n## B\n\nNote (4 min):\nAnd this.\n"
    assert course.slides(text) == [("# A", 3, "Say it."), ("## B", 4, "And this.")]


@pytest.mark.slow
def test_the_data_to_share_travel_as_one_archive(tmp_path):
    title = course.data(tmp_path / "data" / "vowels.zip")
    assert title == f"Vowels with known answers, {lesson.LICENCE}"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["vowels.zip"]
    assert (tmp_path / "data" / "vowels.zip").stat().st_size < 6e6
    with zipfile.ZipFile(tmp_path / "data" / "vowels.zip") as archive:
        named = {name for name in archive.namelist() if not name.endswith("/")}
        table = pd.read_csv(archive.open("vowels/cues.csv"))
        assert "CC BY 4.0" in archive.read("vowels/README.md").decode()
    assert {f"vowels/{name}" for name in table["file"]} < named
    assert len(named) == 312 + 3


@pytest.mark.slow
def test_the_guide_says_how_to_use_the_data(tmp_path, monkeypatch, capsys):
    """Its example runs, on what its command writes, and prints two numbers that agree."""
    guide = (ROOT / "book" / "appendix" / "teaching.md").read_text()
    (command,) = re.findall(r"`relviz (data synthesise [^`]*)`", guide)
    (example,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert cli.main(command.split()) == 0
    capsys.readouterr()
    exec(compile(example, "guide", "exec"), {})
    found, truth = map(float, capsys.readouterr().out.split())
    assert found == pytest.approx(truth, rel=0.01)


def test_numbers_are_set_in_their_form():
    made = course.set_numbers("{glue:text}`a:.0%` of {glue:text}`b`", {"a": 0.25, "b": 7}.get)
    assert made == "25% of 7"


def test_references_are_told_in_words():
    """Handouts stand alone, so what they refer to has a name there."""
    text = "By {eq}`eq-01-conv`, equation {eq}`eq-01-field`; $P$ {eq}`eq-02-tone`; "
    text += "{cite:t}`palaz2013`"
    said = "By equation (1), equation (2); $P$ (6); Palaz et al. (2013)"
    assert course.plain(text) == said


def test_work_of_students_is_not_deleted(monkeypatch, tmp_path):
    monkeypatch.setattr(course, "OUT", tmp_path)
    work = tmp_path / "grading" / "submitted" / "ada"
    work.mkdir(parents=True)
    with pytest.raises(SystemExit, match="holds work of students, which building anew would del"):
        course.main()
    assert work.is_dir()
