// c[32, 32] = A B for bf16 in AMX tiles: two tiles of A's rows by two of B's columns, 16 x 16 sums in each.
#pragma once
#include "dense/layout.hpp"
#if defined(__AMX_BF16__)
#include <immintrin.h>
#else
#include "dense/tiles_emulated.hpp"
#endif

namespace clickwise::CW_ISA {

// The compiler does not know that tile instructions read and write memory; this keeps them in their place.
CW_INLINE void memory_fence() { asm volatile("" ::: "memory"); }

// The tile registers of this thread, all eight as 16 rows of 64 bytes, while it lives. A task has one of its own: in its
// initial state the register file costs nothing when the system switches threads.
class Tiles {
 public:
  Tiles() {
    struct alignas(64) Config {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t columns_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static_assert(sizeof(Config) == 64);
    const Config config;
    asm volatile("" : : "r"(&config) : "memory");  // all of it is read, not only the word that the intrinsic names
    _tile_loadconfig(&config);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

// As `vector_tile`, but A has 32 rows always and K is a multiple of 32. `both`: two panels, or one.
template <bool both>
__attribute__((noinline)) void amx_tile(const bf16* A, int64_t lda, const bf16* B, int64_t panel, int64_t K, float* c) {
  const int64_t bytes = lda * 2;
  const bf16* lower = A + 16 * lda;
  memory_fence();
  _tile_zero(0);
  _tile_zero(2);
  if constexpr (both) {
    _tile_zero(1);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < K; k += 32) {
    _tile_loadd(4, A + k, bytes);
    _tile_loadd(6, B + k * kPanel, 64);
    if constexpr (both) _tile_loadd(7, B + panel + k * kPanel, 64);
    _tile_loadd(5, lower + k, bytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (both) _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    if constexpr (both) _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, 128);
  _tile_stored(2, c + 16 * 32, 128);
  if constexpr (both) {
    _tile_stored(1, c + 16, 128);
    _tile_stored(3, c + 16 * 32 + 16, 128);
  }
  memory_fence();
}

}  // namespace clickwise::CW_ISA
