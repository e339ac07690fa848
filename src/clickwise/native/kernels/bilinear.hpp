// Bilinear forms of all pairs of vectors of a row. All buffers are row-major and dense.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

// P = F (F - 1) / 2 pairs (f, g), f < g, in the order (0, 1), (0, 2) .. (F - 2, F - 1).
struct PairSizes {
  int64_t B, F, D;
  int64_t count;  // of matrices W: P, one for each pair; F - 1, one for each f; or 1
};

struct BilinearKernels {
  // p_fg = (v_f W_fg) * v_g and q_fg = a_f a_g p_fg.
  //   vectors [B, F, D], gates a [B, F], weight [count, D, D] in; pairs [B, 2, P, D], p and then q, out.
  void (*forward)(const PairSizes& sizes, const float* vectors, const float* gates, const float* weight, float* pairs);

  // From the same and grad_pairs [B, 2, P, D]: grad_vectors [B, F, D], grad_gates [B, F] and
  // grad_weight [count, D, D], each null when nobody asks.
  void (*backward)(const PairSizes& sizes, const float* vectors, const float* gates, const float* weight,
                   const float* grad_pairs, float* grad_vectors, float* grad_gates, float* grad_weight);
};

CW_VECTOR_FAMILY(BilinearKernels, bilinear)

}  // namespace clickwise
