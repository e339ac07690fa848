// c[rows, columns] = A B for a tile that fits the vector registers: fp32, and bf16 on processors without AMX.
#pragma once
#include "dense/layout.hpp"

namespace clickwise::CW_ISA {

// A tile's sums stay in registers while k is walked: 28 of 32 with AVX-512, 12 of 16 with AVX2, 8 of 16 elsewhere.
constexpr int kVectorRows = kLanes == 16 ? 14 : kLanes == 8 ? 6 : 4;
constexpr int kVectorColumns = 2 * kLanes;

// Operand<E>: a word of k (one float or a pair of bf16) of kLanes columns, or of one row for all lanes.
template <class E>
struct Operand;

template <>
struct Operand<float> {
  Floats v;
  static CW_INLINE Operand columns(const float* from) { return {load(from)}; }
  static CW_INLINE Operand row(const float* from) { return {all(*from)}; }
  CW_INLINE void times(const Operand& b, Floats& sum) const { sum += v * b.v; }
};

#if defined(__AVX512BF16__)
template <>
struct Operand<bf16> {
  __m512bh v;
  static CW_INLINE Operand columns(const bf16* from) {
    Operand x;
    std::memcpy(&x.v, from, sizeof x.v);
    return x;
  }
  static CW_INLINE Operand row(const bf16* from) {
    int word;
    std::memcpy(&word, from, 4);
    return {reinterpret_cast<__m512bh>(_mm512_set1_epi32(word))};
  }
  CW_INLINE void times(const Operand& b, Floats& sum) const {
    sum = reinterpret_cast<Floats>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), v, b.v));
  }
};
#else
// A product of two bf16 is exact in fp32, so both halves of a pair go through the same fused multiply-add as floats.
template <>
struct Operand<bf16> {
  Floats even, odd;
  static CW_INLINE Operand halves(Words w) {
    return {reinterpret_cast<Floats>(w << 16), reinterpret_cast<Floats>(w & 0xffff0000u)};
  }
  static CW_INLINE Operand columns(const bf16* from) {
    Words w;
    std::memcpy(&w, from, sizeof w);
    return halves(w);
  }
  static CW_INLINE Operand row(const bf16* from) { return {all(to_float(from[0])), all(to_float(from[1]))}; }
  CW_INLINE void times(const Operand& b, Floats& sum) const {
    sum += even * b.even;
    sum += odd * b.odd;
  }
};
#endif

// A: rows of stride `lda`. B: the first of the panels the tile's columns lie in, at the tile's first column; the next
// panel is `panel` elements further. c: [rows, kVectorColumns], of which vectors * kLanes columns are written.
template <class E, int rows, int vectors>
__attribute__((noinline)) void vector_tile(const E* A, int64_t lda, const E* B, int64_t panel, int64_t K, float* c) {
  Floats sums[rows][vectors];
  CW_UNROLL
  for (int i = 0; i < rows; i++) {
    CW_UNROLL
    for (int j = 0; j < vectors; j++) sums[i][j] = Floats{};
  }
  for (int64_t k = 0; k < K; k += kPair<E>) {
    Operand<E> b[vectors];
    CW_UNROLL
    for (int j = 0; j < vectors; j++) {
      const int column = j * kLanes;
      b[j] = Operand<E>::columns(B + column / kPanel * panel + column % kPanel * kPair<E>);
    }
    CW_UNROLL
    for (int i = 0; i < rows; i++) {
      const Operand<E> a = Operand<E>::row(A + i * lda);
      CW_UNROLL
      for (int j = 0; j < vectors; j++) a.times(b[j], sums[i][j]);
    }
    A += kPair<E>;
    B += kPair<E> * kPanel;
  }
  CW_UNROLL
  for (int i = 0; i < rows; i++) {
    CW_UNROLL
    for (int j = 0; j < vectors; j++) store(c + i * kVectorColumns + j * kLanes, sums[i][j]);
  }
}

// vector_tile of `rows` <= most.
template <class E, int vectors, int most = kVectorRows>
CW_INLINE void vector_tiles(int64_t rows, const E* A, int64_t lda, const E* B, int64_t panel, int64_t K, float* c) {
  if (rows == most)
    vector_tile<E, most, vectors>(A, lda, B, panel, K, c);
  else if constexpr (most > 1)
    vector_tiles<E, vectors, most - 1>(rows, A, lda, B, panel, K, c);
}

}  // namespace clickwise::CW_ISA
