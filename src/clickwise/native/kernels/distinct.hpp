// The distinct table rows of a batch, field by field.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

struct DistinctKernels {
  // Numbers the distinct rows of a batch: rows[inverse[s, b]] == sparse[b, s]. Returns how many there are, padding
  // (row 0, always position 0) included; or -1 when there is no memory.
  //   sparse [B, S], groups [G + 1] in: group g is the slots [groups[g], groups[g + 1]); no row is in two groups.
  //   rows [1 + S * B], starts [G + 1], inverse [S, B] out: row 0 first, then the rows of each group in the order in
  //   which its slots show them, those of group g at the positions [starts[g], starts[g + 1]).
  int64_t (*find)(const int32_t* sparse, int64_t B, int64_t S, const int32_t* groups, int64_t G, int32_t* rows,
                  int32_t* starts, int32_t* inverse);
};

CW_VECTOR_FAMILY(DistinctKernels, distinct)

}  // namespace clickwise
