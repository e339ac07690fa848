// The AMX instructions that `micro_amx.hpp` uses, in plain C++ as Intel's manual defines them (palette 1 only), so that
// the code around them is tested on every machine.
#pragma once
#include "dense/layout.hpp"

namespace clickwise::CW_ISA::emulated {

struct Tile {
  alignas(64) uint8_t row[16][64];
};

struct TileState {
  uint8_t palette = 0;
  uint16_t columns_bytes[8];
  uint8_t rows[8];
  Tile tile[8];
};

inline thread_local TileState state;

// A processor faults where this traps: tiles used before `ldtilecfg`, after `tilerelease`, or of unlike shapes.
CW_INLINE void must(bool holds) {
  if (!holds) __builtin_trap();
}

inline void load_config(const void* config) {
  const auto* from = static_cast<const uint8_t*>(config);
  must(from[0] == 1);
  state.palette = 1;
  for (int t = 0; t < 8; t++) {
    std::memcpy(&state.columns_bytes[t], from + 16 + 2 * t, 2);
    state.rows[t] = from[48 + t];
    must(state.columns_bytes[t] <= 64 && state.rows[t] <= 16);
    std::memset(state.tile[t].row, 0, sizeof(Tile));
  }
}

inline void release() { state.palette = 0; }

inline void zero(int t) {
  must(state.palette == 1);
  std::memset(state.tile[t].row, 0, sizeof(Tile));
}

inline void load_tile(int t, const void* from, int64_t stride) {
  zero(t);
  for (int i = 0; i < state.rows[t]; i++)
    std::memcpy(state.tile[t].row[i], static_cast<const uint8_t*>(from) + i * stride, state.columns_bytes[t]);
}

inline void store_tile(int t, void* to, int64_t stride) {
  must(state.palette == 1);
  for (int i = 0; i < state.rows[t]; i++)
    std::memcpy(static_cast<uint8_t*>(to) + i * stride, state.tile[t].row[i], state.columns_bytes[t]);
}

// c[m][n] += sum_k a[m][2k] b[k][2n] + sum_k a[m][2k + 1] b[k][2n + 1]
inline void multiply(int c, int a, int b) {
  must(state.palette == 1 && state.rows[c] == state.rows[a] && state.columns_bytes[c] == state.columns_bytes[b] &&
       state.rows[b] == state.columns_bytes[a] / 4);
  for (int m = 0; m < state.rows[c]; m++) {
    bf16 left[32];
    float sums[16];
    std::memcpy(left, state.tile[a].row[m], 64);
    std::memcpy(sums, state.tile[c].row[m], 64);
    float even[16] = {}, odd[16] = {};
    for (int k = 0; k < state.rows[b]; k++) {
      bf16 right[32];
      std::memcpy(right, state.tile[b].row[k], 64);
      for (int n = 0; n < 16; n++) {
        even[n] += to_float(left[2 * k]) * to_float(right[2 * n]);
        odd[n] += to_float(left[2 * k + 1]) * to_float(right[2 * n + 1]);
      }
    }
    for (int n = 0; n < state.columns_bytes[c] / 4; n++) sums[n] += even[n] + odd[n];
    std::memcpy(state.tile[c].row[m], sums, 64);
  }
}

}  // namespace clickwise::CW_ISA::emulated

#define _tile_loadconfig(config) emulated::load_config(config)
#define _tile_release() emulated::release()
#define _tile_zero(t) emulated::zero(t)
#define _tile_loadd(t, from, stride) emulated::load_tile(t, from, stride)
#define _tile_stored(t, to, stride) emulated::store_tile(t, to, stride)
#define _tile_dpbf16ps(c, a, b) emulated::multiply(c, a, b)
