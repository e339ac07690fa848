// Cross networks of version 1 (version 2: dense/). All buffers are row-major and dense.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

// The backward passes sum over blocks of this many rows, then over the blocks in their order: no sum depends on threads.
constexpr int64_t kCrossRows = 256;
static constexpr int64_t cross_blocks(int64_t B) { return (B + kCrossRows - 1) / kCrossRows; }

// Floats of scratch for each block of `backward`: L + 1 partial sums of d columns, L of t_l, a and t_l a_l of 4 rows.
static constexpr int64_t cross_scratch(int64_t L, int64_t d) { return (L + 1) * d + 5 * L + 4; }

struct CrossKernels {
  // x_{l+1} = x_0 (x_l . w_l) + b_l + x_l. Every x_l is a multiple of x_0 plus a vector that all rows share:
  //   x_l = a_l x_0 + c_l,  a_0 = 1,  c_0 = 0,  c_{l+1} = c_l + b_l,
  //   a_{l+1} = a_l + x_l . w_l = a_l (1 + p_l) + e_l,  p_l = x_0 . w_l,  e_l = c_l . w_l,
  // so that a row is read once and written once, and p is all that the backward pass needs besides x_0.
  //   x0 [B, d], w, b [L, d] in; out [B, d], p [B, L], c [d] (c_L), e [L] out.
  void (*forward)(const float* x0, const float* w, const float* b, int64_t B, int64_t L, int64_t d, float* out,
                     float* p, float* c, float* e);

  // With t_l = dL/da_{l+1}, g = dL/dx_L and T_l the sum of t_l over the batch:
  //   t_{L-1} = g . x_0,  t_{l-1} = t_l (1 + p_l),
  //   grad_x0 = a_L g + sum_l t_l a_l w_l,
  //   grad_w_l = sum_b t_l a_l x_0 + T_l c_l,
  //   grad_b_l = sum_b g + sum_{k > l} T_k w_k.
  //   g, x0 [B, d], w, b [L, d], p [B, L], e [L] in; grad_x0 [B, d], grad_w, grad_b [L, d] out;
  //   scratch [cross_blocks(B), cross_scratch(L, d)], c [d].
  void (*backward)(const float* g, const float* x0, const float* w, const float* b, const float* p, const float* e,
                      int64_t B, int64_t L, int64_t d, float* grad_x0, float* grad_w, float* grad_b, float* scratch,
                      float* c);
};

CW_VECTOR_FAMILY(CrossKernels, cross)

}  // namespace clickwise
