#include "lines.hpp"

#include <cstring>

#include "machine/vector.hpp"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace clickwise::CW_ISA {
namespace {

constexpr int64_t kStep = 64;  // bytes looked at together, and rows laid out together: one bit each

// Which of 64 bytes are one of the four.
struct Marks {
  uint8_t a, b, c, d;

#if defined(__AVX512BW__)
  CW_INLINE uint64_t in(const uint8_t* p) const {
    const __m512i x = _mm512_loadu_si512(p);
    const auto is = [x](uint8_t byte) { return _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8(static_cast<char>(byte))); };
    return is(a) | is(b) | is(c) | is(d);
  }
#elif defined(__AVX2__)
  CW_INLINE uint64_t half(const uint8_t* p) const {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const auto is = [x](uint8_t byte) { return _mm256_cmpeq_epi8(x, _mm256_set1_epi8(static_cast<char>(byte))); };
    const __m256i any = _mm256_or_si256(_mm256_or_si256(is(a), is(b)), _mm256_or_si256(is(c), is(d)));
    return static_cast<uint32_t>(_mm256_movemask_epi8(any));
  }
  CW_INLINE uint64_t in(const uint8_t* p) const { return half(p) | half(p + 32) << 32; }
#else
  CW_INLINE uint64_t in(const uint8_t* p) const {
    uint64_t bits = 0;
    for (int64_t i = 0; i < kStep; i++)
      bits |= static_cast<uint64_t>((p[i] == a) | (p[i] == b) | (p[i] == c) | (p[i] == d)) << i;
    return bits;
  }
#endif
};

// The state of cutting one line after the other.
struct Cutter {
  const Lines& lines;
  const int64_t most_rows, most_bad;
  int32_t* bounds;  // of the line at hand
  int64_t* sizes;
  int32_t* bad;
  Cut done{0, 0, 0};
  int64_t cells = 0;  // that ended on the line at hand

  CW_INLINE void end_cell(int64_t at) {
    cells++;
    if (cells <= lines.C) bounds[cells] = static_cast<int32_t>(at + 1);
  }

  // The line at hand ends at `at`, the next one begins at `next`. Gives whether to go on.
  CW_INLINE bool end_line(int64_t at, int64_t next) {
    const int64_t begin = done.consumed;
    done.consumed = next;
    if (at > begin) {
      end_cell(at);
      if (cells == lines.C) {
        for (int64_t c = 0; c < lines.C; c++) sizes[c] += bounds[c + 1] - bounds[c] - 1;
        bounds += lines.C + 1;
        done.rows++;
      } else {
        int32_t* const entry = bad + 4 * done.bad;
        entry[0] = static_cast<int32_t>(done.rows + done.bad);
        entry[1] = static_cast<int32_t>(begin);
        entry[2] = static_cast<int32_t>(at);
        entry[3] = static_cast<int32_t>(cells);
        done.bad++;
      }
    }
    cells = 0;
    if (done.rows == most_rows || done.bad == most_bad) return false;
    bounds[0] = static_cast<int32_t>(next);
    return true;
  }
};

Cut cut(const Lines& lines, int64_t most_rows, int64_t most_bad, int32_t* bounds, int64_t* sizes, int32_t* bad) {
  const uint8_t delimiter = lines.delimiter;
  const Marks marks{delimiter, '\n', '\r', lines.quotes ? uint8_t{'"'} : delimiter};
  for (int64_t c = 0; c < lines.C; c++) sizes[c] = 0;
  Cutter cutter{lines, most_rows, most_bad, bounds, sizes, bad};
  bounds[0] = 0;
  uint8_t last[kStep];
  for (int64_t start = 0; start < lines.size; start += kStep) {
    const uint8_t* p = lines.bytes + start;
    uint64_t found;
    if (lines.size - start >= kStep) {
      found = marks.in(p);
    } else {
      const int64_t left = lines.size - start;
      std::memset(last, 0, kStep);
      std::memcpy(last, p, static_cast<size_t>(left));
      found = marks.in(last) & ((uint64_t{1} << left) - 1);
    }
    for (; found; found &= found - 1) {
      const int64_t at = start + __builtin_ctzll(found);
      const uint8_t byte = lines.bytes[at];
      if (byte == delimiter) {
        cutter.end_cell(at);
      } else if (byte == '\n') {
        const bool carriage = at > cutter.done.consumed && lines.bytes[at - 1] == '\r';
        if (!cutter.end_line(at - carriage, at + 1)) return cutter.done;
      } else if (byte == '"' || at + 1 == lines.size || lines.bytes[at + 1] != '\n') {
        return cutter.done;
      }
    }
  }
  return cutter.done;
}

