// Raw columns to hashes, ids and numbers. Text is as Arrow lays it out; nothing here allocates or uses threads: callers
// work on several columns at once.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"
#include "machine/text.hpp"

namespace clickwise {

struct Survey {
  int64_t longest;  // bytes of the longest cell that is not null
  bool ascii;       // no byte from the first cell to the last has its upper bit set
};

// The sorted fingerprints of a vocabulary, and where those with the same first bits begin.
struct Index {
  const uint64_t* hashes;  // [V] rising
  const int32_t* ids;      // [V]
  const int32_t* first;    // [2^bits + 1]: how many hashes are below b << (64 - bits)
  int64_t V;
  int bits;  // 1 to 31
  uint64_t seed;
};

struct ColumnKernels {
  Survey (*survey)(const Text& text);

  // out[i] = XXH64(cell i, seed); a null counts as empty.  out [n]
  void (*hash)(const Text& text, uint64_t seed, uint64_t* out);

  // out[i] = the id of cell i; `missing` where it is null or empty, `otherwise` where the index does not have it.  [n]
  void (*find)(const Text& text, const Index& index, int32_t otherwise, int32_t missing, int32_t* out);

  // out[i] = first + XXH64(cell i, seed) mod buckets; `missing` where it is null or empty.  out [n]
  void (*bucket)(const Text& text, uint64_t seed, uint64_t buckets, int32_t first, int32_t missing, int32_t* out);

  // Decimal numbers -?digits[.digits], correctly rounded. value[i] is 0 and bit i of `present` 0 where a cell is null or
  // empty. Gives the number of those, or -1 on meeting a cell that is written otherwise or has more than 15 digits.
  //   value [n], present [(n + 7) / 8] out.
  int64_t (*numbers)(const Text& text, double* value, uint8_t* present);

  // out[i] = first + #{c : cuts[c] <= x[i]}; `missing` where x[i] is NaN.  cuts [C] rising, x [n] in; out [n].
  void (*place)(const double* x, int64_t n, const double* cuts, int64_t C, int32_t first, int32_t missing, int32_t* out);

  // Of the numbers of x that are not NaN, in order, those whose hash splitmix64((seen + position) ^ seed) <= limit.
  //   x [n] in; hashes [n], values [n] out. Gives how many were kept, and in *counted how many are not NaN.
  int64_t (*sample)(const double* x, int64_t n, uint64_t seen, uint64_t seed, uint64_t limit, uint64_t* hashes,
                    double* values, int64_t* counted);
};

CW_VECTOR_FAMILY(ColumnKernels, columns)

}  // namespace clickwise
