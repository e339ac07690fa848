// Delimited text, cut into cells and laid out as Arrow's columns of text. Nothing here allocates or uses threads.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

// Whole lines, each ended by \n or \r\n, that hold no quote that means anything.
struct Lines {
  const uint8_t* bytes;  // [size]
  int64_t size;          // below 2^31
  uint8_t delimiter;     // not \r, \n
  bool quotes;           // whether " means anything
  int64_t C;             // cells of a good line
};

// What `cut` met: `consumed` bytes are whole lines, `rows` of them good and `bad` of them not; empty ones are neither.
struct Cut {
  int64_t consumed;
  int64_t rows;
  int64_t bad;
};

// The good lines that `cut` found, and the columns to make of them.
struct Cells {
  const uint8_t* bytes;   // [size] those of `Lines`
  int64_t size;           //
  const int32_t* bounds;  // [rows, C + 1]: cell c of row r is bytes[bounds[r, c], bounds[r, c + 1] - 1)
  int64_t rows;
  int64_t C;
  const int32_t* wanted;  // [W] the cell that each column is made of
  int64_t W;
  const uint8_t* nulls;   // the texts that mean null, one behind the other
  const int32_t* ends;    // [K] where each ends
  int64_t K;
};

struct LineKernels {
  // Cuts lines until the end, until `most_rows` good or `most_bad` bad ones were met, or until one holds a quote or a \r
  // that ends no line; that one is not consumed.
  //   bounds [most_rows, C + 1] out, as in `Cells`; sizes [C] out: bytes of each cell over all rows;
  //   bad [most_bad, 4] out: of each line with a wrong number of cells the number of lines, empty ones not counted,
  //   before it; where it begins; where it ends; its cells.
  Cut (*cut)(const Lines& lines, int64_t most_rows, int64_t most_bad, int32_t* bounds, int64_t* sizes, int32_t* bad);

  // Column w is offsets[w, 0 .. rows], the bytes from data + starts[w] on and the bits validity[w, ..]; nulls have no
  // bytes.
  //   offsets [W, offset_stride], validity [W, validity_stride bytes, a multiple of 8], null_counts [W] out; data out,
  //   with room in each column for the sizes of its cells and kLineSlack bytes more.
  void (*fill)(const Cells& cells, int32_t* offsets, int64_t offset_stride, uint8_t* validity, int64_t validity_stride,
               const int64_t* starts, uint8_t* data, int64_t* null_counts);
};

constexpr int64_t kLineSlack = 16;

CW_VECTOR_FAMILY(LineKernels, lines)

}  // namespace clickwise
