#include "distinct.hpp"

#include <cstdlib>

#include "machine/pool.hpp"
#include "machine/vector.hpp"

namespace clickwise::CW_ISA {
namespace {

constexpr uint32_t kFibonacci = 2654435769u;  // 2^32 / golden ratio: neighbouring rows go far apart

struct Entry {
  int32_t row;  // 0: empty, for padding has no entry
  int32_t position;
};

// Positions 1, 2, ... of the rows in slots [first, last), in the order in which they are seen; returns how many, or -1.
int64_t number(const int32_t* sparse, int64_t B, int64_t S, int64_t first, int64_t last, int32_t* rows,
               int32_t* inverse) {
  int bits = 1;
  while ((int64_t(1) << bits) < 2 * (last - first) * B) bits++;
  const uint32_t mask = uint32_t((uint64_t(1) << bits) - 1);
  auto* entries = static_cast<Entry*>(std::calloc(size_t(mask) + 1, sizeof(Entry)));
  if (!entries) return -1;
  int32_t count = 0;
  for (int64_t s = first; s < last; s++) {
    for (int64_t b = 0; b < B; b++) {
      const int32_t row = sparse[b * S + s];
      int32_t position = 0;
      if (row != 0) {
        uint32_t at = (uint32_t(row) * kFibonacci) >> (32 - bits);
        while (entries[at].row != row && entries[at].row != 0) at = (at + 1) & mask;
        if (entries[at].row == 0) {
          rows[count++] = row;
          entries[at] = {row, count};
        }
        position = entries[at].position;
      }
      inverse[s * B + b] = position;
    }
  }
  std::free(entries);
  return count;
}

int64_t find(const int32_t* sparse, int64_t B, int64_t S, const int32_t* groups, int64_t G, int32_t* rows,
             int32_t* starts, int32_t* inverse) {
  // Each group first writes where its rows would be if all slots were distinct, and its count to starts[g + 1].
  parallel_for(G, [=](int64_t g) {
    starts[g + 1] = int32_t(number(sparse, B, S, groups[g], groups[g + 1], rows + 1 + groups[g] * B, inverse));
  });
  rows[0] = 0;
  starts[0] = 1;
  for (int64_t g = 0; g < G; g++) {
    const int32_t count = starts[g + 1];
    if (count < 0) return -1;
    std::memmove(rows + starts[g], rows + 1 + groups[g] * B, size_t(count) * sizeof(int32_t));
    starts[g + 1] = starts[g] + count;
  }
  parallel_for(G, [=](int64_t g) {
    const int32_t before = starts[g] - 1;
    int32_t* to = inverse + groups[g] * B;
    const int64_t count = (groups[g + 1] - groups[g]) * B;
    for (int64_t i = 0; i < count; i++) to[i] += to[i] != 0 ? before : 0;
  });
  return starts[G];
}

}  // namespace

extern const DistinctKernels distinct;
const DistinctKernels distinct{find};

}  // namespace clickwise::CW_ISA
