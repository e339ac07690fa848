// Which activations dropout keeps: a function of (seed, layer, row, column) and of nothing else, so that the backward
// pass asks again instead of reading a mask, and that no answer depends on threads or on the order of the work.
//
// 32-bit arithmetic throughout: the same answers in vectors of any width, one at a time, and on every machine.
#pragma once
#include "machine/vector.hpp"

namespace clickwise::CW_ISA {

// An activation is dropped when its hash is below share * 2^32; share is in [0, 1).
CW_INLINE uint32_t dropout_threshold(double share) { return static_cast<uint32_t>(share * 0x1p32); }

struct RowKey {
  uint32_t first, second;
};

// What the columns of one row share. The finaliser of SplitMix64 (Steele et al. 2014): rows with neighbouring numbers
// get keys that have nothing to do with each other.
CW_INLINE RowKey row_key(uint64_t seed, uint32_t layer, uint64_t row) {
  uint64_t x = seed + 0x9e3779b97f4a7c15u * (row + 1) + (static_cast<uint64_t>(layer) << 40);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  return {static_cast<uint32_t>(x), static_cast<uint32_t>(x >> 32)};
}

// The hash of a column: Integer is uint32_t or Words. "lowbias32" (Wellons 2018) with the second key in its middle.
template <class Integer>
CW_INLINE Integer dropout_hash(RowKey key, Integer column) {
  Integer x = column * 0x9e3779b9u + key.first;
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15) ^ key.second) * 0x846ca68bu;
  return x ^ (x >> 16);
}

// Whether an activation is kept; for a vector of columns all bits of those that are, as comparisons give them.
CW_INLINE bool keep(RowKey key, uint32_t column, uint32_t threshold) { return dropout_hash(key, column) >= threshold; }

CW_INLINE Words keep(RowKey key, Words columns, uint32_t threshold) {
  return reinterpret_cast<Words>(dropout_hash(key, columns) >= threshold);
}

// The columns [first, first + kLanes).
CW_INLINE Words columns_from(uint32_t first) {
  Words columns{};
  for (int i = 0; i < kLanes; i++) columns[i] = first + i;
  return columns;
}

}  // namespace clickwise::CW_ISA
