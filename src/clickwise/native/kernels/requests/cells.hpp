// The cells of one column of a request, wherever they lie: text, numbers, times, or lists of text.
#pragma once
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "machine/text.hpp"

namespace clickwise {

constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();

// A view; null, empty text and NaN are missing.
struct Cells {
  enum Kind { kNone, kText, kReal, kTime, kOther } kind = kNone;  // kNone: no such column; kOther: none of the usual
  int64_t n = 0;
  Text text{};                     // kText [n]; of lists, of all their values
  bool all_bools = false;          // kText: "true" and "false" stand for themselves
  const int32_t* lists = nullptr;  // kText [n + 1]: where the lists begin in `text`; nullptr: there are none
  const double* reals = nullptr;   // kReal [n]
  bool narrow = false;             // kReal: they had 32 bits
  const int64_t* times = nullptr;  // kTime [n], microseconds, or kNoTime
};

// What a request says in the columns [C] of its user, one cell each, and of its candidates, `count` cells each.
struct Sides {
  int64_t count = 0;
  std::vector<Cells> user, candidates;
};

// A cell of text; empty where it is null.
std::string_view cell_of(const Text& text, int64_t i);
// The cells [from, to).
Text part_of(const Text& text, int64_t from, int64_t to);

// Text that is made cell by cell.
class TextOf {
 public:
  void clear();
  void add(std::string_view cell);
  // Valid until the next cell is added; null cells are empty.
  Text text() const;

 private:
  std::vector<uint8_t> bytes_;
  std::vector<int64_t> offsets_{0};
};

// The cells as tokens: text as it is, numbers as training wrote them, in `made`. False where they have none.
bool tokens_of(const Cells& cells, TextOf& made, Text& tokens);

// The cells as numbers [n], NaN where one is missing. False on meeting one that is not written plainly.
bool numbers_of(const Cells& cells, std::vector<double>& found);

}  // namespace clickwise
