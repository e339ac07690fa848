// Rows of a table to vectors, and back.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

// Where the row of each slot is: [S, B] if slot-major, else [B, S], all below `count`; 0 is padding.
struct Positions {
  const int32_t* at;
  bool slot_major;
  int64_t count;
};

// Which slots make up which vector, and what each counts: vector f is the slots [starts[f], starts[f + 1]).
// coefficients [B, S], or null where all are 1.
struct Pooling {
  const int32_t* starts;
  const float* coefficients;
  int64_t B, S, F, D;
};

struct PoolingKernels {
  // to[u] = table[rows[u]]: table [V, D], rows [U] below V in; to [U, D] out.
  void (*gather)(const float* table, const int32_t* rows, int64_t U, int64_t D, float* to);

  // out[b, f] = sum over the slots s of f of coefficients[b, s] * from[position of (b, s)]. False, with nothing useful
  // in `out`, when a position is not below `count` (or there is no memory).
  //   from [count, D] in, its row 0 zeros; out [B, F, D] out.
  bool (*forward)(const float* from, Positions, Pooling, float* out);

  // gradient[u] = sum over the slots of row u, slot by slot and in each from the first b to the last, of
  // coefficients[b, s] * grad_out[b, vector of s]. Position 0 gets zeros.
  //   grad_out [B, F, D], inverse [S, B], groups [G + 1], starts [G + 1] in (see DistinctKernels); gradient [U, D] out.
  void (*backward)(const float* grad_out, const int32_t* inverse, const int32_t* groups, const int32_t* starts,
                   int64_t G, Pooling, float* gradient);
};

CW_VECTOR_FAMILY(PoolingKernels, pooling)

}  // namespace clickwise
