// Columns that lie in memory as Arrow has them, by its C data interface: arrow.apache.org/docs/format/CDataInterface.html.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "requests/cells.hpp"

extern "C" {
struct ArrowSchema {
  const char *format, *name, *metadata;
  int64_t flags, n_children;
  ArrowSchema **children, *dictionary;
  void (*release)(ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length, null_count, offset, n_buffers, n_children;
  const void** buffers;
  ArrowArray **children, *dictionary;
  void (*release)(ArrowArray*);
  void* private_data;
};
}

namespace clickwise {

// What views of columns point into, where it is not Arrow's own.
class ArrowCells {
 public:
  // A view of an array that was validated, of kind kOther where it is none of the usual. It lives as long as both.
  Cells view(const ArrowSchema& schema, const ArrowArray& array);

 private:
  Cells text_of(const ArrowArray& array, bool wide, bool utf8);
  Cells views_of(const ArrowArray& array, bool utf8);
  Cells dictionary_of(const ArrowSchema& schema, const ArrowArray& array);
  Cells lists_of(const ArrowSchema& schema, const ArrowArray& array);
  Cells bools_of(const ArrowArray& array);
  Cells nulls_of(int64_t count);
  Cells times_of(const ArrowArray& array, char unit);
  template <class T>
  Cells whole_of(const ArrowArray& array);
  template <class T>
  Cells reals_of(const ArrowArray& array);
  Cells made(TextOf&& text);

  std::deque<TextOf> texts_;
  std::deque<std::vector<double>> reals_;
  std::deque<std::vector<int64_t>> times_;
};

// Rows in columns, all of them of candidates.
struct ArrowRows {
  Sides sides;
  ArrowCells owner;

  // Of columns that are called `names` those that a batch has, each once.
  ArrowRows(const std::vector<std::string>& names, const ArrowSchema& schema, const ArrowArray& batch);
};

}  // namespace clickwise
