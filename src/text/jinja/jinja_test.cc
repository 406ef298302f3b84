// The template language: each line of a table as Jinja itself renders it.
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/chat_template.h"

namespace tenon::text {
namespace {

std::string render(std::string_view source, const std::string& variables = "{}") {
  ChatInput input;
  input.variables = data::parse_json(variables);
  input.add_generation_prompt = false;
  return ChatTemplate::parse(source).render(input).text;
}

struct Case {
  const char *source, *wanted;
};

void check(std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.source);
    try {
      EXPECT_EQ(render(c.source), c.wanted);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

struct Refusal {
  const char *source, *problem, *place;
  ErrorCode code = ErrorCode::BadInput;
};

void check_refusals(std::initializer_list<Refusal> cases) {
  for (const Refusal& c : cases) {
    SCOPED_TRACE(c.source);
    try {
      ADD_FAILURE() << render(c.source);
    } catch (const Error& error) {
      EXPECT_NE(error.problem().find(c.problem), std::string::npos) << error.what();
      EXPECT_NE(error.place().find(c.place), std::string::npos) << error.what();
      EXPECT_EQ(error.code(), c.code) << error.what();
    }
  }
}

TEST(Jinja, Values) {
  check({{"{{ 1 }} {{ -2 }} {{ 1.0 }} {{ 1e16 }} {{ 1e-05 }} {{ 0.1 + 0.2 }}",
          "1 -2 1.0 1e+16 1e-05 0.30000000000000004"},
         {"{{ true }} {{ none }} {{ [1, 'a'] }} {{ (1,) }} {{ {'a': none} }}",
          "True None [1, 'a'] (1,) {'a': None}"},
         {"{{ ['it\\'s', 'say \"x\"', 'both \\' \"', 'tab\\t', 'é\\u200b'] }}",
          "[\"it's\", 'say \"x\"', 'both \\' \"', 'tab\\t', 'é\\u200b']"},
         {"{{ 'a' 'b' }}{{ '\\x41\\u00e9\\n\\q' }}", "abAé\n\\q"},
         {"{{ missing }}|{{ {}.x }}|{{ [][0] }}", "||"}});
}

TEST(Jinja, Operators) {
  check({{"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 3 ** 2 }}", "3 -4 2 3.5 64"},
         {"{{ 'a' ~ 1 ~ none }} {{ 'ab' * 2 }} {{ [1] + [2] }} {{ 1 + 2 * 3 - 4 }}",
          "a1None abab [1, 2] 3"},
         {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' in 'cat' }} {{ 2 not in [1] }} {{ 1 == 1.0 }}",
          "True False True True True"},
         {"{{ 0 or 'x' }} {{ 1 and 2 }} {{ not 1 }} {{ 'a' if false }}|{{ 'a' if 1 else 'b' }}",
          "x 2 False |a"},
         {"{{ 'abc'[0] }} {{ 'abc'[-1] }} {{ 'aéc'[::-1] }} {{ [1,2,3][1:] }} {{ 'hello'[1:-1] }}",
          "a c céa [2, 3] ell"},
         {"{{ '%s has %d, %.2f%%' % ('x', 3, 1.5) }} {{ '%5s|%-4d|' % ('a', 7) }}",
          "x has 3, 1.50%     a|7   |"},
         {"{{ -3|abs }} {{ 'a'|upper ~ 'b' }} {{ 5 is odd and 4 is even }}", "3 Ab True"}});
}

TEST(Jinja, WhiteSpace) {
  check({{"a\n  {% if true %}\nb\n  {% endif %}\nc", "a\nb\nc"},
         {"a  {%- if true -%}  b  {%- endif -%}  c", "abc"},
         {"  {%+ if true %}x{% endif %}", "  x"},
         {"a {# note #}\nb", "a b"},
         {"  {# note #}\nb", "b"},
         {"x{{ 1 -}}   y {{- 2 }}", "x1y2"},
         {"{% if true +%}\nb{% endif %}", "\nb"},
         {"line\r\nnext\n", "line\nnext"},
         {"{% raw %}{{ x }}{% endraw %}\n!", "{{ x }}!"},
         {"{{ {'a': {'b': 1}}['a'] }}", "{'b': 1}"}});
}

TEST(Jinja, Statements) {
  check(
      {{"{% for i in [1,2,3] if i != 2 %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% endfor %}",
        "1/2:1 2/2:3 "},
       {"{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% else %}none{% endfor %}", "a1"},
       {"{% for x in [] %}{% else %}none{% endfor %}", "none"},
       {"{% set x = 1 %}{% for i in [1,2] %}{{ x }}{% set x = 5 %}{% endfor %}{{ x }}", "111"},
       {"{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}"
        "{{ ns.n }}",
        "6"},
       {"{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 3 %}{% break %}"
        "{% endif %}{{ i }}{% endfor %}",
        "013"},
       {"{% macro f(a, b='z') %}<{{ a }}{{ b }}>{% endmacro %}{{ f(1) }}{{ f(b=2, a=3) }}",
        "<1z><32>"},
       {"{% macro f() %}[{{ caller(1) }}]{% endmacro %}{% call(n) f() %}{{ n }}!{% endcall %}",
        "[1!]"},
       {"{% set a, b = 1, 2 %}{% set c %}{{ a }}{{ b }}{% endset %}{{ c|length }}", "2"},
       {"{% set t | upper %}x{% endset %}{{ t }}{% filter upper|trim %} y {% endfilter %}", "XY"},
       {"{% with a = 1 %}{{ a }}{% endwith %}{{ a is defined }}", "1False"},
       {"{% for t in [{'n': 1, 'c': [{'n': 2, 'c': []}]}] recursive %}{{ loop.depth }}{{ t.n }}"
        "{{ loop(t.c) }}{% endfor %}",
        "1122"},
       {"{% for i in [1,1,2] %}{{ loop.cycle('a','b') }}{{ loop.changed(i) }} {% endfor %}",
        "aTrue bFalse aTrue "},
       {"{% for i in 'ab' %}{{ loop.previtem }}{{ i }}{{ loop.nextitem }},{% endfor %}", "ab,ab,"},
       {"{% if false %}a{% elif none %}b{% else %}c{% endif %}", "c"},
       {"{% generation %}x{% endgeneration %}", "x"}});
}

TEST(Jinja, Filters) {
  check({{"{{ ' a '|trim }}{{ 'xax'|trim('x') }}{{ 'a-b c'|title }}{{ 'éA'|capitalize }}",
          "aaA-B CÉa"},
         {"{{ 'Straße ﬁ'|upper }} {{ 'ß'|capitalize }} {{ 'ßa ﬁn'|title }} {{ 'ßA'.swapcase() }} "
          "{{ 'İ'|lower|length }} {{ 'ßa'.title() }} {{ 'ΐ'|upper|length }}",
          "STRASSE FI Ss SSa FIn SSa 2 Ssa 3"},
         {"{{ [3,1,2]|sort|join(',') }} {{ [1,2]|sum }} {{ ['b','A']|sort }} {{ [1,2]|last }}",
          "1,2,3 3 ['A', 'b'] 2"},
         {"{{ [{'a': 1}, {'a': 2}]|map(attribute='a')|list }} {{ ['x']|map('upper')|join }}",
          "[1, 2] X"},
         {"{{ [{'r': 'u'}, {'r': 's'}]|selectattr('r', 'equalto', 's')|list }}", "[{'r': 's'}]"},
         {"{{ [1,2,3]|select('odd')|list }} {{ [0,1]|reject|list }} {{ [1,1,2]|unique|list }}",
          "[1, 3] [0] [1, 2]"},
         {"{% if [1]|select('even') %}a generator is true{% endif %}", "a generator is true"},
         {"{{ missing|default('d') }} {{ ''|default('d', true) }} {{ none|d('d') }}", "d d None"},
         {"{{ 'a\\nb\\n\\nc'|indent(2) }}|{{ 'a'|indent(2, true) }}", "a\n  b\n\n  c|  a"},
         {"{{ '3'|int + 1 }} {{ 'x'|int(7) }} {{ '2.9'|int }} {{ '1.5'|float }} {{ 2.5|round }} {{ "
          "2.567|round(1) }}",
          "4 7 2 1.5 2.0 2.6"},
         {"{{ 2.675|round(2) }} {{ 0.125|round(2) }} {{ 1e300|round(3) }} {{ 15|round(-1) }}",
          "2.67 0.12 1e+300 20"},
         {"{{ '0x1F'|int(base=16) }} {{ '-0b11'|int(0, 2) }} {{ '0x1F'|int(3) }}", "31 -3 3"},
         {"{{ {'b': 1, 'a': 2}|dictsort }} {{ {'a': 1}|items|list }} {{ 'abc'|reverse }}",
          "[('a', 2), ('b', 1)] [('a', 1)] cba"},
         {"{{ {'a': [1, 1.5, true, none, 'é<\"\\n'], 'b': {}}|tojson }}",
          "{\"a\": [1, 1.5, true, null, \"é<\\\"\\n\"], \"b\": {}}"},
         {"{{ {'b': [1], 'a': []}|tojson(indent=2, sort_keys=true) }}",
          "{\n  \"a\": [],\n  \"b\": [\n    1\n  ]\n}"},
         {"{{ 'é'|tojson(ensure_ascii=true) }} {{ [1,2]|tojson(separators=(',', ':')) }}",
          "\"\\u00e9\" [1,2]"},
         {"{{ '<a & \"b\">'|e }} {{ 'a b c'|wordcount }} {{ 'aXbX'|replace('X', '-', 1) }}",
          "&lt;a &amp; &#34;b&#34;&gt; 3 a-bX"},
         {"{{ 'aéb'|length }} {{ [1,2,3]|first }} {{ [4,9]|max }} {{ range(5)|batch(2)|list }}",
          "3 1 9 [[0, 1], [2, 3], [4]]"}});
}

TEST(Jinja, TestsAndMethods) {
  check(
      {{"{{ 1 is number }}{{ 'a' is string }}{{ [] is iterable }}{{ {} is mapping }}"
        "{{ 'x' is sequence }}{{ true is integer }}",
        "TrueTrueTrueTrueTrueFalse"},
       {"{{ none is none }}{{ x is not defined }}{{ 4 is divisibleby 2 }}{{ 3 is in [3] }}",
        "TrueTrueTrueTrue"},
       {"{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a.b.c'.rsplit('.', 1) }}",
        "['a', 'b', '', 'c'] ['a', 'b'] ['a.b', 'c']"},
       {"{{ 'a b c'.split(None, 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ "
        "'a\\n\\nb\\n'.splitlines() }}",
        "['a', 'b c'] [' a b', 'c'] ['a', '', 'b']"},
       {"{{ 'xxaxx'.strip('x') }} {{ 'abc'.startswith(('z', 'a')) }} {{ 'abc'.endswith('bc') }}",
        "a True True"},
       {"{{ 'abcb'.find('b') }} {{ 'abcb'.rfind('b') }} {{ 'abcb'.count('b') }} {{ 'ab'.index('b') "
        "}}",
        "1 3 2 1"},
       {"{{ 'hello world'.title() }} {{ 'aB'.swapcase() }} {{ 'ab'.replace('', '-') }}",
        "Hello World Ab -a-b-"},
       {"{{ '-'.join(['a', 'b']) }} {{ '{} {0} {n}'.format('x', n=1) }} {{ 'a=b'.partition('=') }}",
        "a-b x x 1 ('a', '=', 'b')"},
       {"{{ 'ab'.ljust(4) }}|{{ '7'.zfill(3) }} {{ 'ab'.center(5, '*') }} {{ '12'.isdigit() }}",
        "ab  |007 **ab* True"},
       {"{{ {'a': 1}.get('b', 2) }} {{ {'a': 1}.keys()|list }} {{ {'items': 1}['items'] }}",
        "2 ['a'] 1"},
       {"{{ dict(a=1) }} {{ range(1, 7, 2)|list }} {{ range(3, 0, -1)|list }}",
        "{'a': 1} [1, 3, 5] [3, 2, 1]"}});
}

TEST(Jinja, RefusesByNameAndPlace) {
  using enum ErrorCode;
  check_refusals(
      {{"ok\n  {{ x|shuffle }}", "filter 'shuffle' is not supported", "line 2, column 8",
        Unsupported},
       {"{% include 'x' %}", "tag 'include'", "line 1, column 4", Unsupported},
       {"{% extends 'x' %}", "tag 'extends'", "line 1", Unsupported},
       {"{% import 'os' as os %}", "tag 'import'", "line 1", Unsupported},
       {"{% frobnicate %}", "tag 'frobnicate'", "line 1", Unsupported},
       {"{{ 1 is prime }}", "test 'prime'", "line 1, column 9", Unsupported},
       {"{{ lipsum() }}", "function 'lipsum'", "line 1, column 4", Unsupported},
       {"{{ 'a'.encode('utf8') }}", "method 'encode'", "line 1", Unsupported},
       {"{{ f(*args) }}", "arguments by *", "line 1", Unsupported},
       {"é{{ missing.x }}", "'missing' is undefined", "line 1, column 12"},
       {"{{ {}.a.b }}", "no attribute 'a'", "line 1"},
       {"{{ missing() }}", "'missing' is undefined", "line 1"},
       {"{{ [].append(1) }}", "would change a value", "line 1"},
       {"{{ {}.update({}) }}", "would change a value", "line 1"},
       {"{{ 'a' + 1 }}", "does not take a str object and a int object", "line 1, column 8"},
       {"{{ missing + 'a' }}", "'missing' is undefined", "line 1"},
       {"{{ 1 // 0 }}", "division by zero", "line 1"},
       {"{{ 9223372036854775807 + 1 }}", "leaves 64 bits", "line 1"},
       {"{{ raise_exception('no ' ~ 'way') }}", "no way", "line 1, column 19"},
       {"{{ strftime_now('%Q') }}", "date format", "line 1", Unsupported},
       {"{% if true %}", "ends within a block", "line 1"},
       {"{{ 1", "a tag is not closed", "line 1, column 1"},
       {"{# x", "a comment is not closed", "line 1"},
       {"{% endif %}", "closes nothing", "line 1"},
       {"{% break %}", "outside of a loop", "line 1"},
       {"{{ 'a }}", "a string is not closed", "line 1, column 4"},
       {"{{ 1 ! 2 }}", "unexpected character", "line 1"},
       {"{{ [1, ] 2 }}", "syntax is wrong", "line 1"},
       {"{{ [1, }}", "a bracket closes nothing", "line 1"},
       {"{{ 1 2 }}", "syntax is wrong", "line 1, column 6"},
       {"{% set x.y = 1 %}", "only a namespace", "line 1"},
       {"{% set d = {} %}{% set d.y = 1 %}", "only a namespace", "line 1"},
       {"{% for a, b in [1] %}{% endfor %}", "cannot be walked", "line 1"},
       {"{{ [1]|map('upper')|length }}", "generator has no length", "line 1"}});
}

// What a template must never reach (Jinja templates of hostile models run code in others' servers).
TEST(Jinja, ReachesNothing) {
  check({{"{{ ''.__class__ }}{{ [].__globals__ }}{{ raise_exception.__init__ }}", ""},
         {"{{ self }}{{ config }}{{ request }}{{ __builtins__ }}", ""}});
  check_refusals(
      {{"{{ ''.__class__.__mro__ }}", "no attribute '__class__'", "line 1"},
       {"{{ cycler.__init__.__globals__.os }}", "not supported", "line 1", ErrorCode::Unsupported},
       {"{{ open('/etc/passwd') }}", "'open' is undefined", "line 1"},
       {"{{ ''|attr('__class__') }}", "filter 'attr'", "line 1", ErrorCode::Unsupported}});
}

}  // namespace
}  // namespace tenon::text
