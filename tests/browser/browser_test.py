"""The page of `tenon serve` and the committed reports in Chromium, driven through playwright-core.

`browser_test.py TENON SOURCE_DIR MODULES_DIR [--shots DIR]`: MODULES_DIR is where `npm ci` has put node_modules
(./check --browser does). Where something is missing it prints `skip browser: <what>` and ends with 77.
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

TIMEOUT = 240


def missing(modules):
    for command in ("chromium", "node"):
        if not shutil.which(command):
            return f"no {command} (Debian packages chromium, nodejs, npm)"
    if not os.path.isdir(os.path.join(modules, "node_modules", "playwright-core")):
        return f"no playwright-core in {modules} (./check --browser installs it)"
    return ""


def tenon(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    return done.stdout


def wanted_click(binary, plan, picture, point, folder):
    """What the command line says about a click: the page must say the same."""
    png = os.path.join(folder, f"{os.path.basename(picture)}_{point[0]}_{point[1]}.png")
    (mask,) = json.loads(tenon(binary, "run", "--json", "--quiet", plan, "--image", picture, "--point", f"{point[0]},{point[1]}",
                               "-o", png))["masks"]
    x, y, width, height = mask["bbox"]
    return {"point": point, "png": png, "area": mask["area"], "iou": mask["predicted_iou"],
            "segmentation": mask["segmentation"], "box": [x, y, x + width, y + height]}


def scenes_of(binary, plan, miniature, folder):
    with open(os.path.join(miniature, "heldout", "scenes.json"), encoding="utf-8") as file:
        scenes = json.load(file)
    wanted = []
    for scene in scenes[:2]:
        picture = os.path.join(miniature, "heldout", scene["picture"])
        # Whole pixels: the page clicks on one.
        points = [[int(place) for place in click["point"]] for click in scene["clicks"][:2]]
        clicks = [wanted_click(binary, plan, picture, point, folder) for point in points]
        found = json.loads(tenon(binary, "run", "--json", "--quiet", plan, "--image", picture, "--everything", "--points-per-side", 8))["masks"]
        wanted.append({"picture": picture, "clicks": clicks, "everything": len(found)})
    return wanted


def node(modules, script, *arguments):
    environment = os.environ | {"TENON_BROWSER_MODULES": os.path.abspath(modules), "TENON_CHROMIUM": shutil.which("chromium")}
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(["node", os.path.join(here, script), *arguments], check=True, env=environment, timeout=TIMEOUT,
                   stdin=subprocess.DEVNULL)


def check_page(binary, source, modules, folder, shots):
    plan, task = os.path.join(folder, "sam.plan"), os.path.join(folder, "task.json")
    miniature = os.path.join(source, "miniatures", "sam")
    tenon(binary, "build", "--quiet", os.path.join(miniature, "sam.pth"), "--dtype", "f32", "--no-gate", "-o", plan)
    scenes = scenes_of(binary, plan, miniature, folder)
    server = subprocess.Popen([binary, "serve", "--quiet", plan, "--port", "0"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        with open(task, "w", encoding="utf-8") as file:
            json.dump({"url": server.stdout.readline().strip(), "shots": shots, "scenes": scenes}, file)
        node(modules, "page.mjs", task)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=20)
    if server.returncode != 143:
        raise SystemExit(f"tenon serve ended with {server.returncode}")


def main():
    binary, source, modules = sys.argv[1:4]
    reason = missing(modules)
    if reason:
        print("skip browser:", reason)
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="tenon-browser-") as folder:
        shots = sys.argv[5] if sys.argv[4:5] == ["--shots"] else folder
        reports = glob.glob(os.path.join(source, "docs", "reports", "*.html")) + \
            glob.glob(os.path.join(source, "examples", "*", "*.html"))
        node(modules, "reports.mjs", *sorted(reports))
        if not os.path.exists(os.path.join(source, "miniatures", "sam", "sam.pth")):
            print("skip browser page: miniatures/sam has not been trained")
            return
        check_page(os.path.abspath(binary), source, modules, folder, shots)


if __name__ == "__main__":
    main()
