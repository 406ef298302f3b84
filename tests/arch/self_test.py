#!/usr/bin/env python3
"""Plants one violation of each rule in a small tree and demands that it is found, and only it."""

import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import architecture
import budgets
import documents
from cpp_text import functions, includes
from house import read_rooms, repository_root

ROOM_LISTS = ("base", "data", "ops", "frontends", "ir", "text", "backends/cpu", "backends/cuda", "runtime", "server")


class Tree(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="tenon_arch_"))
        self.addCleanup(shutil.rmtree, self.root)
        self.write("cmake/rooms.cmake", (repository_root() / "cmake/rooms.cmake").read_text())
        self.write("docs/architecture.md", documents.architecture_document(read_rooms(self.root)))
        self.write("src/base/error.h", "#pragma once\n#include <string>\n")
        self.write("src/ops/op.h", '#pragma once\n#include "base/error.h"\n')
        self.write("src/ir/graph.h", '#pragma once\n#include "base/error.h"\n')
        self.write("src/data/json.h", "#pragma once\n")
        for room in ROOM_LISTS:
            self.write(f"src/{room}/CMakeLists.txt", "file(GLOB sources *.cc *.cu kernels/*.cc)\n")

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def found(self, check):
        return check(self.root)[0]

    def expect_one(self, rule, path, line=None, check=architecture.check):
        found = self.found(check)
        self.assertEqual([(f.rule, f.path) for f in found], [(rule, path)], [str(f) for f in found])
        if line is not None:
            self.assertEqual(found[0].line, line)


class Clean(Tree):
    def test_a_clean_tree_has_no_findings(self):
        self.write("src/ops/op_test.cc", '#include "ops/op.h"\n#include <gtest/gtest.h>\n')
        self.write("src/ops/CMakeLists.txt", "tenon_room(ops TESTS op_test.cc)\n")
        self.write("src/ops/declared.h", "#pragma once\nnamespace tenon::device { class Stream; }\n")
        self.write("src/base/quiet.cc", '// #include "ir/graph.h"\nconst char* k = "#include <cuda.h>";\n'
                   "/*\n#include <nlohmann/json.hpp>\n*/\n")
        self.write("src/base/guard.cc", "void f() {\n  try { g(); } catch (Error& e) { throw; }\n"
                   "  try { g(); } catch (const Error& error) { note(error.what()); }\n}\n")
        self.write("include/tenon/tenon.h", "#include <stdint.h>\n")
        self.write("src/data/json.cc", "#include <nlohmann/json.hpp>\n")
        self.write("src/frontends/good.cc", "// count * bytes, std::stoi, ifstream\nint64_t f() {\n"
                   '  auto file = MappedFile::open(path);\n  const char* t = "count * bytes";\n'
                   "  int64_t a = checked_mul(count, bytes, t);\n  // bounded: compared with the file\n"
                   "  return count * bytes + file.open() + reopen(t);\n}\n")
        self.write("src/frontends/good_test.cc", "std::ifstream stream(std::to_string(count * bytes));\n")
        self.write("src/frontends/CMakeLists.txt", "tenon_room(frontends SOURCES good.cc TESTS good_test.cc)\n")
        self.write("src/server/server.h", "#pragma once\n#include <boost/asio.hpp>\n")
        self.write("src/backends/cpu/kernels/add.cc", '#include "ops/op.h"\n#include <immintrin.h>\n#include <arm_neon.h>\n')
        self.write("src/backends/cuda/add.cu", "#include <cuda_runtime.h>\n#include <mma.h>\n")
        self.write("tests/e2e/CMakeLists.txt", "foreach(name a b)\n  add_executable(${name} ${name}_test.cc)\n")
        self.write("tests/e2e/b_test.cc", "#include <gtest/gtest.h>\n")
        self.assertEqual(self.found(architecture.check), [])
        self.assertEqual(self.found(budgets.check), [])


