#pragma once

#include <string>
#include <variant>
#include <vector>

namespace tenon::report {

// A page as data: the same one becomes HTML and Markdown. Text is plain; renderers escape it.

struct Heading {
  int level = 2;  // 1: the page's title
  std::string text = {};
};

struct Paragraph {
  std::string text = {};
};

// Commands or other text that stands as it is.
struct Code {
  std::string text = {};
};

struct Table {
  std::vector<std::string> head = {};
  std::vector<std::vector<std::string>> rows = {};
  std::string align = {};  // a letter a column: l or r; columns beyond it to the left
};

struct Series {
  std::string name = {};
  std::vector<double> values = {};  // one a category; NaN: none
};

// Values over named categories, from zero up.
struct Chart {
  enum class Kind { Lines, Bars } kind = Kind::Lines;
  std::string title = {}, unit = {};
  std::string categories_name = {};
  std::vector<std::string> categories = {};
  std::vector<Series> series = {};  // bars: the parts of one bar, stacked
};

// A picture file beside the page. HTML holds it whole, so that the page stays one file.
struct Picture {
  std::string caption = {};
  std::string file = {};      // a name without folders, for Markdown
  std::string data_uri = {};  // "data:image/png;base64,..."
};

using Block = std::variant<Heading, Paragraph, Code, Table, Chart, Picture>;

struct Page {
  std::string title;
  std::vector<Block> blocks;
};

// One self-contained file: no script, no request, readable in light and dark.
std::string to_html(const Page& page);
// Charts become tables.
std::string to_markdown(const Page& page);

// "12.3", "0.0045", "1.23e+06": three digits.
std::string format_figure(double value);

}  // namespace tenon::report
