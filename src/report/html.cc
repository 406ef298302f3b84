#include <fmt/format.h>

#include "report/escape.h"
#include "report/page.h"
#include "report/style.h"
#include "report/svg_chart.h"

namespace tenon::report {
namespace {

struct Html {
  std::string operator()(const Heading& heading) const {
    return fmt::format("<h{0}>{1}</h{0}>\n", heading.level, escape_html(heading.text));
  }
  std::string operator()(const Paragraph& paragraph) const {
    return "<p>" + escape_html(paragraph.text) + "</p>\n";
  }
  std::string operator()(const Code& code) const {
    return "<pre><code>" + escape_html(code.text) + "</code></pre>\n";
  }
  std::string operator()(const Table& table) const {
    std::string html = "<div class=\"wide\"><table>\n";
    if (!table.head.empty()) html += "<thead>" + row(table, table.head, "th") + "</thead>\n";
    html += "<tbody>\n";
    for (const auto& cells : table.rows) html += row(table, cells, "td");
    return html + "</tbody></table></div>\n";
  }
  std::string operator()(const Chart& chart) const {
    return "<figure>\n" + to_svg(chart) + "</figure>\n";
  }
  std::string operator()(const Picture& picture) const {
    return fmt::format(
        "<figure><img alt=\"{0}\" src=\"{1}\"><figcaption>{0}</figcaption></figure>\n",
        escape_html(picture.caption), escape_html(picture.data_uri));
  }

 private:
  static std::string row(const Table& table, const std::vector<std::string>& cells,
                         std::string_view tag) {
    std::string html = "<tr>";
    for (size_t i = 0; i < cells.size(); ++i) {
      bool right = i < table.align.size() && table.align[i] == 'r';
      html +=
          fmt::format("<{0}{1}>{2}</{0}>", tag, right ? " class=\"r\"" : "", escape_html(cells[i]));
    }
    return html + "</tr>\n";
  }
};

}  // namespace

std::string to_html(const Page& page) {
  // An empty icon keeps browsers from asking a server for one.
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" "
      "href=\"data:,\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n",
      escape_html(page.title), kStyle);
  html += fmt::format("<h1>{}</h1>\n", escape_html(page.title));
  for (const Block& block : page.blocks) html += std::visit(Html{}, block);
  return html + "</body>\n</html>\n";
}

}  // namespace tenon::report
