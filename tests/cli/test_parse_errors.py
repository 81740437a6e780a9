"""What jsonargparse reports becomes one line that names the key, the nearest right one, and the place."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.cli.parse_errors import LONGEST, arguments_of, in_a_line, key_in, nearest

NESTED = """Parser key "model":
  Does not validate against any of the Union subtypes
  Subtypes: [<class 'pytorch_lightning.core.module.LightningModule'>, <class 'NoneType'>]
  Errors:
    - Problem with given class_path 'medcnn.tasks.classification.ClassificationTask':
        Parser key "net":
          Problem with given class_path 'medcnn.nets.resnet.ResNet':
            Option 'width' is not accepted
    - Expected a <class 'NoneType'>
  Given value type: <class 'dict'>
  Given value: {'class_path': 'os.system', 'init_args': {'x': 'Parser key "planted"'}}"""


def test_an_unknown_key_is_one_line_with_the_nearest_one() -> None:
    line = in_a_line(NESTED, place=lambda key: f"tiny.yaml, line 7 {key}")
    assert line == (
        "model.net.width: ResNet takes no argument width; did you mean widths? (tiny.yaml, line 7 model.net.width)"
    )
    assert key_in(NESTED) == "model.net"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("unrecognized arguments: --epochs 3", "unrecognized arguments: --epochs 3; did you mean --max_epochs?"),
        ("does not accept option 'max_epoch'", "max_epoch: there is no such key; did you mean max_epochs?"),
        ("Group 'trainer' does not accept option 'x'", "trainer.x: there is no such key"),
        ("the following arguments are required: a, b", "the following arguments are required: a, b"),
        ('Parser key "n":\n  Expected a <class \'int\'>. Got value: many', "n is many: expected a whole number"),
        (('Parser key "n":\n  Does not validate against any of the Union subtypes\n  Subtypes: [<class \'float\'>]\n'
         "  Errors:\n    - Expected <class 'float'>\n    - Expected <class 'NoneType'>\n  Given value: a"),
         "n is a: expected a number"),
        ('Parser key "n":\n  Not of type PositiveInt: does not conform to restriction v>0\nGiven value: 0',
         "n is 0: expected a number above 0"),
        ('Parser key "c":\n  File does not exist: \'/home/doe/x.yaml\'', "c: there is no file x.yaml"),
        ('Parser key "c":\n  No module named \'monai.nets\'', "c: there is no module monai.nets; check the class path"),
        ("something\n  else", "something else"),
    ],
)  # fmt: skip
def test_each_kind_of_error_is_a_sentence(text: str, line: str) -> None:
    assert in_a_line(text, options=("max_epochs", "devices")) == line


@given(st.text(max_size=80).map(lambda name: NESTED.replace("width", name)) | st.text())
def test_whatever_is_quoted_stays_one_printable_line(text: str) -> None:
    line = in_a_line(text)
    assert line.isprintable()
    assert len(line) <= LONGEST


def test_only_an_allowed_class_is_asked_for_its_arguments() -> None:
    assert {"widths", "depths"} <= set(arguments_of("medcnn.nets.resnet.ResNet"))
    assert "lr" in arguments_of("torch.optim.AdamW")
    assert arguments_of("antigravity.Net") == []
    assert "antigravity" not in sys.modules


def test_nothing_near_is_no_suggestion() -> None:
    assert nearest("zzz", ["widths", "depths"]) == ""