# (rule, path of the planted file, its text): each breaks exactly this rule.
PLANTED = [
    ("room-include", "src/base/up.cc", '#include "base/error.h"\n#include "data/json.h"\n'),
    ("room-include", "src/text/sideways.cc", '#include "ops/op.h"\n'),
    ("room-include", "src/runtime/undeclared.cc", '#include "text/a.h"\n'),
    ("ban", "src/runtime/banned.cc", '#include "ir/graph.h"\n'),
    ("ban", "src/ops/banned.cc", '  #  include "ir/graph.h"\n'),
    ("kernel-include", "src/backends/cpu/kernels/x.cc", '#include "device/stream.h"\n'),
    ("include-path", "src/base/near.cc", '#include "error.h"\n'),
    ("include-path", "src/base/gone.cc", '#include "base/gone.h"\n'),
    ("room", "src/nowhere/a.h", "#pragma once\n"),
    ("public-include", "src/base/abi.cc", '#include "tenon/tenon.h"\n'),
    ("public-include", "include/tenon/tenon.h", '#include "base/error.h"\n'),
    ("public-include", "include/tenon/plain.h", "#include <string>\n"),
    ("public-include", "examples/run.cc", '#include "base/error.h"\n'),
    ("library-include", "src/ops/json.cc", "#include <nlohmann/json.hpp>\n"),
    ("library-include", "src/data/value.h", "#pragma once\n#include <nlohmann/json_fwd.hpp>\n"),
    ("library-include", "src/base/command.cc", "#include <CLI/CLI.hpp>\n"),
    ("library-include", "src/ops/log.cc", "#include <spdlog/spdlog.h>\n"),
    ("library-include", "src/base/text.h", "#pragma once\n#include <fmt/format.h>\n"),
    ("library-include", "src/ops/digest.cc", "#include <xxhash.h>\n"),
    ("library-include", "src/data/match.cc", "#include <pcre2.h>\n"),
    ("library-include", "src/data/fold.cc", "#include <utf8proc.h>\n"),
    ("library-include", "src/runtime/http.cc", "#include <boost/asio.hpp>\n"),
    ("library-include", "src/text/piece.cc", "#include <protozero/pbf_reader.hpp>\n"),
    ("library-include", "src/runtime/copy.cc", "#include <cuda_runtime.h>\n"),
    ("library-include", "src/backends/cpu/gemm.cc", "#include <cublasLt.h>\n"),
    ("library-include", "src/runtime/conv.cc", "#include <cudnn.h>\n"),
    ("library-include", "src/backends/cuda/sort.cu", "#include <cub/cub.cuh>\n"),
    ("library-include", "src/text/scan.cc", "#include <immintrin.h>\n"),
    ("library-include", "src/text/scan_arm.cc", "#include <arm_neon.h>\n"),
    ("library-include", "src/base/new.cc", "#include <format>\n"),
    ("library-include", "src/base/unknown.cc", "#include <absl/status.h>\n"),
    ("library-include", "src/base/file.h", "#pragma once\n#include <sys/mman.h>\n"),
    ("library-include", "src/base/checks.cc", "#include <gtest/gtest.h>\n"),
    ("pragma-once", "src/base/twice.h", "#include <string>\n"),
    ("namespace", "src/base/deep.cc", "namespace tenon::base::inner {}\n"),
    ("namespace", "src/base/leak.h", "#pragma once\nusing namespace std;\n"),
    ("device-code", "src/runtime/copy.cu", "void f();\n"),
    ("swallowed-error", "src/base/quiet.cc", "void f() {\n  try { g(); } catch (...) { h(); }\n}\n"),
    ("raw-number", "src/text/id.cc", 'int f(const char* t) { return std::stoi(t); }\n'),
    ("raw-number", "src/data/real.cc", "double f(const char* t) { return strtod(t, nullptr); }\n"),
    ("raw-open", "src/text/load.cc", "void f() { std::ifstream stream(path); }\n"),
    ("raw-open", "src/data/load.cc", "int f() { return ::open(path, 0); }\n"),
    ("raw-open", "src/frontends/load.cc", 'auto f() { return MappedFile::open(folder + "/weights"); }\n'),
    ("raw-size", "src/frontends/size.cc", "int64_t f() { return count * item_bytes; }\n"),
    ("raw-size", "src/frontends/rows.cc", "int64_t f() { return 4 * rows; }\n"),
    ("raw-limit", "src/text/limit.cc", "constexpr int64_t kMaxPieces = 1 << 20;\n"),
    ("unbuilt", "src/base/below/lost.cc", "void f();\n"),
    ("unbuilt", "src/base/lost_test.cc", "void f();\n"),
    ("unbuilt", "tests/e2e/lost_test.cc", "void f();\n"),
]


class Planted(Tree):
    def test_each_planted_violation_is_found_alone(self):
        self.write("src/device/stream.h", "#pragma once\n")
        self.write("src/text/a.h", "#pragma once\n")
        for rule, path, text in PLANTED:
            with self.subTest(rule=rule, path=path):
                self.write(path, text)
                try:
                    self.expect_one(rule, path)
                finally:
                    (self.root / path).unlink()

    def test_a_finding_names_the_line(self):
        self.write("src/base/up.cc", '// first\n#include "base/error.h"\n#include "data/json.h"\n')
        self.expect_one("room-include", "src/base/up.cc", 3)


