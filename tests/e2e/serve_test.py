"""`tenon serve` as a client meets it: pictures, masks, everything, refusals of the HTTP layer, clean ends."""
import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import tenon_case
from sam_test import png
from tenon_case import TenonCase, golden, main

JSON = {"Content-Type": "application/json"}
PICTURE = {"Content-Type": "application/octet-stream"}
LOW = {"points_per_side": 4, "pred_iou_thresh": -1, "stability_score_thresh": 0, "box_nms_thresh": 1}


class Server:
    def __init__(self, case, plan, *arguments):
        self.process = subprocess.Popen([tenon_case.TENON, "serve", plan, "--port", "0", *arguments],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, cwd=case.folder, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        case.addCleanup(self.end)
        self.url = self.process.stdout.readline().strip()
        self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body) over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, path, document):
        status, _, body = self.ask("POST", path, json.dumps(document), JSON)
        return status, json.loads(body)

    def upload(self, data):
        status, _, body = self.ask("POST", "/v1/images", data, PICTURE)
        return status, json.loads(body)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def raw(self, data):
        """What comes back for these bytes, until the server closes or `data` is answered once."""
        with self.connect() as connection:
            connection.sendall(data)
            return first_answer(connection)


def first_answer(connection):
    """(status, rest) of the first answer; (0, b"") where the connection ends without one."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return 0, data
        data += piece
    return int(data.split()[1]), data


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Serve(TenonCase):
    def setUp(self):
        super().setUp()
        self.plan = self.build(golden("sam", "model.safetensors"), "--dtype", "f32", "--no-gate")
        self.server = Server(self, self.plan)

    def picture(self):
        status, document = self.server.upload(read(golden("sam", "picture.png")))
        self.assertEqual((status, document["width"], document["height"]), (201, 75, 50))
        return document["id"]

    def test_masks_are_those_of_the_command_line(self):
        picture = self.picture()
        status, document = self.server.post(f"/v1/images/{picture}/masks",
                                            {"points": [[20, 18], [3, 3, 0]], "polygons": True, "png": True})
        self.assertEqual(status, 200)
        (mask,) = document["masks"]
        self.tenon("run", self.plan, "--image", golden("sam", "picture.png"), "--point", "20,18", "--point", "3,3,0", "-o", "m.png",
                   "--rle", "m.json")
        with open(self.path("m.json"), encoding="utf-8") as file:
            (wanted,) = json.load(file)
        self.assertEqual(base64.b64decode(mask.pop("png")), read(self.path("m.png")))
        self.assertEqual(mask, wanted)

    def test_boxes_objects_and_logits(self):
        masks = f"/v1/images/{self.picture()}/masks"
        boxes = [{"box": [10, 5, 30, 30]}, {"box": [40, 14, 68, 46]}]
        _, document = self.server.post(masks, {"objects": boxes, "logits": True})
        self.assertEqual([mask["object"] for mask in document["masks"]], [0, 1])
        logits = document["masks"][0]["logits"]
        _, document = self.server.post(masks, {"points": [[20, 18]], "mask_input": logits, "multimask": True})
        self.assertEqual(len(document["masks"]), 3)
        _, without = self.server.post(masks, {"points": [[20, 18]], "multimask": True})
        self.assertNotEqual(document["masks"][0]["predicted_iou"], without["masks"][0]["predicted_iou"])

    def test_places_outside_the_picture(self):
        masks = f"/v1/images/{self.picture()}/masks"
        for prompt in ({"points": [[9999, 5]]}, {"points": [[-1, 5]]}, {"box": [30, 30, 10, 40]}, {"box": [1e300, 1, 1e301, 5]}):
            status, document = self.server.post(masks, prompt)
            self.assertEqual(status, 400)
            self.assertIn("accepted", document["error"]["message"])

    def test_everything_is_the_command_lines(self):
        status, document = self.server.post(f"/v1/images/{self.picture()}/everything", LOW)
        self.assertEqual(status, 200)
        wanted = self.json("run", self.plan, "--image", golden("sam", "picture.png"), "--everything", "--points-per-side", 4,
                           "--pred-iou-thresh", -1, "--stability-score-thresh", 0, "--box-nms-thresh", 1)["masks"]
        self.assertGreater(len(wanted), 1)
        self.assertEqual(document["masks"], wanted)

    def test_how_far_everything_is(self):
        picture = self.picture()
        path = f"/v1/images/{picture}"
        idle = {"id": picture, "width": 75, "height": 50, "everything": None}
        self.assertEqual(json.loads(self.server.ask("GET", path)[2]), idle)
        seen, answers = [], []
        work = threading.Thread(target=lambda: answers.append(self.server.post(path + "/everything", {**LOW, "points_per_side": 64})))
        work.start()
        while work.is_alive():
            state = json.loads(self.server.ask("GET", path)[2])["everything"]
            if state:
                seen.append((state["done"], state["all"]))
            time.sleep(0.01)
        self.assertEqual(answers[0][0], 200)
        self.assertGreater(len(set(seen)), 1)
        self.assertEqual(seen, sorted(seen))
        self.assertTrue(all(done < all_of_them == 4096 for done, all_of_them in seen), seen[-1])
        self.assertEqual(json.loads(self.server.ask("GET", path)[2]), idle)
        self.assertEqual(self.server.ask("GET", "/v1/images/" + "0" * 32)[0], 404)

    def test_a_key(self):
        with open(self.path("key"), "w", encoding="utf-8") as file:
            file.write("0123456789abcdef\n")
        server = Server(self, self.plan, "--api-key-file", self.path("key"))
        for path in ("/", "/page.js", "/health", "/metrics", "/v1/models", "/v1/images/a", "/nothing", "//health"):
            status, headers, body = server.ask("GET", path)
            self.assertEqual((status, json.loads(body)["error"]["code"]), (401, "unauthorized"), path)
            self.assertIn("Basic", headers["WWW-Authenticate"])
            self.assertEqual(server.ask("GET", path, None, {"Authorization": "Bearer 0123456789abcde"})[0], 401, path)
        user = base64.b64encode(b"me:0123456789abcdef").decode()
        for value in ("Bearer 0123456789abcdef", "Basic " + user):
            self.assertEqual(server.ask("GET", "/", None, {"Authorization": value})[0], 200)
            self.assertEqual(server.ask("GET", "/nothing", None, {"Authorization": value})[0], 404)
        # A body is not read of those who may not ask.
        data = b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000000\r\n\r\n"
        self.assertEqual(server.raw(data)[0], 401)
        self.assertNotIn("0123456789abcdef", server.end()[1])
        self.write("short", "abc\n")
        self.tenon("serve", self.plan, "--api-key-file", self.path("short"), code=2)

    def test_two_pictures_take_turns(self):
        first = self.picture()
        _, document = self.server.upload(read(golden("imaging", "baseline.jpg")))
        second, answers = document["id"], {}
        for _ in range(2):
            for picture in (first, second):
                _, document = self.server.post(f"/v1/images/{picture}/masks", {"points": [[5, 5]]})
                answers.setdefault(picture, []).append(document["masks"])
            self.server.post(f"/v1/images/{second}/everything", {**LOW, "crop_n_layers": 1})
        self.assertEqual(answers[first][0], answers[first][1])
        self.assertEqual(answers[second][0], answers[second][1])
        self.assertNotEqual(answers[first], answers[second])

    def test_pictures_go_when_asked_and_when_there_are_too_many(self):
        picture = self.picture()
        self.assertEqual(self.server.ask("DELETE", f"/v1/images/{picture}")[0], 204)
        self.assertEqual(self.server.post(f"/v1/images/{picture}/masks", {"points": [[1, 1]]})[0], 404)
        self.assertEqual(self.server.ask("DELETE", f"/v1/images/{picture}")[0], 404)
        small = Server(self, self.plan, "--pictures", "1")
        ids = [small.upload(read(golden("sam", "picture.png")))[1]["id"] for _ in range(2)]
        answers = [small.post(f"/v1/images/{picture}/masks", {"points": [[1, 1]]}) for picture in ids]
        self.assertEqual([status for status, _ in answers], [404, 200])
        self.assertEqual(answers[0][1]["error"]["code"], "no_such_image")

    def test_bad_pictures(self):
        whole = read(golden("imaging", "baseline.jpg"))
        cases = {"truncated": whole[:-40], "known format": b"hello", "60000 x 60000": png(60000, 60000), "": png(40, 40, b"\0" * 50)}
        for message, data in cases.items():
            status, document = self.server.upload(data)
            self.assertEqual(status, 400)
            self.assertIn(message, document["error"]["message"])
        for name in ("one.png", "cmyk.jpg", "turned_6.jpg", "deep.png", "palette.png", "alpha.png"):
            masks = []
            for end in ("", ".expected.png"):
                status, document = self.server.upload(read(golden("imaging", name + end)))
                self.assertEqual(status, 201, name)
                masks.append(self.server.post(f"/v1/images/{document['id']}/masks", {"points": [[0, 0]]})[1]["masks"])
            self.assertEqual(masks[0], masks[1], name)

    def test_forty_megapixels(self):
        status, document = self.server.upload(png(8000, 5000, (b"\0" + b"\x50" * 24000) * 5000))
        self.assertEqual((status, document["width"]), (201, 8000))
        status, document = self.server.post(f"/v1/images/{document['id']}/masks", {"points": [[4000, 2500]]})
        self.assertEqual((status, document["masks"][0]["segmentation"]["size"]), (200, [5000, 8000]))

    def test_pages_health_and_metrics(self):
        status, headers, body = self.server.ask("GET", "/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertEqual(body, read(os.path.join(tenon_case.SOURCE, "web", "index.html")))
        for name in ("page.js", "api.js", "draw.js", "rle.js", "page.css"):
            self.assertEqual(self.server.ask("GET", "/" + name)[2], read(os.path.join(tenon_case.SOURCE, "web", name)))
        status, headers, body = self.server.ask("HEAD", "/page.js")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["Content-Length"]), 1000)
        self.assertEqual(json.loads(self.server.ask("GET", "/health")[2])["device"], "cpu")
        self.assertEqual(len(json.loads(self.server.ask("GET", "/v1/models")[2])["data"]), 1)
        metrics = self.server.ask("GET", "/metrics")[2].decode()
        self.assertIn('path="/health",status="200"} 1\n', metrics)
        self.assertIn("tenon:plan_info{", metrics)

    def test_paths_methods_and_types(self):
        for path in ("/nothing", "//health", "/v1/../metrics", "/%68ealth", "/v1/images/..%2f/masks", "/v1/images/A/masks", "/health/"):
            self.assertEqual(self.server.ask("GET", path)[0], 404, path)
        for method, path, allowed in (("GET", "/v1/images", "POST"), ("POST", "/health", "GET, HEAD"), ("OPTIONS", "/v1/images", "POST"),
                                      ("PUT", "/v1/images/a/masks", "POST"), ("DELETE", "/", "GET, HEAD")):
            status, headers, _ = self.server.ask(method, path)
            self.assertEqual((status, headers["Allow"]), (405, allowed), path)
        for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json; charset=utf-16"}):
            self.assertEqual(self.server.ask("POST", "/v1/images/a/masks", b"{}", headers)[0], 415)
        self.assertEqual(self.server.ask("POST", "/v1/images", b"x", {"Content-Type": "multipart/form-data; boundary=x"})[0], 415)
        self.assertEqual(self.server.ask("POST", "/v1/images/a/masks", b'{"points": [[1, 1]]}', {"Content-Type": "Application/JSON; charset=utf-8"})[0], 404)
        for body in (b"", b"[]", b"{", b'\xef\xbb\xbf{"points": [[1, 1]]}', b'{"points": [[NaN, 1]]}', b"[" * 100000):
            self.assertEqual(self.server.ask("POST", "/v1/images/a/masks", body, JSON)[0], 400, body[:20])


class Hostile(TenonCase):
    """Rows H of the bad inputs: one server, and it lives through all of them."""

    def setUp(self):
        super().setUp()
        self.server = Server(self, self.build(golden("sam", "model.safetensors"), "--dtype", "f32", "--no-gate"))

    def tearDown(self):
        self.assertEqual(self.server.ask("GET", "/health")[0], 200)

    def test_heads(self):
        host = b"Host: localhost\r\n"
        cases = [(b"GET /health\r\n\r\n", 400), (b"GET /health HTTP/2.0\r\n" + host + b"\r\n", 505), (b"GET /health HTTP/1.1\r\n\r\n", 400),
                 (b"get /health HTTP/1.1\r\n" + host + b"\r\n", 400), (b"GET /health HTTP/1.1\nHost: localhost\n\n", 400),
                 (b"GET /health HTTP/1.1\r\n" + host + b"A: b\r\n c\r\n\r\n", 400), (b"GET /health HTTP/1.1\r\n" + host + host + b"\r\n", 400),
                 (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403), (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + host + b"\r\n", 414),
                 (b"GET /health HTTP/1.1\r\n" + host + b"A: b\r\n" * 100 + b"\r\n", 431),
                 (b"GET /health HTTP/1.1\r\n" + host + b"A: " + b"b" * 9000 + b"\r\n\r\n", 431),
                 (b"GET /health HTTP/1.1\r\n" + host + b"A: b\r\n" * 7000, 431), (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
                 (b"POST /v1/images HTTP/1.1\r\n" + host + b"Origin: null\r\nContent-Length: 0\r\n\r\n", 403),
                 (b"POST /v1/images HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411),
                 (b"POST /v1/images HTTP/1.1\r\n" + host + b"Content-Length: 5, 5\r\n\r\nhello", 400),
                 (b"POST /v1/images HTTP/1.1\r\n" + host + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", 415),
                 (b"POST /v1/images HTTP/1.1\r\n" + host + b"Expect: magic\r\nContent-Length: 5\r\n\r\nhello", 417)]
        for data, status in cases:
            self.assertEqual(self.server.raw(data)[0], status, data[:60])

    def test_bodies(self):
        head = b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        large = b"Content-Length: 67108865\r\n"
        self.assertEqual(self.server.raw(head + large + b"Expect: 100-continue\r\n\r\n")[0], 413)
        self.assertEqual(self.server.raw(head + large + b"\r\n" + b"x" * 1000)[0], 413)
        self.assertEqual(self.server.raw(head + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")[0], 100)
        # Declared small and sent large: the rest is no request.
        with self.server.connect() as connection:
            connection.sendall(head + b"Content-Length: 3\r\n\r\nabcdefgh\r\n\r\n")
            self.assertEqual(first_answer(connection)[0], 400)
        # A body on GET belongs to it; what follows is read rightly.
        with self.server.connect() as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello" * 2)
            data = b""
            while data.count(b"HTTP/1.1 200 OK") < 2:
                data += connection.recv(65536)

    def test_what_never_ends_is_cut_off(self):
        head = b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        with self.server.connect() as half, self.server.connect() as slow, self.server.connect() as bodiless:
            half.sendall(b"GET /health HTTP/1.1\r\n")
            bodiless.sendall(head + b"Content-Length: 3\r\n\r\nab")
            begin = time.monotonic()
            while time.monotonic() < begin + 11:
                try:
                    slow.sendall(b"G" if time.monotonic() < begin + 9.5 else b"")
                except OSError:
                    break
                time.sleep(0.5)
            self.assertEqual([first_answer(connection)[0] for connection in (half, slow, bodiless)], [408, 408, 408])
            self.assertLess(time.monotonic() - begin, 16)

    def test_a_thousand_requests_at_once_are_answered_in_order(self):
        with self.server.connect() as connection:
            request = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
            names = [b"health" if i % 3 else b"v1/models" for i in range(1000)]
            threading.Thread(target=connection.sendall, args=(b"".join(request % name for name in names),)).start()
            data = b""
            while data.count(b"\r\n\r\n{") < 1000 or not data.endswith(b"}\n"):
                data += connection.recv(1 << 20)
        bodies = [part.split(b"\n")[0] for part in data.split(b"\r\n\r\n")[1:]]
        self.assertEqual([b"object" in body for body in bodies], [name == b"v1/models" for name in names])

    def test_idle_and_broken_connections_cost_little(self):
        idle = [self.server.connect() for _ in range(300)]
        statuses = []
        for connection in idle[256:]:
            statuses.append(first_answer(connection)[0])
        self.assertEqual(set(statuses), {503})
        for connection in idle:
            connection.close()
        for _ in range(200):
            connection = self.server.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                if self.server.ask("GET", "/health")[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.05)

    def test_work_nobody_waits_for_ends(self):
        _, document = self.server.upload(read(golden("sam", "picture.png")))
        path = f"/v1/images/{document['id']}/everything"
        body = json.dumps({"points_per_side": 64, "points_per_batch": 1, "crop_n_layers": 2, "pred_iou_thresh": 100}).encode()
        with self.server.connect() as connection:
            connection.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" %
                               (path.encode(), len(body), body))
            time.sleep(0.3)
        # It would take a minute; the next one does not wait for it.
        begin = time.monotonic()
        self.assertEqual(self.server.post(f"/v1/images/{document['id']}/masks", {"points": [[1, 1]]})[0], 200)
        self.assertLess(time.monotonic() - begin, 10)

    def test_the_end_is_clean(self):
        for number, code, word in ((signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")):
            server = Server(self, self.path("model.plan"))
            with server.connect():
                begin = time.monotonic()
                got, errors = server.end(number)
            self.assertEqual(got, code, errors)
            self.assertIn(word, errors)
            self.assertLess(time.monotonic() - begin, 2)

    def test_misuse(self):
        self.assertIn("--port", self.tenon("serve", self.path("model.plan"), "--port", self.server.port, code=8).stderr)
        self.assertIn("address", self.tenon("serve", self.path("model.plan"), "--host", "nowhere", code=2).stderr)
        llama = self.build(tenon_case.miniature("llama"), "--no-gate", name="llama.plan")
        self.assertIn("pictures", self.tenon("serve", llama, code=4).stderr)


if __name__ == "__main__":
    main()
