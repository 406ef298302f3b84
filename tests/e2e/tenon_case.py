"""What the end-to-end tests share: the binary, a folder that goes away, the miniatures.

Each test file runs as `NAME_test.py TENON SOURCE_DIR`; Python's standard library only.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

# One thread: these tests ask what is done, not how fast, and share their cores with others.
os.environ.setdefault("TENON_THREADS", "1")

TENON = ""
SOURCE = ""


class TenonCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tenon-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def tenon(self, *arguments, code=0, **options):
        """Runs a verb in the test's folder and checks its exit code."""
        done = subprocess.run([TENON, *map(str, arguments)], cwd=self.folder, text=True,
                              encoding="utf-8", stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        if code in range(1, 10):
            last = done.stderr.splitlines()[-1]
            self.assertTrue(last.startswith("error: "), done.stderr)
        return done

    def json(self, *arguments, code=0, **options):
        """Runs a verb with --json; stdout must be one document."""
        # Right after the verb: at the end it could be taken for the value of an option.
        arguments = [*arguments[:1], "--json", *arguments[1:]]
        document = json.loads(self.tenon(*arguments, code=code, **options).stdout)
        self.assertEqual(document["schema"], 1)
        return document

    def build(self, model, *arguments, name="model.plan", **options):
        self.tenon("build", model, "-o", name, *arguments, **options)
        return self.path(name)

    def left(self):
        """Names in the test's folder, for seeing that nothing was left behind."""
        return sorted(os.listdir(self.folder))


def miniature(name):
    return os.path.join(SOURCE, "miniatures", name)


def golden(*names):
    """What tests/golden/*.tar.xz hold, unpacked in the build folder, with the weights that belong to it."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(TENON))), "golden", *names)


def golden_model(name):
    return golden("models", name)


def reference(name):
    with open(os.path.join(miniature(name), "reference.json"), encoding="utf-8") as file:
        return json.load(file)


def one_line(text):
    """The form in which `run --prompts` prints a text."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def main():
    global TENON, SOURCE
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} TENON SOURCE_DIR [unittest options]")
    # Tests import this module by name; the running file may be another copy of it.
    module = sys.modules["tenon_case"]
    module.TENON, module.SOURCE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    del sys.argv[1:3]
    unittest.main(module="__main__", verbosity=2)
