#include "columns.hpp"

#include <cstring>

#include "machine/vector.hpp"

namespace clickwise::CW_ISA {
namespace {

// XXH64, as published: "xxHash fast digest algorithm", github.com/Cyan4973/xxHash.
constexpr uint64_t kP1 = 0x9E3779B185EBCA87, kP2 = 0xC2B2AE3D27D4EB4F, kP3 = 0x165667B19E3779F9;
constexpr uint64_t kP4 = 0x85EBCA77C2B2AE63, kP5 = 0x27D4EB2F165667C5;

template <class T>
CW_INLINE T read(const void* from) {
  T x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

CW_INLINE uint64_t rotate(uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }

CW_INLINE uint64_t mixed(uint64_t lane, uint64_t word) { return rotate(lane + word * kP2, 31) * kP1; }

CW_INLINE uint64_t xxh64(const uint8_t* p, int64_t length, uint64_t seed) {
  const uint8_t* const end = p + length;
  uint64_t h = seed + kP5;
  if (length >= 32) {
    uint64_t a = seed + kP1 + kP2, b = seed + kP2, c = seed, d = seed - kP1;
    for (; end - p >= 32; p += 32) {
      a = mixed(a, read<uint64_t>(p));
      b = mixed(b, read<uint64_t>(p + 8));
      c = mixed(c, read<uint64_t>(p + 16));
      d = mixed(d, read<uint64_t>(p + 24));
    }
    h = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
    h = (h ^ mixed(0, a)) * kP1 + kP4;
    h = (h ^ mixed(0, b)) * kP1 + kP4;
    h = (h ^ mixed(0, c)) * kP1 + kP4;
    h = (h ^ mixed(0, d)) * kP1 + kP4;
  }
  h += static_cast<uint64_t>(length);
  for (; end - p >= 8; p += 8) h = rotate(h ^ mixed(0, read<uint64_t>(p)), 27) * kP1 + kP4;
  if (end - p >= 4) {
    h = rotate(h ^ (read<uint32_t>(p) * kP1), 23) * kP2 + kP3;
    p += 4;
  }
  for (; p < end; p++) h = rotate(h ^ (*p * kP5), 11) * kP1;
  h = (h ^ (h >> 33)) * kP2;
  h = (h ^ (h >> 29)) * kP3;
  return h ^ (h >> 32);
}

// The cells of a column whose offsets are of type O.
template <class O>
struct Cells {
  const Text& text;

  CW_INLINE int64_t at(int64_t i) const { return read<O>(static_cast<const O*>(text.offsets) + i); }
  CW_INLINE bool present(int64_t i) const {
    const int64_t bit = text.skip + i;
    return !text.validity || (text.validity[bit >> 3] >> (bit & 7) & 1);
  }
  CW_INLINE const uint8_t* begin(int64_t i) const { return text.bytes + at(i); }
  CW_INLINE int64_t length(int64_t i) const { return (at(i + 1) - at(i)) & -static_cast<int64_t>(present(i)); }
};

// f(cells) for the type that the offsets have.
template <class F>
CW_INLINE auto with_cells(const Text& text, F&& f) {
  return text.wide ? f(Cells<int64_t>{text}) : f(Cells<int32_t>{text});
}

Survey survey(const Text& text) {
  return with_cells(text, [&](const auto& cells) {
    Survey found{0, true};
    if (!text.n) return found;
    for (int64_t i = 0; i < text.n; i++) {
      const int64_t length = cells.length(i);
      found.longest = length > found.longest ? length : found.longest;
    }
    uint8_t all_bytes = 0;
    for (int64_t i = cells.at(0), end = cells.at(text.n); i < end; i++) all_bytes |= text.bytes[i];
    found.ascii = all_bytes < 0x80;
    return found;
  });
}

void hash(const Text& text, uint64_t seed, uint64_t* out) {
  with_cells(text, [&](const auto& cells) {
    for (int64_t i = 0; i < text.n; i++) out[i] = xxh64(cells.begin(i), cells.length(i), seed);
  });
}

constexpr int64_t kAhead = 64;  // look-ups under way at once, so that memory is waited for together

CW_INLINE int32_t look_up(const Index& index, uint64_t wanted, int64_t low, int64_t high, int32_t otherwise) {
  while (high - low > 8) {  // many only where the hashes are not as a hash function leaves them
    const int64_t middle = (low + high) / 2;
    if (index.hashes[middle] <= wanted)
      low = middle;
    else
      high = middle;
  }
  for (; low < high; low++)
    if (index.hashes[low] == wanted) return index.ids[low];
  return otherwise;
}

void find(const Text& text, const Index& index, int32_t otherwise, int32_t missing, int32_t* out) {
  const int shift = 64 - index.bits;
  with_cells(text, [&](const auto& cells) {
    uint64_t wanted[kAhead];
    int64_t low[kAhead], high[kAhead];
    for (int64_t start = 0; start < text.n; start += kAhead) {
      const int64_t count = text.n - start < kAhead ? text.n - start : kAhead;
      for (int64_t i = 0; i < count; i++) {
        wanted[i] = xxh64(cells.begin(start + i), cells.length(start + i), index.seed);
        prefetch(index.first + (wanted[i] >> shift));
      }
      for (int64_t i = 0; i < count; i++) {
        const int32_t* first = index.first + (wanted[i] >> shift);
        low[i] = first[0];
        high[i] = first[1];
        if (low[i] < high[i]) {
          prefetch(index.hashes + low[i]);
          prefetch(index.ids + low[i]);
        }
      }
      for (int64_t i = 0; i < count; i++) {
        const int32_t id = look_up(index, wanted[i], low[i], high[i], otherwise);
        out[start + i] = cells.length(start + i) ? id : missing;
      }
    }
  });
}

void bucket(const Text& text, uint64_t seed, uint64_t buckets, int32_t first, int32_t missing, int32_t* out) {
  with_cells(text, [&](const auto& cells) {
    for (int64_t i = 0; i < text.n; i++) {
      const int64_t length = cells.length(i);
      out[i] = length ? first + static_cast<int32_t>(xxh64(cells.begin(i), length, seed) % buckets) : missing;
    }
  });
}

constexpr double kTens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
constexpr int kDigits = 15;  // a number of so many digits, and its power of ten, are exact: one division rounds once

// Whether the cell is a plain decimal number; gives it in `value`.
CW_INLINE bool number(const uint8_t* p, int64_t length, double& value) {
  const uint8_t* const end = p + length;
  const bool minus = *p == '-';
  p += minus;
  if (end - p > kDigits + 1) return false;
  uint64_t digits = 0;
  const uint8_t* const whole = p;
  for (; p < end && static_cast<uint8_t>(*p - '0') < 10; p++) digits = digits * 10 + (*p - '0');
  int64_t count = p - whole;
  int64_t after = 0;
  if (p == whole) return false;
  if (p < end && *p == '.') {
    const uint8_t* const part = ++p;
    for (; p < end && static_cast<uint8_t>(*p - '0') < 10; p++) digits = digits * 10 + (*p - '0');
    after = p - part;
    count += after;
    if (!after) return false;
  }
  if (p != end || count > kDigits) return false;
  value = static_cast<double>(digits) / kTens[after];
  value = minus ? -value : value;
  return true;
}

constexpr uint64_t kZeros[] = {0x3030303030303030, 0x30303030303030, 0x303030303030, 0x3030303030, 0x30303030, 0x303030,
                               0x3030, 0x30, 0};  // the digits 0 that make l digits 8

// A whole number of up to 8 digits, 0 for none; whether it is one. 8 bytes can be read from `p` on. There is no branch on
// how many they are, which could not be foretold. Digits are added in pairs, then pairs of these, then these two.
CW_INLINE bool short_number(const uint8_t* p, int64_t length, double& value) {
  const uint64_t some = length ? ~uint64_t{0} : 0;
  const uint64_t word = (read<uint64_t>(p) << ((64 - 8 * length) & 63) & some) | kZeros[length];
  uint64_t sum = (word & 0x0f0f0f0f0f0f0f0f) * 2561 >> 8;
  sum = (sum & 0x00ff00ff00ff00ff) * 6553601 >> 16;
  sum = (sum & 0x0000ffff0000ffff) * 42949672960001 >> 32;
  value = static_cast<double>(sum);
  const uint64_t high = 0xf0f0f0f0f0f0f0f0;
  return ((word & high) | ((word + 0x0606060606060606) & high) >> 4) == 0x3333333333333333;
}

int64_t numbers(const Text& text, double* value, uint8_t* present) {
  return with_cells(text, [&](const auto& cells) {
    int64_t missing = 0;
    for (int64_t first = 0; first < text.n; first += 8) {
      const int64_t end = first + 8 < text.n ? first + 8 : text.n;
      uint32_t there = 0;
      for (int64_t i = first; i < end; i++) {
        const int64_t length = cells.length(i);
        const bool readable = length <= 8 && cells.at(i) + 8 <= text.size;
        if (!readable || !short_number(cells.begin(i), length, value[i])) {
          value[i] = 0;
          if (length && !number(cells.begin(i), length, value[i])) return static_cast<int64_t>(-1);
        }
        there |= static_cast<uint32_t>(length > 0) << (i - first);
      }
      present[first >> 3] = static_cast<uint8_t>(there);
      missing += end - first - __builtin_popcount(there);
    }
    return missing;
  });
}

void place(const double* x, int64_t n, const double* cuts, int64_t C, int32_t first, int32_t missing, int32_t* out) {
  for (int64_t i = 0; i < n; i++) {
    const double* from = cuts;
    for (int64_t left = C; left > 0;) {  // the answer is among `left + 1` places from `from` on
      const int64_t half = (left + 1) / 2;
      from += half & -static_cast<int64_t>(from[half - 1] <= x[i]);  // no branch: it could not be foretold
      left -= half;
    }
    out[i] = x[i] == x[i] ? first + static_cast<int32_t>(from - cuts) : missing;
  }
}

CW_INLINE uint64_t splitmix64(uint64_t x) {
  uint64_t z = x + 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

int64_t sample(const double* x, int64_t n, uint64_t seen, uint64_t seed, uint64_t limit, uint64_t* hashes,
               double* values, int64_t* counted) {
  int64_t kept = 0;
  uint64_t position = seen;
  for (int64_t i = 0; i < n; i++) {
    const bool there = x[i] == x[i];
    const uint64_t h = splitmix64(position ^ seed);
    hashes[kept] = h;  // overwritten by the next when it is not kept
    values[kept] = x[i];
    kept += there & (h <= limit);
    position += there;
  }
  *counted = static_cast<int64_t>(position - seen);
  return kept;
}

}  // namespace

extern const ColumnKernels columns;
const ColumnKernels columns{survey, hash, find, bucket, numbers, place, sample};

}  // namespace clickwise::CW_ISA