class Declarations(Tree):
    def declare(self, line):
        path = self.root / "cmake/rooms.cmake"
        name = line.split()[0]
        kept = [old for old in path.read_text().splitlines() if f"room({name} " not in old]
        path.write_text("\n".join(kept + [f"tenon_declare_room({line})"]) + "\n")

    def rules(self):
        return {f.rule for f in architecture.declaration_findings(read_rooms(self.root))}

    def test_the_real_declarations_are_clean(self):
        self.assertEqual(self.rules(), set())

    def test_a_room_of_the_same_level_cannot_be_declared(self):
        self.declare('text 2 core "base;data;ops"')
        self.assertEqual(self.rules(), {"level"})

    def test_the_run_half_cannot_link_the_build_half(self):
        self.declare('pipelines 5 runtime "base;runtime;ir"')
        self.assertEqual(self.rules(), {"library", "ban"})

    def test_a_ban_holds_through_other_rooms(self):
        self.declare('plan 3 runtime "base;middle"')
        self.declare('middle 2 runtime "base;ir"')
        self.declare('ir 1 runtime "base"')
        self.assertEqual(self.rules(), {"ban"})

    def test_an_unknown_room_is_named(self):
        self.declare('text 2 core "base;nothing"')
        self.assertEqual(self.rules(), {"declaration"})

    def test_rooms_that_include_each_other_are_a_cycle(self):
        found = architecture.cycle_findings({("a", "b"): "x.cc:1", ("b", "c"): "y.cc:2", ("c", "a"): "z.cc:3"})
        self.assertEqual([f.rule for f in found], ["cycle"])
        self.assertIn("y.cc:2", found[0].text)


class Documents(Tree):
    def test_a_stale_architecture_document(self):
        self.write("docs/architecture.md", "# Architecture\n")
        self.expect_one("document", "docs/architecture.md")

    def test_an_exit_code_without_a_row_and_a_row_without_a_code(self):
        self.write("src/base/error.h", "#pragma once\nenum class E : int {\n  BadInput = 3,  // why\n};\n")
        self.expect_one("document", "docs/exit_codes.md")
        self.write("docs/exit_codes.md", "| `3` | `bad_input` | why |\n")
        self.assertEqual(self.found(architecture.check), [])
        self.write("docs/exit_codes.md", "| `3` | `bad_input` | why |\n| `4` | `gone` | why |\n")
        self.expect_one("document", "docs/exit_codes.md")

    def test_a_changed_limit(self):
        self.write("src/base/limits.h", "#pragma once\nstruct L {\n  int depth = 64;  // levels\n};\n")
        self.write("docs/limits.md", "| `depth` | `32` | why |\n")
        self.assertEqual({f.path for f in self.found(architecture.check)}, {"docs/limits.md"})
        self.write("docs/limits.md", "| `depth` | `64` | why |\n")
        self.assertEqual(self.found(architecture.check), [])

    def test_a_dependency_without_a_package(self):
        self.write("cmake/dependencies.cmake", "find_package(fmt 9 REQUIRED)\nfind_library(X NAMES x)\n")
        self.write("tools/house/packages.txt", "libfmt-dev fmt\nninja-build build\n")
        self.expect_one("document", "tools/house/packages.txt")
        self.write("tools/house/packages.txt", "libfmt-dev fmt\nlibx-dev X\nliby-dev Y\n")
        self.expect_one("document", "tools/house/packages.txt")


class Waived(Tree):
    def test_a_waiver_silences_its_rule_in_its_path_only(self):
        self.write("src/base/a.h", "// no guard\n")
        self.write("src/base/b.h", "// no guard\n")
        self.write("tests/arch/waivers.txt", "src/base/a* | pragma-once | meant to be included twice\n")
        self.expect_one("pragma-once", "src/base/b.h")

    def test_a_waiver_without_use_or_reason_is_a_finding(self):
        self.write("tests/arch/waivers.txt", "src/base/a.h | pragma-once | not needed\n")
        self.expect_one("waiver", "tests/arch/waivers.txt", 1)
        self.write("tests/arch/waivers.txt", "# comment\nsrc/base/a.h | pragma-once\n")
        self.expect_one("waiver", "tests/arch/waivers.txt", 2)


def body(lines):
    return "{\n" + "  work();\n" * (lines - 2) + "}\n"


