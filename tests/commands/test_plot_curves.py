"""nmt plot curves: logs of runs in a file or in the terminal."""

from pathlib import Path

import pytest

from nmt_cli.commands.plot_curves import curves_text, read_training_histories
from nmt_cli.errors import RunError, UserError
from nmt_cli.plots.curves import draw_curves
from nmt_cli.plots.training_log import TrainingHistory
from nmt_cli.reporting import Reporter, Screen
from tests.plots.pictures import svg_size
from tests.plots.test_training_log import train, validation, write_log

PLAIN = Screen(80, colours=False)


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Path]:
    write_log(tmp_path / "a", train(10, 5), train(20, 4), validation(20, 3, 12), train(40, 2))
    write_log(tmp_path / "b", train(10, 6), "{damaged", train(20, 5))
    return {"a": tmp_path / "a", "second": tmp_path / "b"}


def shown(courses: dict[str, TrainingHistory], by: str = "updates", screen: Screen = PLAIN) -> list[str]:
    return ["".join(span.text for span in row).rstrip() for row in curves_text(courses, by, screen)]


def test_damaged_lines_are_said_and_runs_are_named(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    courses = read_training_histories(runs, Reporter(quiet=True))
    assert list(courses) == ["a", "second"]
    said = " ".join(capsys.readouterr().err.split())
    assert said == f"warning: {tmp_path / 'b' / 'log.jsonl'}: 1 damaged line left out"
    with pytest.raises(RunError, match="nowhere: no such run folder"):
        read_training_histories({"nowhere": Path("nowhere")}, Reporter(quiet=True))


def test_a_run_without_a_loss_is_left_out_beside_others_and_refused_alone(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    (stopped / "recipe.yaml").write_text("")
    empty = write_log(tmp_path / "empty")
    courses = read_training_histories({"stopped": stopped, **runs, "empty": empty}, Reporter(quiet=True))
    assert list(courses) == ["a", "second"]
    said = " ".join(capsys.readouterr().err.split())
    for run in (stopped, empty):
        assert f"warning: {run}: nothing is logged yet: left out" in said
    with pytest.raises(RunError) as caught:
        read_training_histories({"stopped": stopped, "empty": empty}, Reporter(quiet=True))
    assert str(caught.value) == f"{stopped}: nothing is logged yet"


def test_the_terminal_has_a_chart_for_each_quantity(runs: dict[str, Path]) -> None:
    text = shown(read_training_histories(runs, Reporter(quiet=True)))
    assert text[:3] == ["*1 a", "o2 second", ""]
    titles = [line for line in text if line and line[0] not in " *o+1"]
    assert titles == [
        "loss in nats/token (line of marks: training, label-smoothed; digits: validation)",
        "BLEU", "chrF", "learning rate", "tokens/s",
    ]  # fmt: skip
    assert sum(line.endswith(" 40 updates") for line in text) == 5  # one scale for all
    assert max(map(len, text)) <= 80 and "".join(text).isascii()


def test_validation_has_marks_of_its_own_without_colours(runs: dict[str, Path]) -> None:
    text = shown(read_training_histories(runs, Reporter(quiet=True)))
    loss = "".join(line.partition("|")[2] for line in text[4 : text.index("", 4)])
    assert loss.count("1") == 1 and "2" not in loss  # only the first run was validated, once
    assert "*" in loss and "o" in loss


def test_the_loss_of_a_ctc_model_is_said_to_be_another_quantity(runs: dict[str, Path]) -> None:
    said = "loss of a CTC model: summed over all alignments"
    assert said not in shown(read_training_histories(runs, Reporter(quiet=True)))
    (runs["a"] / "recipe.yaml").write_text("model: {type: ctc}\n")
    assert shown(read_training_histories(runs, Reporter(quiet=True)))[3] == said


def test_time_can_be_in_minutes(runs: dict[str, Path]) -> None:
    text = shown(read_training_histories(runs, Reporter(quiet=True)), "minutes")
    assert sum(line.endswith(" 4 minutes") for line in text) == 5
    with pytest.raises(UserError, match="--by hours: use updates or minutes"):
        shown({}, "hours")


def test_one_run_in_colours_needs_no_key(runs: dict[str, Path]) -> None:
    courses = read_training_histories({"a": runs["a"]}, Reporter(quiet=True))
    title = "loss in nats/token (line: training, label-smoothed; dots: validation)"
    assert shown(courses, screen=Screen(80, colours=True))[0] == title
    assert shown(courses)[0] == "*1 a"


def test_a_file_is_drawn(runs: dict[str, Path], tmp_path: Path) -> None:
    draw_curves(tmp_path / "c.svg", read_training_histories(runs, Reporter(quiet=True)))
    assert svg_size(tmp_path / "c.svg")[0] > 600


def test_more_runs_than_colours_need_a_picture(runs: dict[str, Path]) -> None:
    course = read_training_histories({"a": runs["a"]}, Reporter(quiet=True))["a"]
    with pytest.raises(UserError, match="7 runs: a terminal can show 6; draw them with -o FILE"):
        shown({str(number): course for number in range(7)})
