// The exponential of a vector. Only for files compiled once for each instruction set.
#pragma once
#include "machine/vector.hpp"

namespace clickwise::CW_ISA {

// e^x for x <= 88, to within 2 units of the last place; below -87 it is e^-87, and NaN stays NaN.
//
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7, whose rest is below 1e-8, and 2^n by the
// bits of its exponent. ln 2 is subtracted in two parts, of which the first has so few bits that n times it is exact.
CW_INLINE Floats exponential(Floats x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  x = x < -87.0f ? all(-87.0f) : x;
  const Floats shifted = x * 1.44269504f + kRound, n = shifted - kRound;
  const Floats r = x - n * 0.693359375f + n * 2.12194440e-4f;
  Floats power = r * (1.0f / 5040) + 1.0f / 720;
  power = power * r + 1.0f / 120;
  power = power * r + 1.0f / 24;
  power = power * r + 1.0f / 6;
  power = power * r + 0.5f;
  power = power * r + 1.0f;
  power = power * r + 1.0f;
  const Words exponent = (reinterpret_cast<Words>(shifted) << 23) + (127u << 23);  // the low bits of `shifted` are n
  return power * reinterpret_cast<Floats>(exponent);
}

}  // namespace clickwise::CW_ISA
