#pragma once

#include <string>
#include <vector>

namespace tenon::cli {

// Rows of cells in aligned columns, two spaces apart. Columns whose first letter in `align` is 'r'
// stand to the right; the others, and those beyond `align`, to the left. Cells are made printable.
std::string text_table(const std::vector<std::vector<std::string>>& rows,
                       const std::string& align = "");

}  // namespace tenon::cli
