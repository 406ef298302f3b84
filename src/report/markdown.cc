#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/escape.h"
#include "report/page.h"

namespace tenon::report {
namespace {

std::string row(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& cell : cells) text += " " + escape_markdown(cell) + " |";
  return text + "\n";
}

// A fence longer than any run of backticks in the text.
std::string fenced(const std::string& text) {
  size_t longest = 0, run = 0;
  for (char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  std::string fence(std::max<size_t>(longest + 1, 3), '`');
  return fence + "\n" + text + (text.ends_with('\n') ? "" : "\n") + fence + "\n\n";
}

// A file's name as a link: what would end the link or is no ASCII is written in hex.
std::string escape_link(const std::string& name) {
  std::string link;
  for (char c : name) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '.' || c == '_' || c == '-';
    link += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return link;
}

struct Markdown {
  std::string operator()(const Heading& heading) const {
    return std::string(static_cast<size_t>(heading.level), '#') + " " +
           escape_markdown(heading.text) + "\n\n";
  }
  std::string operator()(const Paragraph& paragraph) const {
    return escape_markdown(paragraph.text) + "\n\n";
  }
  std::string operator()(const Code& code) const { return fenced(code.text); }
  std::string operator()(const Table& table) const {
    size_t columns = table.head.size();
    for (const auto& cells : table.rows) columns = std::max(columns, cells.size());
    std::vector<std::string> head = table.head;
    head.resize(columns);
    std::string text = row(head) + "|";
    for (size_t i = 0; i < columns; ++i) {
      text += i < table.align.size() && table.align[i] == 'r' ? "---:|" : "---|";
    }
    text += "\n";
    for (const auto& cells : table.rows) text += row(cells);
    return text + "\n";
  }
  std::string operator()(const Chart& chart) const {
    Table table{.head = {chart.categories_name}, .align = "l"};
    for (const Series& series : chart.series) {
      table.head.push_back(series.name);
      table.align += 'r';
    }
    for (size_t i = 0; i < chart.categories.size(); ++i) {
      std::vector<std::string> cells = {chart.categories[i]};
      for (const Series& series : chart.series) {
        double value = i < series.values.size() ? series.values[i] : NAN;
        cells.push_back(std::isfinite(value) ? format_figure(value) : "");
      }
      table.rows.push_back(std::move(cells));
    }
    return "**" + escape_markdown(chart.title + " (" + chart.unit + ")") + "**\n\n" +
           (*this)(table);
  }
  std::string operator()(const Picture& picture) const {
    return "![" + escape_markdown(picture.caption) + "](" + escape_link(picture.file) + ")\n\n";
  }
};

}  // namespace

std::string to_markdown(const Page& page) {
  std::string text = "# " + escape_markdown(page.title) + "\n\n";
  for (const Block& block : page.blocks) text += std::visit(Markdown{}, block);
  return text;
}

}  // namespace tenon::report
