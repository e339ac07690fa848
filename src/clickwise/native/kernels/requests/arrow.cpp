#include "requests/arrow.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "columns.hpp"

namespace clickwise {
namespace {

const Cells kUnusual{.kind = Cells::kOther};

bool present(const ArrowArray& array, int64_t i) {
  const auto* const bits = static_cast<const uint8_t*>(array.buffers[0]);
  const int64_t bit = array.offset + i;
  return !bits || !array.null_count || (bits[bit >> 3] >> (bit & 7) & 1);
}

template <class T>
const T* values_of(const ArrowArray& array) {
  return static_cast<const T*>(array.buffers[1]) + array.offset;
}

// Calls f(T{}) for the type of whole numbers that has this format; false where none has.
template <class F>
bool with_whole(char format, F&& f) {
  switch (format) {
    case 'c': return f(int8_t{}), true;
    case 'C': return f(uint8_t{}), true;
    case 's': return f(int16_t{}), true;
    case 'S': return f(uint16_t{}), true;
    case 'i': return f(int32_t{}), true;
    case 'I': return f(uint32_t{}), true;
    case 'l': return f(int64_t{}), true;
    case 'L': return f(uint64_t{}), true;
    default: return false;
  }
}

}  // namespace

Cells ArrowCells::view(const ArrowSchema& schema, const ArrowArray& array) {
  const std::string_view format = schema.format;
  if (schema.dictionary) return dictionary_of(schema, array);
  if (format == "n") return nulls_of(array.length);
  if (!array.length) return nulls_of(0);
  if (format == "u" || format == "z") return text_of(array, false, format == "u");
  if (format == "U" || format == "Z") return text_of(array, true, format == "U");
  if (format == "vu" || format == "vz") return views_of(array, format == "vu");
  if (format == "b") return bools_of(array);
  if (format == "f") return reals_of<float>(array);
  if (format == "g") return reals_of<double>(array);
  if (format == "+l") return lists_of(schema, array);
  if (format.size() >= 4 && format.substr(0, 2) == "ts" && format[3] == ':') return times_of(array, format[2]);
  Cells found = kUnusual;
  if (format.size() == 1) with_whole(format[0], [&](auto type) { found = whole_of<decltype(type)>(array); });
  return found;
}

Cells ArrowCells::made(TextOf&& text) {
  texts_.push_back(std::move(text));
  Cells cells;
  cells.kind = Cells::kText;
  cells.text = texts_.back().text();
  cells.n = cells.text.n;
  return cells;
}

Cells ArrowCells::nulls_of(int64_t count) {
  TextOf text;
  for (int64_t i = 0; i < count; i++) text.add({});
  return made(std::move(text));
}

Cells ArrowCells::text_of(const ArrowArray& array, bool wide, bool utf8) {
  Cells cells;
  cells.kind = Cells::kText;
  cells.n = array.length;
  const auto* const offsets = static_cast<const uint8_t*>(array.buffers[1]) + array.offset * (wide ? 8 : 4);
  const auto* const validity = array.null_count ? static_cast<const uint8_t*>(array.buffers[0]) : nullptr;
  cells.text = {static_cast<const uint8_t*>(array.buffers[2]), 0, offsets, wide, validity, array.offset, array.length};
  return utf8 || columns().survey(cells.text).ascii ? cells : kUnusual;
}

Cells ArrowCells::views_of(const ArrowArray& array, bool utf8) {
  TextOf text;
  for (int64_t i = 0; i < array.length; i++) {
    const uint8_t* const view = static_cast<const uint8_t*>(array.buffers[1]) + 16 * (array.offset + i);
    int32_t length, buffer, offset;
    std::memcpy(&length, view, 4);
    std::memcpy(&buffer, view + 8, 4);
    std::memcpy(&offset, view + 12, 4);
    if (!present(array, i)) length = 0;
    const auto* const bytes = length <= 12 ? view + 4 : static_cast<const uint8_t*>(array.buffers[2 + buffer]) + offset;
    text.add({reinterpret_cast<const char*>(bytes), size_t(length)});
  }
  const Cells cells = made(std::move(text));
  return utf8 || columns().survey(cells.text).ascii ? cells : kUnusual;
}

Cells ArrowCells::dictionary_of(const ArrowSchema& schema, const ArrowArray& array) {
  const Cells values = view(*schema.dictionary, *array.dictionary);
  if (values.kind != Cells::kText || values.lists) return kUnusual;
  TextOf text;
  const bool whole = with_whole(schema.format[0], [&](auto type) {
    const auto* const indices = values_of<decltype(type)>(array);
    for (int64_t i = 0; i < array.length; i++)
      text.add(present(array, i) ? cell_of(values.text, int64_t(indices[i])) : std::string_view());
  });
  if (!whole) return kUnusual;
  Cells cells = made(std::move(text));
  cells.all_bools = values.all_bools;
  return cells;
}

Cells ArrowCells::lists_of(const ArrowSchema& schema, const ArrowArray& array) {
  Cells cells = view(*schema.children[0], *array.children[0]);
  if (cells.kind != Cells::kText || cells.lists) return kUnusual;
  cells.lists = values_of<int32_t>(array);
  cells.n = array.length;
  for (int64_t i = 0; i < cells.n; i++)
    if (!present(array, i) && cells.lists[i + 1] > cells.lists[i]) return kUnusual;
  return cells;
}

Cells ArrowCells::bools_of(const ArrowArray& array) {
  TextOf text;
  const auto* const bits = static_cast<const uint8_t*>(array.buffers[1]);
  for (int64_t i = 0; i < array.length; i++) {
    const int64_t bit = array.offset + i;
    text.add(!present(array, i) ? "" : bits[bit >> 3] >> (bit & 7) & 1 ? "true" : "false");
  }
  Cells cells = made(std::move(text));
  cells.all_bools = true;
  return cells;
}

template <class T>
Cells ArrowCells::whole_of(const ArrowArray& array) {
  TextOf text;
  char digits[24];
  for (int64_t i = 0; i < array.length; i++) {
    const char* const end = std::to_chars(digits, digits + sizeof digits, values_of<T>(array)[i]).ptr;
    text.add({digits, present(array, i) ? size_t(end - digits) : 0});
  }
  return made(std::move(text));
}

template <class T>
Cells ArrowCells::reals_of(const ArrowArray& array) {
  std::vector<double>& to = reals_.emplace_back();
  for (int64_t i = 0; i < array.length; i++) to.push_back(present(array, i) ? double(values_of<T>(array)[i]) : NAN);
  Cells cells;
  cells.kind = Cells::kReal;
  cells.n = array.length;
  cells.reals = to.data();
  cells.narrow = sizeof(T) < 8;
  return cells;
}

Cells ArrowCells::times_of(const ArrowArray& array, char unit) {
  const int64_t factor = unit == 's' ? 1'000'000 : unit == 'm' ? 1'000 : 1;
  std::vector<int64_t>& to = times_.emplace_back();
  for (int64_t i = 0; i < array.length; i++) {
    const int64_t time = values_of<int64_t>(array)[i];
    if (!present(array, i)) {
      to.push_back(kNoTime);
    } else {
      if (time > INT64_MAX / factor || time <= INT64_MIN / factor) return kUnusual;
      to.push_back(unit == 'n' ? time / 1000 : time * factor);
    }
  }
  Cells cells;
  cells.kind = Cells::kTime;
  cells.n = array.length;
  cells.times = to.data();
  return cells;
}

ArrowRows::ArrowRows(const std::vector<std::string>& names, const ArrowSchema& schema, const ArrowArray& batch) {
  sides.count = batch.length;
  sides.candidates.resize(names.size());
  int64_t guess = 0;
  for (size_t column = 0; column < names.size(); column++) {
    for (int64_t tried = 0; tried < batch.n_children; tried++, guess++) {
      guess = guess < batch.n_children ? guess : 0;
      if (names[column] != schema.children[guess]->name) continue;
      sides.candidates[column] = owner.view(*schema.children[guess], *batch.children[guess]);
      sides.candidates[column].n = batch.length;
      break;
    }
  }
}

}  // namespace clickwise
