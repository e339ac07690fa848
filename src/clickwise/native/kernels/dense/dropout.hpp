// Dropout of a tower's layer: which activations are kept is said in machine/dropout.hpp, for (seed, layer, row of the
// batch, column); what is kept is multiplied by 1 / (1 - p).
#pragma once
#include "dense/layout.hpp"
#include "machine/dropout.hpp"

namespace clickwise::CW_ISA {

struct Dropout {
  uint64_t seed;
  uint32_t layer, threshold;  // threshold 0: everything is kept
  float scale;

  Dropout(float p, uint64_t seed, int64_t layer)
      : seed(seed), layer(static_cast<uint32_t>(layer)), threshold(dropout_threshold(p)), scale(1 / (1 - p)) {}

  CW_INLINE bool on() const { return threshold != 0; }

  CW_INLINE RowKey key(int64_t row) const { return row_key(seed, layer, static_cast<uint64_t>(row)); }

  CW_INLINE Floats apply(Floats v, RowKey key, int64_t column) const {
    const Words kept = keep(key, columns_from(static_cast<uint32_t>(column)), threshold);
    return reinterpret_cast<Floats>(reinterpret_cast<Words>(v * scale) & kept);
  }
};

}  // namespace clickwise::CW_ISA
