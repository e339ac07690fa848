// A layer of attention among the M vectors of a row: maps of the vectors, and what its heads make of them.
// All buffers are fp32, row-major and dense.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

// x [B, M, D]; weight [4, H, d, D], the rows of W_q, W_k, W_v and W_res of all heads; out [B, M, H, d].
struct AttentionLayer {
  int64_t B, M, D, H, d;
  bool half;  // operands of the maps are rounded to bf16; sums and the attention itself are fp32 either way
};

struct AttentionKernels {
  // Q, K, V, R = x W^T of each row and head, [M, d] each; out = relu(softmax(Q K^T) V + R), one head beside the other.
  void (*forward)(const AttentionLayer&, const float* x, const float* weight, float* out);

  // With g = grad_out where out > 0, A = softmax(Q K^T) (made again), E = A * (g V^T - rowsum(A * g V^T)):
  //   grad_Q = E K,  grad_K = E^T Q,  grad_V = A^T g,  grad_R = g,  of which G [B M, 4 H d] is made;
  //   grad_x = G W,  grad_weight = G^T x.
  //   grad_out as out; grad_x as x, grad_weight as weight, out.
  void (*backward)(const AttentionLayer&, const float* x, const float* weight, const float* out, const float* grad_out,
                   float* grad_x, float* grad_weight);
};

CW_DENSE_FAMILY(AttentionKernels, attention)

}  // namespace clickwise
