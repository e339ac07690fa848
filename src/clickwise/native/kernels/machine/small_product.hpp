// Products of matrices so small that they stay in the nearest cache as they lie: nothing is packed.
#pragma once
#include "machine/vector.hpp"

namespace clickwise::CW_ISA {

// An operand whose element (i, k) is at i * row + k * column.
struct Matrix {
  const float* at;
  int64_t row, column;
};

// C[i, j] = sum_k A[i, k] B[k, j], or += it, for `rows` rows and `vectors` vectors of columns.
template <int rows, int vectors, bool add>
CW_INLINE void small_tile(Matrix a, const float* b, int64_t b_row, int64_t K, float* c, int64_t c_row) {
  Floats total[rows][vectors] = {};
  for (int i = 0; add && i < rows; i++)
    for (int j = 0; j < vectors; j++) total[i][j] = load(c + i * c_row + j * kLanes);
  for (int64_t k = 0; k < K; k++) {
    Floats v[vectors];
    for (int j = 0; j < vectors; j++) v[j] = load(b + k * b_row + j * kLanes);
    for (int i = 0; i < rows; i++) {
      const float x = a.at[i * a.row + k * a.column];
      for (int j = 0; j < vectors; j++) total[i][j] += x * v[j];
    }
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++) store(c + i * c_row + j * kLanes, total[i][j]);
}

template <int rows, int vectors, bool add>
CW_INLINE int64_t small_tiles(Matrix a, const float* b, int64_t from, int64_t M, int64_t N, int64_t K, float* c) {
  for (; from + rows <= M; from += rows)
    small_tile<rows, vectors, add>({a.at + from * a.row, a.row, a.column}, b, N, K, c + from * N, N);
  return from;
}

// C = A B, or C += A B: A [M, K], B [K, N], C [M, N]; N is a multiple of kLanes.
template <bool add = false>
void small_product(Matrix a, const float* b, int64_t M, int64_t N, int64_t K, float* c) {
  int64_t j = 0;
  for (; j + 2 * kLanes <= N; j += 2 * kLanes)
    small_tiles<1, 2, add>(a, b + j, small_tiles<4, 2, add>(a, b + j, 0, M, N, K, c + j), M, N, K, c + j);
  if (j < N) small_tiles<1, 1, add>(a, b + j, small_tiles<8, 1, add>(a, b + j, 0, M, N, K, c + j), M, N, K, c + j);
}

}  // namespace clickwise::CW_ISA
