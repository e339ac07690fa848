// Vectors of CW_LANES floats, in the registers of the instruction set that this file is compiled for.
//
// Only files compiled once for each instruction set may include it. Everything lives in the namespace CW_ISA, and such
// files call no inline function of the standard library: the linker keeps one copy of those, and it might be one that
// the processor at hand cannot run.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#define CW_INLINE inline __attribute__((always_inline))

namespace clickwise::CW_ISA {

constexpr int kLanes = CW_LANES;

typedef float Floats __attribute__((vector_size(4 * CW_LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * CW_LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * CW_LANES)));

CW_INLINE Floats load(const float* from) {
  Floats v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

CW_INLINE void store(float* to, Floats v) { std::memcpy(to, &v, sizeof v); }

CW_INLINE Floats all(float x) { return x - Floats{}; }  // x + 0 would turn -0 into 0, and so cost an addition

CW_INLINE float sum(Floats v) {
  float total = 0;
  for (int i = 0; i < kLanes; i++) total += v[i];
  return total;
}

CW_INLINE void prefetch(const void* at) { __builtin_prefetch(at, 0, 3); }

// bf16: the upper 16 bits of a float. Rounded to nearest, ties to even; NaN stays NaN.
typedef uint16_t bf16;

CW_INLINE float to_float(bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float y;
  std::memcpy(&y, &bits, 4);
  return y;
}

CW_INLINE bf16 to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  if (x != x) return static_cast<bf16>((bits >> 16) | 0x40);
  return static_cast<bf16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

CW_INLINE Floats load(const bf16* from) {
  Halves h;
  std::memcpy(&h, from, sizeof h);
  return reinterpret_cast<Floats>(__builtin_convertvector(h, Words) << 16);
}

CW_INLINE void store(bf16* to, Floats v) {
#if defined(__AVX512BF16__)
  const __m256bh h = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(v));
  std::memcpy(to, &h, sizeof h);
#else
  const Words bits = reinterpret_cast<Words>(v);
  const Words nan = reinterpret_cast<Words>(v != v);
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Halves h = __builtin_convertvector((rounded & ~nan) | (((bits >> 16) | 0x40) & nan), Halves);
  std::memcpy(to, &h, sizeof h);
#endif
}

}  // namespace clickwise::CW_ISA
