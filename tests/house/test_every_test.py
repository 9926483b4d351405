"""Every test there is, is run. One that no CMakeLists.txt names any more fails nothing, so nobody
would see that it has gone.

    test_every_test.py BUILD-FOLDER
"""

import json
import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
SUFFIXES = {".c", ".py", ".sh"}


def there():
    """The names that the files tests/FOLDER/test_NAME.* stand for."""
    for path in TESTS.rglob("test_*"):
        folder = path.parent.relative_to(TESTS)
        if path.suffix in SUFFIXES and folder.name != "support":
            yield str(folder / path.stem.removeprefix("test_"))


def run(build):
    told = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True,
                          stdout=subprocess.PIPE)
    return {test["name"] for test in json.loads(told.stdout)["tests"]}


def main():
    missing = sorted(set(there()) - run(sys.argv[1]))
    for name in missing:
        print(f"tests/{name}: there is a file, but no test of that name", file=sys.stderr)
    sys.exit(1 if missing else 0)


main()
