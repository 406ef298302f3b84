"""One of our benchmark programs as a child process that answers one line of JSON for each line it is given."""

import json
import os
import signal
import subprocess


class Server:
    def __init__(self, command, environment=None):
        self.command = [str(word) for word in command]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)
        self.greeting = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.command[0]} ended with exit code {self.process.wait()}")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def ask_alone(self, lines):
        """Answers of a child that is stopped before and after: threads that wait by spinning then take no core."""
        self.resume()
        answers = [self.ask(line) for line in lines]
        self.stop()
        return answers

    def stop(self):
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self):
        self.process.stdin.close()
        code = self.process.wait()
        if code != 0:
            raise RuntimeError(f"{self.command[0]} ended with exit code {code}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.close()
        else:
            self.process.kill()
            self.process.wait()
