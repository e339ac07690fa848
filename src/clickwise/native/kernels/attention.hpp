// Attention among the M vectors of a row, head by head. All buffers are row-major and dense.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

// Queries, keys, values and residuals [4, H, d] of each of the M vectors of B rows lie together: [B, M, 4, H, d].
struct AttentionSizes {
  int64_t B, M, H, d;
};

struct AttentionKernels {
  // out = relu(softmax(Q K^T) V + R), one head beside the other.
  //   mapped [B, M, 4, H, d] in; out [B, M, H, d] out.
  void (*forward)(const AttentionSizes&, const float* mapped, float* out);

  // With g = grad_out where out > 0, A = softmax(Q K^T) (made again), E = A * (g V^T - rowsum(A * g V^T)):
  //   grad_Q = E K,  grad_K = E^T Q,  grad_V = A^T g,  grad_R = g.
  //   grad_out, out [B, M, H, d], mapped in; grad_mapped [B, M, 4, H, d] out.
  void (*backward)(const AttentionSizes&, const float* grad_out, const float* out, const float* mapped,
                   float* grad_mapped);
};

CW_VECTOR_FAMILY(AttentionKernels, attention)

}  // namespace clickwise
