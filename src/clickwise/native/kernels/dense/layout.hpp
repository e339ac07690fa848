// Layouts of the operands of a product C[M, N] = A[M, K] B[K, N].
//
// An element is a float or a bf16. kPair<E> of them fill 32 bits: the unit in which k is walked.
//
// - rows (A, activations, gradients): row-major, `stride<E>(K)` elements from row to row, zeros from K up to the next
//   multiple of 32. Memory goes on for as many rows as make a multiple of 32; what those hold never matters.
// - panels (B): [N / 16][K / kPair][16][kPair], that is, 16 columns side by side and k in pairs: what a multiplication
//   of bf16 pairs and an AMX tile read. K is a multiple of 32 and N of 16, both filled with zeros.
#pragma once
#include "machine/vector.hpp"

#define CW_UNROLL _Pragma("GCC unroll 32")

namespace clickwise::CW_ISA {

template <class E>
constexpr int kPair = 4 / sizeof(E);

constexpr int64_t kPanel = 16;  // columns of a panel

CW_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
CW_INLINE int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }
CW_INLINE int64_t padded(int64_t n, int64_t multiple = 32) { return pieces(n, multiple) * multiple; }

// Rows whose distance is a multiple of 1 KB share a few sets of the L1 cache; one more line keeps them apart.
template <class E>
CW_INLINE int64_t stride(int64_t K) {
  const int64_t width = padded(K);
  return width * sizeof(E) % 1024 == 0 ? width + 64 / sizeof(E) : width;
}

// Elements of K x N in panels, and from one panel to the next.
CW_INLINE int64_t panel_size(int64_t K) { return padded(K) * kPanel; }
CW_INLINE int64_t panels_size(int64_t K, int64_t N) { return pieces(N, kPanel) * panel_size(K); }

// The first `count` lanes; memory behind them is not touched.
CW_INLINE Floats load_first(const float* from, int64_t count) {
  if (count >= kLanes) return load(from);
  Floats v{};
  for (int64_t i = 0; i < count; i++) v[i] = from[i];
  return v;
}

CW_INLINE void store_first(float* to, Floats v, int64_t count) {
  if (count >= kLanes) {
    store(to, v);
    return;
  }
  for (int64_t i = 0; i < count; i++) to[i] = v[i];
}

CW_INLINE void put(float* to, float x) { *to = x; }
CW_INLINE void put(bf16* to, float x) { *to = to_bf16(x); }

// Rows of bf16 are always padded: a whole vector fits.
CW_INLINE Floats load_first(const bf16* from, int64_t) { return load(from); }
CW_INLINE void store_first(bf16* to, Floats v, int64_t) { store(to, v); }

}  // namespace clickwise::CW_ISA
