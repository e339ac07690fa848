// A column of text in Arrow's layout.
#pragma once
#include <cstdint>

namespace clickwise {

struct Text {
  const uint8_t* bytes;     // [size] those of all cells
  int64_t size;             //
  const void* offsets;      // [n + 1] int32 or int64, anywhere in memory: cell i is bytes[offsets[i], offsets[i + 1])
  bool wide;                // offsets are int64
  const uint8_t* validity;  // bit `skip + i` is 1 where cell i is not null; nullptr: none is
  int64_t skip;
  int64_t n;
};

}  // namespace clickwise
