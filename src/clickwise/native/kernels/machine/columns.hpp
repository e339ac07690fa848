// A loop over the columns of a row that is written once for vectors and for the columns that do not fill one.
#pragma once
#include "machine/vector.hpp"

namespace clickwise::CW_ISA {

// f(V{}, j) for the columns [j, j + width of V) of N, in order: V is Floats, and float for the rest.
template <class F>
CW_INLINE void for_columns(int64_t N, F&& f) {
  int64_t j = 0;
  for (; j + kLanes <= N; j += kLanes) f(Floats{}, j);
  for (; j < N; j++) f(0.0f, j);
}

template <class V>
CW_INLINE V load_as(const float* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

CW_INLINE void store(float* to, float v) { *to = v; }

CW_INLINE void clear(float* to, int64_t N) { std::memset(to, 0, static_cast<size_t>(N) * sizeof(float)); }

// to[j] += a * from[j]
CW_INLINE void add_multiple(float a, const float* from, int64_t N, float* to) {
  for_columns(N, [=](auto v, int64_t j) { store(to + j, load_as<decltype(v)>(to + j) + a * load_as<decltype(v)>(from + j)); });
}

}  // namespace clickwise::CW_ISA
