"""One tree of errors: every class has the exit code that the module's first lines promise."""

import inspect
import re

import pytest

from bakery import errors
from bakery.errors import BakeryError, ResourceError

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value)]


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    drawn = {}
    ancestors: list[str] = []
    for indent, name, code in re.findall(r"^ {4}([│├└─ ]*)(\w+Error) +(\d)", errors.__doc__, flags=re.MULTILINE):
        ancestors = ancestors[: len(indent) // 4]
        drawn[name] = (ancestors[-1] if ancestors else "Exception", int(code))
        ancestors.append(name)
    assert drawn == {error.__name__: (error.__bases__[0].__name__, error.exit_code) for error in CLASSES}


@pytest.mark.parametrize("error", [error for error in CLASSES if error is not BakeryError])
def test_every_error_is_also_the_standard_exception_a_caller_expects_and_prints_its_sentence(error):
    standard = (ValueError, RuntimeError, OSError, ArithmeticError)
    assert issubclass(error, BakeryError)
    assert issubclass(error, standard)
    assert str(error("rows.json:3: a row")) == "rows.json:3: a row"


def test_a_resource_error_prints_its_sentence_and_no_errno():
    assert str(ResourceError("no room", "on this disk")) == "no room"
    assert str(ResourceError()) == ""
