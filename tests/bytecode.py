"""One folder of bytecode for all processes of the suite, where Python may keep none."""

import atexit
import os
import sys
import sysconfig
import tempfile

__all__ = ["share_bytecode"]

# Large, and imported by nobody; in the standard library's folder, another environment's packages.
LEFT_OUT = {"test", "tests", "site-packages"}


def share_bytecode() -> None:
    """Has this process and those that it starts keep bytecode in a folder of their own.

    Where PYTHONDONTWRITEBYTECODE says, as containers often do, that no file may be written beside
    the sources, each worker and each process that a test starts would compile all that it imports
    anew, for seconds. The folder is removed when this process ends.

    Python then looks nowhere else: links lead to what was compiled when it was installed.
    """
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    suffix = f"{sys.implementation.cache_tag}.pyc"
    for name in ("stdlib", "purelib"):
        for home, folders, files in os.walk(sysconfig.get_path(name)):
            folders[:] = set(folders) - LEFT_OUT
            compiled = [file for file in files if file.endswith(suffix)]
            if compiled:
                # The tree of the sources, without folders __pycache__.
                shared = folder.name + os.path.dirname(home)
                os.makedirs(shared, exist_ok=True)
                for file in compiled:
                    _link(os.path.join(home, file), os.path.join(shared, file))
    sys.dont_write_bytecode, sys.pycache_prefix = False, folder.name
    os.environ["PYTHONPYCACHEPREFIX"] = folder.name
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _link(path: str, link: str) -> None:
    try:
        # Twenty times faster than a symbolic link.
        os.link(path, link)
    except OSError:
        # On another device, or another user's.
        os.symlink(path, link)