constexpr uint64_t kLow[kLineSlack + 1] = {  // the lowest so many bytes of a word
    0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, ~uint64_t{0}, ~uint64_t{0},
    ~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}};

// The texts that mean null. Those of up to 8 bytes are compared as one word, little end first.
struct Nulls {
  const Cells& cells;
  uint64_t words[8];
  int64_t lengths[8];
  int64_t few = 0;
  bool others = false;  // longer or more ones

  CW_INLINE explicit Nulls(const Cells& of) : cells(of) {
    for (int64_t k = 0, begin = 0; k < cells.K; begin = cells.ends[k++]) {
      const int64_t length = cells.ends[k] - begin;
      if (length > 8 || few == 8) {
        others = true;
        continue;
      }
      words[few] = 0;
      std::memcpy(words + few, cells.nulls + begin, static_cast<size_t>(length));
      lengths[few++] = length;
    }
  }

  // Of a text of at most kLineSlack bytes, of which 8 can be read. No branch: nulls could not be foretold.
  CW_INLINE uint64_t has(const uint8_t* text, int64_t length) const {
    uint64_t word;
    std::memcpy(&word, text, sizeof word);
    word &= kLow[length];
    uint64_t found = 0;
    for (int64_t k = 0; k < few; k++) found |= static_cast<uint64_t>(word == words[k]) & (length == lengths[k]);
    if (others) found |= static_cast<uint64_t>(has_slowly(text, length));
    return found;
  }

  bool has_slowly(const uint8_t* text, int64_t length) const {
    for (int64_t k = 0, begin = 0; k < cells.K; begin = cells.ends[k++])
      if (cells.ends[k] - begin == length && !std::memcmp(cells.nulls + begin, text, static_cast<size_t>(length)))
        return true;
    return false;
  }
};

void fill(const Cells& cells, int32_t* offsets, int64_t offset_stride, uint8_t* validity, int64_t validity_stride,
          const int64_t* starts, uint8_t* data, int64_t* null_counts) {
  const Nulls nulls(cells);
  for (int64_t w = 0; w < cells.W; w++) {
    offsets[w * offset_stride] = 0;
    null_counts[w] = 0;
  }
  const int64_t stride = cells.C + 1, near_end = cells.size - kLineSlack;
  for (int64_t first = 0; first < cells.rows; first += kStep) {  // so few rows that their text stays near
    const int64_t count = cells.rows - first < kStep ? cells.rows - first : kStep;
    for (int64_t w = 0; w < cells.W; w++) {
      const int32_t* bounds = cells.bounds + first * stride + cells.wanted[w];
      int32_t* const ends = offsets + w * offset_stride + first + 1;
      uint8_t* const out = data + starts[w];
      int64_t at = ends[-1];
      uint64_t there = 0;
      for (int64_t r = 0; r < count; r++, bounds += stride) {
        const uint8_t* const text = cells.bytes + bounds[0];
        const int64_t length = bounds[1] - bounds[0] - 1;
        uint64_t null;
        if (length <= kLineSlack && bounds[0] <= near_end) {
          null = nulls.has(text, length);
          std::memcpy(out + at, text, kLineSlack);
        } else {
          null = nulls.has_slowly(text, length);
          std::memcpy(out + at, text, static_cast<size_t>(length));
        }
        at += length & (static_cast<int64_t>(null) - 1);
        ends[r] = static_cast<int32_t>(at);
        there |= (null ^ 1) << r;
      }
      std::memcpy(validity + w * validity_stride + first / 8, &there, sizeof there);
      null_counts[w] += count - __builtin_popcountll(there);
    }
  }
}

}  // namespace

extern const LineKernels lines;
const LineKernels lines{cut, fill};

}  // namespace clickwise::CW_ISA
