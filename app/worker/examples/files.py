"""Writing a file so that whoever looks sees all of it or none."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Put *content* at *path*, in place of whatever was there; its folder is made.

    Only the user of this process may read it. A process killed in the middle leaves a hidden ``.tmp`` beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a crash may keep the new name and lose what it names
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
