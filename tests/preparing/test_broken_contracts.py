"""What a plugin returns that is not what the contract says is one line that names the plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]
CODE = """
import mlrun
import torch

IMAGES, LABELS = torch.zeros(60, 1, 4, 4, dtype=torch.uint8), torch.arange(60) % 3
PART = mlrun.Part(IMAGES, LABELS)

def data(train=PART, classes=("a", "b", "c"), **more):
    return mlrun.ImageData(train, classes, **more)

def ill(root):
    return RETURNED

async def late(root):
    return data()

def lazy(root):
    yield data()

@mlrun.hookimpl
def register_datasets(register):
    register(NAME)
"""
MODEL = """
import mlrun
from torch import nn

class Net(nn.Module):
    pass

def ill(shape, classes):
    return RETURNED

async def late(shape, classes):
    return Net()

@mlrun.hookimpl
def register_models(register):
    register(NAME)
"""
DATA = [
    ("None", "returned None; expected mlrun.ImageData"),
    ("mlrun.ImageData", "returned the class ImageData; expected mlrun.ImageData"),
    ("PART", "returned Part; expected mlrun.ImageData"),
    ("[data()]", "returned list; expected"),
    ("data(None)", "the train part is None; expected Part(images, labels)"),
    ("data(IMAGES)", "the train part is Tensor; expected Part"),
    ("data((IMAGES, LABELS, 3))", "the train part is tuple; expected Part"),
    ("data(mlrun.Part)", "the train part is the class Part; expected Part"),
    ("data(validation={})", "the validation part is dict; expected Part"),
    ("data(test='cat')", "the test part is str; expected Part"),
    ("data((None, LABELS))", "train images are None; expected a torch tensor"),
    ("data((IMAGES, None))", "train labels are None; expected a torch tensor"),
    ("data((IMAGES, LABELS.tolist()))", "train labels are list; expected a torch tensor"),
    ("data((list(IMAGES), LABELS))", "train images are list; expected a torch tensor"),
    ("data((IMAGES.numpy(), LABELS))", "train images are ndarray; expected a torch tensor"),
    ("data(((i for i in IMAGES), LABELS))", "train images are generator; expected a torch tensor"),
    ("data(test=(IMAGES, None))", "test labels are None; expected a torch tensor"),
    ("data((IMAGES.to('meta'), LABELS))", "a torch.strided tensor on meta; expected a dense one"),
    ("data((IMAGES, LABELS.to_sparse()))", "labels are a torch.sparse_coo tensor on cpu; expected"),
    ("data((IMAGES[:, :, :0], LABELS))", "(60, 1, 0, 4); expected uint8 (N, C, H, W)"),
    ("data((IMAGES, LABELS.float()))", "train labels are torch.float32 (60,); expected int64"),
    ("data(classes=None)", "classes are None; expected a tuple with the name of each class"),
    ("data(classes='abc')", "classes are 'abc'; expected a tuple"),
    ("data(classes=(0, 1, 2))", "classes are (0, 1, 2); expected a tuple"),
    ("data(classes=(c for c in 'abc'))", "expected a tuple with the name of each class"),
    ("data(classes=())", "classes are (); expected the names of at least two"),
    ("data(mean=0.5)", "mean is 0.5; expected a tuple"),
    ("data(mean=('x',))", "mean is ('x',); expected a tuple"),
    ("data(std=(None,))", "std is (None,); expected a tuple"),
    ("data(source=None)", "source is None; expected a text"),
    ("data(licence=3)", "licence is int; expected a text"),
]


def line_of(command: Command, kind: str, path: Path) -> str:
    code, out, err = command(
        "train", "--plugin", str(path), f"--{kind}", path.stem, "--epochs", "1", "--quiet"
    )
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert not Path("mlruns").exists()
    return err


def written(tmp_path: Path, code: str, returned: str, name: str) -> Path:
    path = tmp_path / f"{name}.py"
    path.write_text(code.replace("RETURNED", returned).replace("NAME", name))
    return path


@pytest.mark.parametrize(("returned", "message"), DATA)
def test_a_data_set(
    store: str, tmp_path: Path, command: Command, returned: str, message: str
) -> None:
    line = line_of(command, "dataset", written(tmp_path, CODE, returned, "ill"))
    assert line.startswith("Error: data set ill: ")
    assert message in line
    assert "its plugin ill (ill.py " in line


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("name", "given"), [("late", "coroutine"), ("lazy", "generator")])
def test_a_data_set_that_is_not_returned_yet(
    store: str, tmp_path: Path, command: Command, name: str, given: str
) -> None:
    line = line_of(command, "dataset", written(tmp_path, CODE, "0", name))
    assert line.startswith(f"Error: data set {name}: its plugin {name} ({name}.py ")
    assert line.endswith(f"returned {given}; expected mlrun.ImageData\n")


@pytest.mark.parametrize(
    ("returned", "given"),
    [("None", "None"), ("Net", "the class Net"), ("nn", "module"), ("[Net()]", "list")],
)
def test_a_model(store: str, tmp_path: Path, command: Command, returned: str, given: str) -> None:
    line = line_of(command, "model", written(tmp_path, MODEL, returned, "ill"))
    assert line.startswith("Error: model ill: its plugin ill (ill.py ")
    assert line.endswith(f" returned {given}; expected torch.nn.Module\n")


@pytest.mark.filterwarnings("error")
def test_a_model_that_is_not_returned_yet(store: str, tmp_path: Path, command: Command) -> None:
    line = line_of(command, "model", written(tmp_path, MODEL, "0", "late"))
    assert line.endswith(" returned coroutine; expected torch.nn.Module\n")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return None", "it returned None; expected a Figure"),
        ("return np.zeros", "it returned builtin_function_or_method; expected a Figure"),
        ("return mlrun.Picture", "it returned the class Picture; expected a Figure"),
        ("return 'x.png'", "it returned str; expected a Figure"),
        ("return [None]", "it yielded None; expected (name, picture)"),
        ("yield 'one', None", "it drew None; expected a Figure"),
        ("yield 'one', mlrun.Picture", "it drew the class Picture; expected a Figure"),
        ("yield", "it yielded None; expected (name, picture)"),
        ("return later()", "it returned coroutine; expected a Figure"),
    ],
)
def test_a_visualiser(tmp_path: Path, body: str, reason: str) -> None:
    from drawn import drawn_by
    from views import convolutional, make_view

    from mlrun.errors import MlrunError

    code = f"import mlrun\nimport numpy as np\nasync def later(): ...\ndef ill(view):\n    {body}\n"
    names: dict[str, object] = {}
    exec(code, names)
    with pytest.raises(MlrunError) as caught:
        drawn_by(names["ill"], "ill", make_view(convolutional()))
    assert str(caught.value).startswith(reason)
