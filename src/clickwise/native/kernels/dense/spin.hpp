// Multiply-adds that never leave the registers: what a core could do at most, for benchmarks to compare with.
#pragma once
#include "dense/product.hpp"

namespace clickwise::CW_ISA {

CW_INLINE int64_t spin_floats(int64_t steps) {
  constexpr int kChains = kLanes == 16 ? 24 : 12;
  volatile float seed = 1;
  const Floats a = all(seed), b = a * 1e-9f;
  Floats sums[kChains];
  for (int i = 0; i < kChains; i++) sums[i] = b * static_cast<float>(i);  // unlike, lest they be made one
  for (int64_t step = 0; step < steps; step++) {
    CW_UNROLL
    for (int i = 0; i < kChains; i++) sums[i] = sums[i] * a + b;
  }
  for (const Floats& s : sums) seed = s[0];
  return steps * kChains * kLanes * 2;
}

#if defined(CW_TILES)
CW_INLINE int64_t spin_halves(int64_t steps) {
  const Tiles tiles;
  for (int64_t step = 0; step < steps; step++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return steps * 4 * 16 * 16 * 32 * 2;
}
#elif defined(__AVX512BF16__)
CW_INLINE int64_t spin_halves(int64_t steps) {
  constexpr int kChains = 24;
  volatile int seed = 0;
  const Operand<bf16> a{reinterpret_cast<__m512bh>(_mm512_set1_epi32(seed))};
  Floats sums[kChains];
  for (int i = 0; i < kChains; i++) sums[i] = all(static_cast<float>(i) * 1e-9f);
  for (int64_t step = 0; step < steps; step++) {
    CW_UNROLL
    for (int i = 0; i < kChains; i++) a.times(a, sums[i]);
  }
  for (const Floats& s : sums) seed = static_cast<int>(s[0]);
  return steps * kChains * kLanes * 4;
}
#else
CW_INLINE int64_t spin_halves(int64_t steps) { return spin_floats(steps); }
#endif

}  // namespace clickwise::CW_ISA
