// The D columns of a row, in pieces as wide as registers are. Only for files compiled once for each instruction set.
#pragma once
#include "vector.hpp"

namespace clickwise::CW_ISA {

template <int W>
struct Lanes {
  typedef float type __attribute__((vector_size(4 * W)));
};
template <>
struct Lanes<1> {
  typedef float type;
};

template <int W>
CW_INLINE typename Lanes<W>::type load_lanes(const float* from) {
  typename Lanes<W>::type v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <int W>
CW_INLINE void store_lanes(float* to, typename Lanes<W>::type v) {
  std::memcpy(to, &v, sizeof v);
}

// piece.template operator()<W>(d) for pieces [d, d + W) that together are the columns [0, D).
template <class Piece>
CW_INLINE void columns(int64_t D, Piece piece) {
  int64_t d = 0;
  for (; d + kLanes <= D; d += kLanes) piece.template operator()<kLanes>(d);
  if constexpr (kLanes > 8)
    if (d + 8 <= D) piece.template operator()<8>(d), d += 8;
  if constexpr (kLanes > 4)
    if (d + 4 <= D) piece.template operator()<4>(d), d += 4;
  for (; d < D; d++) piece.template operator()<1>(d);
}

// body.template operator()<kDim>() with kDim = D for the usual widths, so that the compiler sees them; 0 for others.
template <class Body>
CW_INLINE void with_width(int64_t D, Body body) {
  switch (D) {
    case 1: return body.template operator()<1>();
    case 8: return body.template operator()<8>();
    case 16: return body.template operator()<16>();
    case 32: return body.template operator()<32>();
    case 64: return body.template operator()<64>();
    default: return body.template operator()<0>();
  }
}

// Asks for a row of D floats, all its cache lines.
CW_INLINE void prefetch_row(const float* row, int64_t D) {
  for (int64_t d = 0; d < D; d += 16) prefetch(row + d);
  if (D > 1) prefetch(row + D - 1);
}

}  // namespace clickwise::CW_ISA
