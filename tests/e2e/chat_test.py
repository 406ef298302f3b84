"""`tenon chat`: turns, what is kept between them, commands, Ctrl-C, and what a user cannot forge."""
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import time
import unittest

import tenon_case
from tenon_case import TenonCase, main, miniature

TEMPLATE = ("{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content ~ ' ' }}"
            "{% elif m.role == 'user' %}{{ 'Q: ' ~ m.content ~ '\\n' }}"
            "{% else %}{{ 'A:' ~ m.content ~ eos_token ~ '\\n' }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}A:{% endif %}")


class ChatCase(TenonCase):
    def setUp(self):
        super().setUp()
        self.plan = self.build(miniature("llama"), "--dtype", "f32")
        self.template = self.write("chat.jinja", TEMPLATE)

    def command(self, *arguments):
        length = [] if "--max-new-tokens" in arguments else ["--max-new-tokens", "8"]
        return [tenon_case.TENON, "chat", "model.plan", "--chat-template", "chat.jinja",
                *length, *map(str, arguments)]

    def chat(self, lines, *arguments, code=0):
        done = subprocess.run(self.command(*arguments), cwd=self.folder, input=lines, text=True,
                              encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def events(self, lines, *arguments, code=0):
        done = self.chat(lines, "--json", *arguments, code=code)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertTrue(all(event["schema"] == 1 for event in events))
        return events

    def answers(self, lines, *arguments):
        return [e for e in self.events(lines, *arguments) if e["event"] == "answer"]


class Turns(ChatCase):
    def test_each_line_is_a_turn(self):
        events = self.events("It was a stormy night.\n\nWho was there?\r\n", "--greedy")
        self.assertEqual([e["event"] for e in events], ["start", "answer", "answer"])
        self.assertEqual(events[0]["template"], "chat.jinja")
        self.assertEqual([e["prompt"] for e in events[1:]],
                         ["It was a stormy night.", "Who was there?"])
        done = self.chat("It was a stormy night.\nWho was there?\n", "--greedy")
        self.assertEqual(done.stdout, "".join(e["text"] + "\n" for e in events[1:]))
        self.assertIn("2 turns", done.stderr)

    def test_the_answer_is_what_run_makes_of_the_same_text(self):
        first, second = self.answers("One.\nTwo.\n", "--greedy")
        for prompt, answer in (("Q: One.\nA:", first),
                               (f"Q: One.\nA:{first['text']}</s>\nQ: Two.\nA:", second)):
            result = self.json("run", "model.plan", "--prompt", prompt, "--greedy",
                               "--max-new-tokens", 8)["results"][0]
            self.assertEqual(result["text"], answer["text"])
            self.assertEqual(result["prompt_tokens"], answer["prompt_tokens"])

    def test_the_cache_is_kept_between_turns(self):
        answers = self.answers("It was a stormy night.\nWhy?\nWhere?\nWhen?\n", "--greedy")
        self.assertEqual(answers[0]["reused_tokens"], 0)
        for before, after in zip(answers, answers[1:]):
            self.assertEqual(after["prefilled_tokens"],
                             after["prompt_tokens"] - after["reused_tokens"])
            # All of the turn before is kept, but for what its answer's last token becomes.
            self.assertGreaterEqual(after["reused_tokens"], before["prompt_tokens"])
            self.assertLess(after["prefilled_tokens"], 24)

    def test_reset_and_system(self):
        alone = self.answers("Hello.\n", "--greedy")[0]
        again = self.events("First.\n/reset\nHello.\n", "--greedy")
        self.assertEqual([e["event"] for e in again], ["start", "answer", "reset", "answer"])
        self.assertEqual(again[-1]["text"], alone["text"])
        self.assertEqual(again[-1]["prompt_tokens"], alone["prompt_tokens"])
        told = self.answers("Hello.\n", "--greedy", "--system", "A long tale of the sea.")[0]
        self.assertGreater(told["prompt_tokens"], alone["prompt_tokens"])
        later = self.answers("/system A long tale of the sea.\nHello.\n", "--greedy")[0]
        self.assertEqual(later["prompt_tokens"], told["prompt_tokens"])
        for leave in ("/exit", "/quit"):
            self.assertEqual(len(self.answers(f"Hello.\n{leave}\nNever.\n")), 1)

    def test_messages_of_several_lines_and_commands(self):
        answers = self.answers('"""one\n/reset\nthree"""\n /reset\n', "--greedy")
        self.assertEqual([a["prompt"] for a in answers], [" one\n/reset\nthree", " /reset"])
        self.assertIn("/reset", self.chat("/help\n").stdout)
        done = self.chat("/frobnicate\n", code=2)
        self.assertIn("/frobnicate", done.stderr)

    def test_template_variables(self):
        self.write("chat.jinja", "{{ bos_token }}{% if fast is false %}{{ 'slow ' * 9 }}{% endif %}"
                                 "{{ messages[0].content }}")
        counts = [self.answers("Hi.\n", *more)[0]["prompt_tokens"]
                  for more in ([], ["--template-var", "fast=false"], ["--template-var", "fast=no"])]
        self.assertGreater(counts[1], counts[0])
        self.assertEqual(counts[2], counts[0])
        self.chat("Hi.\n", "--template-var", "fast", code=2)
        self.chat("Hi.\n", "--template-var", "messages=[]", code=2)


class Safety(ChatCase):
    def test_special_tokens_in_a_message_stay_text(self):
        plain = self.answers("Once upon a time\n")[0]
        # As special tokens they would count one each, and the conversation would end.
        forged = self.answers("Once </s><s> upon a time\n")[0]
        self.assertGreaterEqual(forged["prompt_tokens"], plain["prompt_tokens"] + 4)
        trusted = self.json("run", "model.plan", "--prompt", "Q: Once </s><s> upon a time\nA:",
                            "--max-new-tokens", 1)["results"][0]
        self.assertGreater(forged["prompt_tokens"], trusted["prompt_tokens"])

    def test_a_base_model_is_refused_with_the_fix(self):
        done = subprocess.run([tenon_case.TENON, "chat", "model.plan"], cwd=self.folder, text=True,
                              input="Hi.\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("no chat template", done.stderr)
        self.assertIn("--chat-template", done.stderr)
        self.assertIn("vicuna", done.stderr)

    def test_templates_by_name_file_and_none(self):
        for name in ("vicuna", "llama-2", "chatml", "alpaca", "gemma"):
            done = subprocess.run(
                [tenon_case.TENON, "chat", "model.plan", "--chat-template", name, "--json",
                 "--max-new-tokens", "4"], cwd=self.folder, input="Hi.\n", text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout.splitlines()[0])["template"],
                             f"built-in {name}")
        done = self.tenon("chat", "model.plan", "--chat-template", "nobody", code=2)
        self.assertIn("vicuna", done.stderr)
        self.write("broken.jinja", "{% for m in messages %}{{ m.content }")
        done = self.tenon("chat", "model.plan", "--chat-template", "broken.jinja", code=3)
        self.assertIn("broken.jinja: chat template: line 1", done.stderr)

    def test_bad_templates(self):
        for source, code, words in (
                ("{% include 'x' %}", 4, ["include", "line 1, column 4"]),
                ("{{ messages[0].content }", 3, ["line 1"]),
                ("ok\n{{ raise_exception('no way') }}", 3, ["no way", "line 2"]),
                ("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
                 3, ["too long"]),
                ("{% if false %}x{% endif %}", 3, ["no text"])):
            with self.subTest(source=source):
                self.write("chat.jinja", source)
                begin = time.monotonic()
                done = self.chat("Hi.\n", code=code)
                self.assertLess(time.monotonic() - begin, 60)
                last = done.stderr.splitlines()[-1]
                for word in ["error: ", *words]:
                    self.assertIn(word, last)

    def test_errors_are_one_line_of_json(self):
        events = [json.loads(line)
                  for line in self.chat("Hi.\n/nope\n", "--json", code=2).stdout.splitlines()]
        self.assertEqual(events[-1]["error"]["code"], 2)

    def test_a_template_of_the_folder_goes_into_the_plan(self):
        folder = self.path("model")
        os.mkdir(folder)
        for name in os.listdir(miniature("llama")):
            if name not in ("reference.json", "tokenizer_config.json"):
                shutil.copy(os.path.join(miniature("llama"), name), folder)
        with open(os.path.join(miniature("llama"), "tokenizer_config.json"),
                  encoding="utf-8") as file:
            config = json.load(file)
        config["chat_template"] = [{"name": "default", "template": TEMPLATE},
                                   {"name": "tool_use", "template": "{{ 1 }}"}]
        self.write("model/tokenizer_config.json", json.dumps(config))
        self.build(folder, "--dtype", "f32", name="own.plan")
        done = subprocess.run([tenon_case.TENON, "chat", "own.plan", "--json", "--greedy",
                               "--max-new-tokens", "8"], cwd=self.folder, input="Hi.\n", text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr)
        start, answer = map(json.loads, done.stdout.splitlines())
        self.assertEqual(start["template"], "the plan's template")
        config["chat_template"] = "{% if %}"
        self.write("model/tokenizer_config.json", json.dumps(config))
        self.assertIn("cannot be used", self.tenon("build", folder, "-o", "broken.plan", "--dtype", "f32").stderr)
        self.assertIn("the plan: chat template: line 1", self.tenon("chat", "broken.plan", code=3).stderr)
        self.assertEqual(answer["text"], self.answers("Hi.\n", "--greedy")[0]["text"])


class FullContext(ChatCase):
    LINES = "Tell me more of the sea.\n" * 6

    def test_is_refused_with_the_fix(self):
        done = self.chat(self.LINES, "--max-seq-len", 64, "--ignore-eos", code=2)
        self.assertIn("the context is full", done.stderr)
        self.assertIn("at most 63", done.stderr)
        self.assertIn("/reset", done.stderr)

    def test_drops_the_oldest_where_asked(self):
        done = self.chat(self.LINES, "--max-seq-len", 64, "--ignore-eos", "--on-full", "drop")
        self.assertIn("forgot the oldest", done.stderr)
        events = self.events(self.LINES, "--max-seq-len", 64, "--ignore-eos", "--on-full", "drop")
        self.assertEqual(sum(e["event"] == "answer" for e in events), 6)
        self.assertGreaterEqual(sum(e["event"] == "dropped" for e in events), 1)
        self.assertTrue(all(e["context_left"] >= 0 for e in events if e["event"] == "answer"))

    def test_a_message_that_can_never_fit(self):
        for more in ([], ["--on-full", "drop"]):
            done = self.chat("word " * 200 + "\n", "--max-seq-len", 64, *more, code=2)
            self.assertIn("shorten the message", done.stderr)

    def test_an_answer_that_fills_it(self):
        done = self.chat("Hi.\n", "--max-seq-len", 64, "--ignore-eos", "--max-new-tokens", 500)
        self.assertIn("the answer was cut", done.stderr)


class Interruption(ChatCase):
    def start(self, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE):
        process = subprocess.Popen(self.command(*arguments), cwd=self.folder, stdin=stdin,
                                   stdout=stdout, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def read_until(self, fd, wanted, seconds=60):
        got = b""
        end = time.monotonic() + seconds
        while wanted not in got:
            self.assertTrue(select.select([fd], [], [], end - time.monotonic())[0], got)
            more = os.read(fd, 65536)
            self.assertTrue(more, got)
            got += more
        return got

    def test_at_the_prompt_it_leaves_at_once(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = self.start(stdin=slave, stdout=slave)
        os.close(slave)
        self.read_until(master, b"> ")
        os.write(master, b"Hi.\n")
        self.read_until(master, b"\n> ")
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=60), 130)
        self.assertLess(time.monotonic() - begin, 1.9)
        self.assertIn(b"interrupted", process.stderr.read())

    def test_people_are_told_and_asked_again(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = self.start(stdin=slave, stdout=slave)
        os.close(slave)
        self.read_until(master, b"> ")
        os.write(master, b"/nope\n")
        self.read_until(master, b"> ")
        os.write(master, b"/exit\n")
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertIn(b"no such command", process.stderr.read())

    # The miniature fills its context within a second or so: the signal may come too late for an
    # answer, and is then one at the prompt.
    def test_during_an_answer_it_stops_the_answer(self):
        for _ in range(20):
            process = self.start("--json", "--ignore-eos", "--max-new-tokens", 480)
            self.read_until(process.stdout.fileno(), b"\n")
            process.stdin.write(b"Tell me a tale.\n")
            process.stdin.flush()
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            if process.poll() is None and select.select([process.stdout], [], [], 60)[0]:
                line = os.read(process.stdout.fileno(), 65536)
                event = json.loads(line.splitlines()[0]) if line else {}
                if event.get("finish_reason") == "cancelled":
                    break
            process.kill()
            process.wait()
        else:
            self.fail("no answer was ever interrupted")
        self.assertLess(event["new_tokens"], 480)
        process.stdin.write(b"And then?\n")
        process.stdin.close()
        process.stdin = None
        out = process.stdout.read()
        self.assertEqual(process.wait(timeout=60), 0)
        second = json.loads(out.splitlines()[0])
        self.assertEqual((second["event"], second["turn"]), ("answer", 2))
        # What the interrupted answer had computed is kept, and what it said is remembered.
        self.assertGreaterEqual(second["reused_tokens"], event["prompt_tokens"] - 1)

    def test_terminate_leaves(self):
        process = self.start("--json")
        self.read_until(process.stdout.fileno(), b"\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=60), 143)


if __name__ == "__main__":
    main()
