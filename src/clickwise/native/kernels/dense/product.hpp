// The one product: C[M, N] = A[M, K] B[K, N], tile by tile, each handed to a `sink` that knows what becomes of it.
#pragma once
#include "dense/micro_vector.hpp"
#if defined(CW_TILES)
#include "dense/micro_amx.hpp"
#endif

namespace clickwise::CW_ISA {

// What a tile of E is made of: its size, the step of K, and how it is computed.
template <class E>
struct Tile {
  static constexpr int64_t rows = kVectorRows, columns = kVectorColumns, step = kPair<E>;

  static CW_INLINE void multiply(int64_t M, int64_t N, const E* A, int64_t lda, const E* B, int64_t panel, int64_t K,
                                 float* c) {
    if constexpr (columns > kPanel) {
      if (N <= kPanel) return vector_tiles<E, 1>(M, A, lda, B, panel, K, c);
    }
    vector_tiles<E, 2>(M, A, lda, B, panel, K, c);
  }
};

#if defined(CW_TILES)
template <>
struct Tile<bf16> {
  static constexpr int64_t rows = 32, columns = 32, step = 32;

  static CW_INLINE void multiply(int64_t, int64_t N, const bf16* A, int64_t lda, const bf16* B, int64_t panel,
                                 int64_t K, float* c) {
    if (N > kPanel)
      amx_tile<true>(A, lda, B, panel, K, c);
    else
      amx_tile<false>(A, lda, B, panel, K, c);
  }
};
#else
struct Tiles {
  Tiles() {}  // there is nothing to set up
};
#endif

// A in rows, B in panels. sink(row, rows, column, columns, c): c[rows, Tile<E>::columns] is that part of C; `columns` is
// at most the tile's, a multiple of kLanes, and reaches to the end of N's last panel.
//
// Rows are divided evenly, so that no tile is so small that its sums wait for each other. The panels of a tile stay in
// the nearest cache while all rows pass by. A tile goes to its sink after the next one was computed: the sink's vector
// code then runs beside the end of that one's multiplications.
template <class E, class Sink>
CW_INLINE void product(const E* A, int64_t lda, int64_t M, const E* B, int64_t K, int64_t N, const Sink& sink) {
  using T = Tile<E>;
  alignas(64) float c[2][T::rows * T::columns];
  struct {
    int64_t row, rows, column, columns;
  } before{};
  const int64_t blocks = pieces(M, T::rows), depth = padded(K, T::step), width = padded(N, kPanel);
  const int64_t panel = panel_size(K);
  int turn = 0;
  for (int64_t n = 0; n < width; n += T::columns) {
    const E* panels = B + n / kPanel * panel + n % kPanel * kPair<E>;
    const int64_t columns = smaller(T::columns, width - n);
    for (int64_t block = 0; block < blocks; block++) {
      const int64_t m = M * block / blocks, rows = M * (block + 1) / blocks - m;
      T::multiply(rows, columns, A + m * lda, lda, panels, panel, depth, c[turn]);
      turn ^= 1;
      if (before.rows) sink(before.row, before.rows, before.column, before.columns, c[turn]);
      before = {m, rows, n, columns};
    }
  }
  if (before.rows) sink(before.row, before.rows, before.column, before.columns, c[turn ^ 1]);
}

}  // namespace clickwise::CW_ISA
