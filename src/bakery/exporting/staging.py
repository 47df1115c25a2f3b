"""A folder that is written aside and takes its name only when all of it is there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bakery.errors import ResourceError


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, which replaces it at the end of the block; after an error nothing has changed.

    Raises:
        ResourceError: it cannot be written.
    """
    folder = folder.absolute()
    staging, older = (folder.parent / f".{folder.name}.{end}" for end in ("staging", "older"))
    missing = [path for path in folder.parents if not path.exists()]
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        yield staging
        shutil.rmtree(older, ignore_errors=True)
        if folder.exists():
            os.replace(folder, older)
        os.replace(staging, folder)
        shutil.rmtree(older, ignore_errors=True)
    except ResourceError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise ResourceError(f"output_dir: {folder} cannot be written: {reason}; choose another folder") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not folder.exists():
            for path in missing:
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
