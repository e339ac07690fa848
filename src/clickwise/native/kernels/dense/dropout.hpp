// Which activations dropout keeps: a hash of seed, layer, row of the batch and column, so that neither threads nor slabs
// nor instruction sets matter, and the same seed gives the same choice.
//
//   key  = upper half of splitmix64(seed + row * 64 + layer)
//   h    = fmix32(key ^ column * 0x9e3779b1)              (fmix32: the finaliser of MurmurHash3)
//   keep = (h >> 8) >= p * 2^24;  what is kept is multiplied by 1 / (1 - p)
#pragma once
#include "dense/layout.hpp"

namespace clickwise::CW_ISA {

constexpr int kMostLayers = 64;

struct Dropout {
  uint64_t seed;
  uint32_t threshold;  // 0: everything is kept
  float scale;

  Dropout(float p, uint64_t seed, int64_t layer)
      : seed(seed + static_cast<uint64_t>(layer)), threshold(static_cast<uint32_t>(p * 16777216.0f)), scale(1 / (1 - p)) {}

  CW_INLINE bool on() const { return threshold != 0; }

  CW_INLINE uint32_t key(int64_t row) const {
    uint64_t z = seed + static_cast<uint64_t>(row) * kMostLayers + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<uint32_t>((z ^ (z >> 31)) >> 32);
  }

  CW_INLINE Floats apply(Floats v, uint32_t key, int64_t column) const {
    Words h;
    CW_UNROLL
    for (int i = 0; i < kLanes; i++) h[i] = static_cast<uint32_t>(i);
    h = (h + static_cast<uint32_t>(column)) * 0x9e3779b1u ^ key;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    h ^= h >> 16;
    return (h >> 8) >= threshold ? v * scale : Floats{};
  }
};

}  // namespace clickwise::CW_ISA
