"""Types of tensors with their shapes: `Float[Tensor, "N V"]` is a floating-point tensor of N rows and V columns.

The tests load jaxtyping before this package, and its import hook has beartype check every call (`tests/conftest.py`):
within one call the same letter must be the same length. In production the types are `typing.Annotated`, which neither
needs nor imports jaxtyping, and nothing is checked. `*rows` stands for several dimensions, `...` for any shape.
"""

import sys
from typing import TYPE_CHECKING

if not TYPE_CHECKING and "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int
else:
    from typing import Annotated as Bool
    from typing import Annotated as Float
    from typing import Annotated as Int

__all__ = ["Bool", "Float", "Int"]
