"""The errors Bakery raises on purpose, as one tree.

    BakeryError              1   anything we refuse to do; never raised itself
    ├── ConfigError          2   settings: an unknown key, a wrong type, an impossible combination
    ├── DataError            3   rows: a missing file, a broken line, a column that is not there
    │   ├── TemplateError    3   the chat template cannot render this conversation
    │   └── ViewError        3   teacher and student cannot be asked about the same tokens
    ├── ModelError           4   the model or adapter cannot be loaded, or does not fit the base
    ├── ResourceError        5   no memory, no disk, a folder that cannot be written
    ├── NumericError         6   a loss or gradient that is not finite
    └── VerdictError         7   the bake is finished and proved, and is not as good as `fail_under` asks for

The number is the exit code of the command line. Every message is one line: what was got, where, what is allowed,
and what to do. Each class also inherits the standard exception a caller would expect to catch.
"""


class BakeryError(Exception):
    """Base of all errors Bakery raises on purpose."""

    exit_code = 1


class ConfigError(BakeryError, ValueError):
    """The settings cannot be used as they are."""

    exit_code = 2


class DataError(BakeryError, ValueError):
    """The rows cannot be used as they are."""

    exit_code = 3


class TemplateError(DataError):
    """The chat template cannot render this conversation."""


class ViewError(DataError):
    """Teacher and student cannot be asked about the same tokens of this row."""


class ModelError(BakeryError, RuntimeError):
    """The model, tokenizer or adapter cannot be loaded or used."""

    exit_code = 4


class ResourceError(BakeryError, OSError):
    """Memory, disk or permissions are missing."""

    exit_code = 5

    def __str__(self) -> str:
        # OSError formats two-argument forms as "[Errno n] text"; ours always carry one sentence.
        return str(self.args[0]) if self.args else ""


class NumericError(BakeryError, ArithmeticError):
    """A loss or gradient is not finite."""

    exit_code = 6


class VerdictError(BakeryError, RuntimeError):
    """A finished bake is not as good as was asked for; everything of it is written."""

    exit_code = 7
