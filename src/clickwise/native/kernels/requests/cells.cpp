#include "requests/cells.hpp"

#include <charconv>
#include <cmath>
#include <cstring>

#include "columns.hpp"
#include "requests/number_text.hpp"

namespace clickwise {
namespace {

int64_t offset_of(const Text& text, int64_t i) {
  if (text.wide) return static_cast<const int64_t*>(text.offsets)[i];
  return static_cast<const int32_t*>(text.offsets)[i];
}

// The numbers of text that no plain digits are: correctly rounded, as everywhere.
bool read_numbers(const Text& text, std::vector<double>& found) {
  std::vector<uint8_t> present(static_cast<size_t>((text.n + 7) / 8));
  if (columns().numbers(text, found.data(), present.data()) >= 0) {
    for (int64_t i = 0; i < text.n; i++)
      if (!(present[size_t(i / 8)] >> (i % 8) & 1)) found[size_t(i)] = NAN;
    return true;
  }
  for (int64_t i = 0; i < text.n; i++) {
    const std::string_view cell = cell_of(text, i);
    found[size_t(i)] = NAN;
    if (cell.empty()) continue;
    if (cell[0] != '-' && (cell[0] < '0' || cell[0] > '9')) return false;
    const auto read = std::from_chars(cell.data(), cell.data() + cell.size(), found[size_t(i)]);
    if (read.ec != std::errc() || read.ptr != cell.data() + cell.size() || !std::isfinite(found[size_t(i)])) return false;
  }
  return true;
}

}  // namespace

std::string_view cell_of(const Text& text, int64_t i) {
  const int64_t bit = text.skip + i;
  if (text.validity && !(text.validity[bit >> 3] >> (bit & 7) & 1)) return {};
  const int64_t from = offset_of(text, i), to = offset_of(text, i + 1);
  return {reinterpret_cast<const char*>(text.bytes) + from, size_t(to - from)};
}

Text part_of(const Text& text, int64_t from, int64_t to) {
  Text part = text;
  part.offsets = static_cast<const uint8_t*>(text.offsets) + from * (text.wide ? 8 : 4);
  part.skip += from;
  part.n = to - from;
  return part;
}

void TextOf::clear() {
  bytes_.clear();
  offsets_.assign(1, 0);
}

void TextOf::add(std::string_view cell) {
  bytes_.insert(bytes_.end(), cell.begin(), cell.end());
  offsets_.push_back(int64_t(bytes_.size()));
}

Text TextOf::text() const {
  return {bytes_.data(), int64_t(bytes_.size()), offsets_.data(), true, nullptr, 0, int64_t(offsets_.size()) - 1};
}

bool tokens_of(const Cells& cells, TextOf& made, Text& tokens) {
  if (cells.kind == Cells::kText) {
    tokens = cells.text;
    return true;
  }
  if (cells.kind != Cells::kReal || cells.narrow) return false;
  made.clear();
  for (int64_t i = 0; i < cells.n; i++) {
    char text[kNumberText];
    const double x = cells.reals[i];
    if (std::isinf(x)) return false;
    made.add({text, std::isnan(x) ? 0 : size_t(real_text(x, text))});
  }
  tokens = made.text();
  return true;
}

bool numbers_of(const Cells& cells, std::vector<double>& found) {
  found.resize(size_t(cells.n));
  if (cells.kind == Cells::kReal) {
    for (int64_t i = 0; i < cells.n; i++) found[size_t(i)] = std::isfinite(cells.reals[i]) ? cells.reals[i] : NAN;
    return true;
  }
  if (cells.kind != Cells::kText || cells.lists) return false;
  if (!cells.all_bools) return read_numbers(cells.text, found);
  for (int64_t i = 0; i < cells.n; i++) {
    const std::string_view cell = cell_of(cells.text, i);
    found[size_t(i)] = cell.empty() ? NAN : double(cell == "true");
  }
  return true;
}

}  // namespace clickwise