class Budgets(Tree):
    def expect(self, rule, path):
        self.expect_one(rule, path, check=budgets.check)

    def small_functions(self, count):
        self.write("src/base/small.cc", "".join(f"void f{i}() {{ work(); }}\n" for i in range(count)))

    def test_a_file_over_the_stop(self):
        self.write("src/base/long.cc", "int x;\n" * 801)
        for i in range(9):
            self.write(f"src/base/small{i}.cc", "int x;\n")
        self.expect("file-lines", "src/base/long.cc")
        self.write("tests/arch/waivers.txt", "src/base/long.cc | file-lines | a table\n")
        self.assertEqual(self.found(budgets.check), [])

    def test_a_median_file_over_the_budget(self):
        for i in range(9):
            self.write(f"src/base/file{i}.cc", "int x;\n" * 121)
        self.expect("file-median", "src")

    def test_too_many_big_files(self):
        self.write("src/base/big.cc", "int x;\n" * 401)
        self.expect("file-90", "src")

    def test_too_many_functions_over_forty_lines(self):
        self.small_functions(8)
        self.write("src/base/long.cc", "void f() " + body(41))
        self.expect("function-90", "src")

    def test_too_many_functions_over_a_hundred_lines(self):
        self.small_functions(98)
        self.write("src/base/long.cc", "void f() " + body(101))
        self.expect("function-100", "src")
        self.small_functions(99)
        self.assertEqual(self.found(budgets.check), [])

    def test_a_device_kernel_may_be_longer_up_to_its_own_stop(self):
        self.small_functions(20)
        self.write("src/backends/cuda/k.cu", "__global__ void k(int n) " + body(250))
        self.assertEqual(self.found(budgets.check), [])
        self.write("src/backends/cuda/k.cu", "template <int N>\n__global__ void k(int n) " + body(250))
        self.expect("kernel-lines", "src/backends/cuda/k.cu")

    def test_open_work_needs_a_link(self):
        word = "TO" + "DO"
        self.write("src/base/a.cc", f"// {word}: later\n")
        self.expect("todo", "src/base/a.cc")
        self.write("src/base/a.cc", f"// {word} ADR 0007\n// {word} docs/limits.md\n")
        self.assertEqual(self.found(budgets.check), [])

    def test_the_test_ratio_is_enforced_when_asked(self):
        self.write("src/base/a.cc", "int x;\n" * 10)
        self.assertEqual(self.found(budgets.check), [])
        self.assertEqual([f.rule for f in budgets.check(self.root, strict=True)[0]], ["test-ratio"])


class Text(unittest.TestCase):
    def names(self, text):
        return [(f.name, f.lines) for f in functions(text)]

    def test_functions_of_every_shape(self):
        self.assertEqual(self.names("namespace a {\nint f(int x = {}) {\n  return 1;\n}\n}\n"), [("f", 3)])
        self.assertEqual(self.names("struct A : B {\n public:\n  A() : b_{1}, c_(2) { d(); }\n int x{3};\n};"),
                         [("A", 1)])
        self.assertEqual(self.names("template <class T, int N = 3>\nauto g(T t) -> int\n{\n}\n"), [("g", 4)])
        self.assertEqual(self.names("bool operator==(A a, A b) { return 1; }"), [("operator==", 1)])
        self.assertEqual(self.names("A& operator=(A a) { return 1; }"), [("operator=", 1)])
        self.assertEqual(self.names("Error::Error(int c) : code_(c) {}\n~A() noexcept {}"),
                         [("Error::Error", 1), ("~A", 1)])
        self.assertEqual(self.names("const Table kTable = {\n .run = [](int x) { return x; },\n};"), [])
        self.assertEqual(self.names("enum class K { A, B = f(1) };\nstruct alignas(64) S { void h() {} };"),
                         [("h", 1)])

    def test_braces_in_literals_and_branches_do_not_count(self):
        self.assertEqual(self.names("void f() {\n  char c = '{'; auto s = \"}\"; auto r = R\"x(})x\"; // }\n}\n"),
                         [("f", 3)])
        self.assertEqual(self.names("#if A\nvoid f(int a) {\n#else\nvoid f() {\n#endif\n}\nvoid g() {}\n"),
                         [("f", 5), ("g", 1)])
        self.assertEqual(self.names("int n = 1'000;\nvoid f() { g('}'); }\n"), [("f", 1)])

    def test_includes_outside_comments_only(self):
        self.assertEqual(includes('/* #include "a.h" */\n# include <b.h>\n#include "c.h"  // d\n'),
                         [(2, "<", "b.h"), (3, '"', "c.h")])


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
