// Hostile templates: one clear error, soon, in bounded memory.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <ctime>

#include "base/error.h"
#include "text/chat_template.h"

namespace tenon::text {
namespace {

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kMostSeconds = 60;
#else
constexpr double kMostSeconds = 2;
#endif

// Parses and renders. Time is the processor's: other tests on few cores change nothing.
void expect_refused(const std::string& source, std::string_view problem) {
  SCOPED_TRACE(source.substr(0, 200));
  std::clock_t begin = std::clock();
  try {
    ChatInput input;
    std::string text = ChatTemplate::parse(source).render(input).text;
    ADD_FAILURE() << "made " << text.size() << " bytes";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput) << error.what();
    EXPECT_NE(error.problem().find(problem), std::string::npos) << error.what();
    EXPECT_NE(error.place().find("line "), std::string::npos) << error.what();
    EXPECT_LT(std::string_view(error.what()).size(), 1000u);
  }
  EXPECT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, kMostSeconds);
}

TEST(JinjaLimits, Steps) {
  const std::string loop = "{% for a in range(100000) %}";
  const std::string end = "{% endfor %}";
  for (const char* inside :
       {"", "{% for b in range(100000) %}{% endfor %}", "{{ a }}",
        "{% set x = [a, [a], {'a': a}] %}", "{{ 'abc'|upper|lower|title|trim|replace('a', 'b') }}",
        "{% macro m() %}{% endmacro %}", "{% set n = namespace(x=a) %}",
        "{{ a|string|int|float|round }}"}) {
    expect_refused(loop + loop + inside + end + end, "take");
  }
  expect_refused("{{ range(10**9) }}", "range() is too long");
  expect_refused("{{ range(-9223372036854775807, 9223372036854775807) }}", "range() is too long");
  expect_refused("{{ 3 ** 9223372036854775807 }}", "leaves 64 bits");
  expect_refused("{{ (-1) ** 9223372036854775807 }}", "takes too long");
}

TEST(JinjaLimits, Memory) {
  int64_t before = peak_bytes();
  expect_refused("{{ 'x' * 1000000000 }}", "too much memory");
  expect_refused("{{ 'x' * 9223372036854775807 }}", "too much memory");
  expect_refused("{{ [1] * 1000000000 }}", "too much memory");
  expect_refused(
      "{% set n = namespace(s='x') %}{% for i in range(100) %}{% set n.s = n.s ~ n.s %}"
      "{% endfor %}",
      "too much memory");
  expect_refused(
      "{% set n = namespace(s='x' * 1000000, l=[]) %}{% for i in range(100000) %}"
      "{% set n.l = n.l + [n.s ~ i] %}{% endfor %}",
      "too much memory");
  expect_refused("{{ '%1000000000d' % 1 }}", "width is too large");
  expect_refused("{{ 'x'.ljust(10 ** 12) }}", "too much memory");
  expect_refused("{{ ('a' * 100000).replace('', 'b' * 100000) }}", "too much memory");
  expect_refused("{{ 'a'|indent(10 ** 12) }}", "too much memory");
  expect_refused("{{ [1]|batch(10 ** 12, 0)|list }}", "too much memory");
  expect_refused("{{ (('a' * 1000000) ~ ',') * 10 ~ ('b' * 20000000) }}", "output is too long");
  expect_refused("{% macro f(n) %}{{ 'x' * 8000000 }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
                 "take");
  // Limits are on values; what stands around them is a few times that.
  EXPECT_LT(peak_bytes() - before, 1500ll << 20);
}

TEST(JinjaLimits, Depth) {
  expect_refused("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nests too deeply");
  expect_refused("{% macro f(x=f()) %}{% endmacro %}{{ f() }}", "nests too deeply");
  expect_refused("{{" + repeat("(", 100000) + "1" + repeat(")", 100000) + "}}", "nests too deeply");
  expect_refused("{{" + repeat("[", 100000) + repeat("]", 100000) + "}}", "nests too deeply");
  expect_refused("{{" + repeat("not ", 100000) + "1}}", "nests too deeply");
  expect_refused("{{" + repeat("-", 100000) + "1}}", "nests too deeply");
  expect_refused("{{ 1" + repeat(" + 1", 100000) + " }}", "too long");
  expect_refused("{{ a" + repeat(".a", 100000) + " }}", "too long");
  expect_refused("{{ a" + repeat("|trim", 100000) + " }}", "too long");
  expect_refused("{{ a" + repeat("[0]", 100000) + " }}", "too long");
  expect_refused("{{ 1" + repeat(" if 1 else 1", 50000) + " }}", "nests too deeply");
  expect_refused(repeat("{% if 1 %}", 100000), "nests too deeply");
  expect_refused(repeat("{% for x in y %}", 50000), "nests too deeply");
  expect_refused(
      "{% set n = namespace(l=[]) %}{% for i in range(100000) %}{% set n.l = [n.l] %}"
      "{% endfor %}",
      "lists and dicts nest too deeply");
  // Each list holds the one before twice: a walk would take 2^99 steps.
  expect_refused(
      "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}"
      "{% endfor %}",
      "too many values");
  expect_refused("{% for t in [1] recursive %}{{ loop([1]) }}{% endfor %}", "nests too deeply");
}

// Rings of namespaces, macros and their scopes are freed (the leak checker of --asan looks).
TEST(JinjaLimits, Rings) {
  ChatInput input;
  const char* source =
      "{% set a = namespace() %}{% set a.self = [a, {'a': a}] %}{% macro m() %}{{ m }}{% endmacro "
      "%}"
      "{% for i in [1, 2] %}{% macro inner() %}{{ inner }}{% endmacro %}{% set a.m = inner %}"
      "{% endfor %}{{ a.self|length }}";
  EXPECT_EQ(ChatTemplate::parse(source).render(input).text, "2");
}

TEST(JinjaLimits, ManyBranchesAreNoDepth) {
  std::string source = "{% set x = 5000 %}{% if false %}";
  for (int i = 0; i < 4000; ++i) source += "{% elif x == " + std::to_string(i) + " %}" + "a";
  ChatInput input;
  EXPECT_EQ(ChatTemplate::parse(source + "{% else %}b{% endif %}").render(input).text, "b");
}

// A long, ordinary conversation is far from every limit.
TEST(JinjaLimits, LeaveRoom) {
  ChatInput input;
  for (int i = 0; i < 2000; ++i) {
    data::Json message = data::Json::object();
    message.set("role", i % 2 ? "assistant" : "user").set("content", repeat("word ", 500));
    input.messages.push_back(std::move(message));
  }
  ChatTemplate chat = ChatTemplate::parse(
      "{% set ns = namespace(text='') %}{% for message in messages %}{% if (message['role'] == "
      "'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles') }}{% endif %}"
      "{{ '<|' + message.role + '|>' + message.content|trim + '\\n' }}{% endfor %}");
  EXPECT_GT(chat.render(input).text.size(), 5'000'000u);
}

}  // namespace
}  // namespace tenon::text
