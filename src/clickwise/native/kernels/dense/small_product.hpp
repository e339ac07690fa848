// Products of small fp32 matrices that stay in the nearest cache as they lie: nothing is packed.
#pragma once
#include "dense/micro_vector.hpp"

namespace clickwise::CW_ISA {

// Where element (i, k) of A is: at i * lda + k, or with A across at k * lda + i.
enum class Lies { along, across };

// c[rows, vectors * kLanes] = A B, or += it, with the sums in registers while k is walked.
template <Lies a, bool add, int rows, int vectors>
__attribute__((noinline)) void small_tile(const float* A, int64_t lda, const float* B, int64_t ldb, int64_t K, float* c,
                                          int64_t ldc) {
  Floats sums[rows][vectors];
  CW_UNROLL
  for (int i = 0; i < rows; i++) {
    CW_UNROLL
    for (int j = 0; j < vectors; j++) sums[i][j] = add ? load(c + i * ldc + j * kLanes) : Floats{};
  }
  for (int64_t k = 0; k < K; k++) {
    Floats b[vectors];
    CW_UNROLL
    for (int j = 0; j < vectors; j++) b[j] = load(B + j * kLanes);
    CW_UNROLL
    for (int i = 0; i < rows; i++) {
      const Floats x = all(a == Lies::along ? A[i * lda] : A[i]);
      CW_UNROLL
      for (int j = 0; j < vectors; j++) sums[i][j] += x * b[j];
    }
    A += a == Lies::along ? 1 : lda;
    B += ldb;
  }
  CW_UNROLL
  for (int i = 0; i < rows; i++) {
    CW_UNROLL
    for (int j = 0; j < vectors; j++) store(c + i * ldc + j * kLanes, sums[i][j]);
  }
}

// small_tile of `rows` <= most.
template <Lies a, bool add, int vectors, int most = kVectorRows>
CW_INLINE void small_tiles(int64_t rows, const float* A, int64_t lda, const float* B, int64_t ldb, int64_t K, float* c,
                           int64_t ldc) {
  if (rows == most)
    small_tile<a, add, most, vectors>(A, lda, B, ldb, K, c, ldc);
  else if constexpr (most > 1)
    small_tiles<a, add, vectors, most - 1>(rows, A, lda, B, ldb, K, c, ldc);
}

// C = A B, or += it: A [M, K], B [K, N] and C [M, N] with rows of ldb and ldc; N is a multiple of kLanes. Rows are divided
// evenly: in a small tile, sums would wait for each other.
template <Lies a, bool add = false>
CW_INLINE void small_product(const float* A, int64_t lda, const float* B, int64_t ldb, int64_t M, int64_t N, int64_t K,
                             float* c, int64_t ldc) {
  const int64_t blocks = pieces(M, kVectorRows);
  for (int64_t n = 0; n < N; n += 2 * kLanes) {
    for (int64_t block = 0; block < blocks; block++) {
      const int64_t m = M * block / blocks, rows = M * (block + 1) / blocks - m;
      const float* at = A + (a == Lies::along ? m * lda : m);
      if (N - n > kLanes)
        small_tiles<a, add, 2>(rows, at, lda, B + n, ldb, K, c + m * ldc + n, ldc);
      else
        small_tiles<a, add, 1>(rows, at, lda, B + n, ldb, K, c + m * ldc + n, ldc);
    }
  }
}

}  // namespace clickwise::CW_ISA
