// What becomes of the tiles of a product (product.hpp): c[rows, Tile<E>::columns] in fp32, `columns` of them in use.
#pragma once
#include "dense/dropout.hpp"
#include "dense/product.hpp"
#include "machine/stream.hpp"

namespace clickwise::CW_ISA {

// to = dropout(relu(c + bias)), in E for the next layer or in fp32 for the caller.
template <class E, class Out>
struct Activate {
  const float* bias;  // zeros behind the last column, up to a multiple of 32
  bool relu;
  Dropout dropout;
  int64_t first_row;  // of the product, in the batch
  Out* to;
  int64_t ld, end;  // columns that `to` has

  CW_INLINE void operator()(int64_t row, int64_t rows, int64_t column, int64_t columns, const float* c) const {
    columns = smaller(columns, end - column);
    for (int64_t i = 0; i < rows; i++) {
      const RowKey key = dropout.on() ? dropout.key(first_row + row + i) : RowKey{};
      for (int64_t j = 0; j < columns; j += kLanes) {
        Floats v = load(c + i * Tile<E>::columns + j) + load(bias + column + j);
        if (relu) v = v < 0 ? Floats{} : v;  // NaN stays NaN
        if (dropout.on()) v = dropout.apply(v, key, column + j);
        store_first(to + (row + i) * ld + column + j, v, columns - j);
      }
    }
  }
};

// to = c scale where `active` is not zero, else 0: back through dropout and ReLU, whose result is zero exactly where
// they let nothing pass. scale: what dropout multiplied by. Without `active`, everything passes.
template <class E>
struct Mask {
  const E* active;
  float scale;
  E* to;
  int64_t ld;  // of both

  CW_INLINE Floats passed(int64_t at, Floats v) const {
    return active ? (load(active + at) != 0.0f ? v * scale : Floats{}) : v;
  }

  CW_INLINE void operator()(int64_t row, int64_t rows, int64_t column, int64_t columns, const float* c) const {
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t j = 0; j < columns; j += kLanes) {
        const int64_t at = (row + i) * ld + column + j;
        store(to + at, passed(at, load(c + i * Tile<E>::columns + j)));
      }
    }
  }
};

// to = c, or to += c; a dense matrix of `end` columns at the sink's first, `ld` to a row. `streams`: past the caches,
// where it is `streamable` (machine/stream.hpp).
template <class E>
struct Write {
  bool add;
  float* to;
  int64_t ld, end;
  bool streams = false;

  CW_INLINE void operator()(int64_t row, int64_t rows, int64_t column, int64_t columns, const float* c) const {
    columns = smaller(columns, end - column);
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t j = 0; j < columns; j += kLanes) {
        Floats v = load(c + i * Tile<E>::columns + j);
        float* at = to + (row + i) * ld + column + j;
        if (add) v += load_first(at, columns - j);
        if (streams)
          stream(at, v);
        else
          store_first(at, v, columns - j);
      }
    }
  }
};

}  // namespace clickwise::CW_ISA
