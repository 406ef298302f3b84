"""What holds for every verb: --json, --quiet, pipes, closed files, hostile text."""
import os
import re
import subprocess
import unittest

import tenon_case
from tenon_case import TenonCase, main, miniature

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Behaviour(TenonCase):
    def verbs(self):
        return [["build", miniature("llama"), "-o", "new.plan"],
                ["run", "model.plan", "--prompt", "It was a", "--max-new-tokens", "5"],
                ["inspect", "model.plan"], ["inspect", miniature("llama"), "--layers"], ["doctor"],
                ["version"]]

    def setUp(self):
        super().setUp()
        self.build(miniature("llama"))

    def test_json_is_one_document_with_schema_and_verb(self):
        for arguments in self.verbs():
            document = self.json(*arguments)
            self.assertEqual(document["verb"], arguments[0])

    def test_piped_output_has_no_control_characters(self):
        for arguments in self.verbs():
            for extra in ([], ["--json"]):
                done = self.tenon(*arguments, *extra)
                self.assertIsNone(CONTROL.search(done.stdout + done.stderr), arguments)

    def test_quiet_is_quiet(self):
        for arguments in self.verbs():
            done = self.tenon(*arguments, "--quiet")
            self.assertEqual(done.stderr, "", arguments)
            self.assertEqual(done.stdout == "", arguments[0] == "build", arguments)
        self.tenon("inspect", "absent", "--quiet", code=3)

    def test_logs_go_to_stderr(self):
        done = self.tenon("run", "model.plan", "--ids", "1", "--max-new-tokens", "1", "--json",
                          "--log-level", "trace")
        self.assertTrue(done.stdout.startswith("{"))

    def test_a_closed_pipe_is_no_crash(self):
        for arguments in (["inspect", "model.plan", "--graph", "before"],
                          ["inspect", "model.plan", "--ledger", "--json"],
                          ["run", "model.plan", "--ids", "1", "--ignore-eos", "--max-new-tokens",
                           "400"]):
            # Fill the pipe's buffer as the shell's `head -c 1` would leave it.
            process = subprocess.Popen([tenon_case.TENON, *arguments], cwd=self.folder,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            process.stdout.read(1)
            process.stdout.close()
            errors = process.stderr.read().decode()
            process.stderr.close()
            self.assertEqual(process.wait(timeout=120), 0, arguments)
            self.assertNotIn("error", errors)

    def test_closed_standard_files(self):
        for redirection in ("<&-", "2>&-", "<&- 2>&-"):
            done = subprocess.run(f'"{tenon_case.TENON}" build {miniature("llama")} -o c.plan '
                                  f'--no-gate {redirection}', shell=True, cwd=self.folder,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 0, redirection)
            self.tenon("inspect", "c.plan")
        done = subprocess.run(f'"{tenon_case.TENON}" version >&-', shell=True,
                              stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 8)

    def test_hostile_names_are_escaped(self):
        self.assertNotIn("\x1b", self.tenon("inspect", "\x1b[31mred", code=3).stderr)
        self.assertNotIn("\x1b", self.tenon("run", "model.plan", "--\x1b[31mred", code=2).stderr)
        self.assertNotIn("\x1b", self.tenon("\x1b[31mred", code=2).stderr)
        self.assertIn("no such option or argument; got --limit 4; fix: see tenon run --help",
                      self.tenon("run", "model.plan", "--limit", "4", code=2).stderr)
        done = self.tenon("frobnicate", "x", code=2)
        self.assertIn("no such verb; got frobnicate, accepted build, run,", done.stderr)
        self.build(miniature("llama"), "--name", "a\x1b[2Jb", name="hostile.plan")
        self.assertIn("a\\x1b[2Jb", self.tenon("inspect", "hostile.plan").stdout)

    def test_ignored_signals_stay_ignored(self):
        done = subprocess.run(["sh", "-c", 'trap "" INT HUP; "$0" version & pid=$!; '
                               'kill -INT $pid; wait $pid', tenon_case.TENON],
                              stdout=subprocess.PIPE)
        self.assertEqual(done.returncode, 0)

    def test_nothing_is_written_but_the_output(self):
        before = self.left()
        for arguments in self.verbs()[1:]:
            self.tenon(*arguments)
        self.assertEqual(self.left(), before)


if __name__ == "__main__":
    main()
