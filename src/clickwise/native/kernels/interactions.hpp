// The pairwise interactions of a factorisation machine. All buffers are row-major and dense.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

struct InteractionKernels {
  // out[b] = 1/2 sum_d [(sum_f v_bfd)^2 - sum_f v_bfd^2];  total[b, d] = sum_f v_bfd, kept for the backward pass.
  //   vectors [B, F, D] in; out [B], total [B, D] out.
  void (*fm_forward)(const float* vectors, int64_t B, int64_t F, int64_t D, float* out, float* total);

  // grad_vectors[b, f, d] = grad_out[b] (total[b, d] - v_bfd).
  //   grad_out [B], vectors [B, F, D], total [B, D] in; grad_vectors [B, F, D] out.
  void (*fm_backward)(const float* grad_out, const float* vectors, const float* total, int64_t B, int64_t F, int64_t D,
                      float* grad_vectors);
};

CW_VECTOR_FAMILY(InteractionKernels, interactions)

}  // namespace clickwise
