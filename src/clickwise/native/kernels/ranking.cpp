#include "ranking.hpp"

#include <math.h>

#include "machine/pool.hpp"
#include "machine/vector.hpp"

namespace clickwise::CW_ISA {
namespace {

CW_INLINE uint32_t key_of(float score) {
  uint32_t bits;
  std::memcpy(&bits, &score, 4);
  if (bits == 0x80000000u) bits = 0;
  return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
}

CW_INLINE double score_of(uint32_t key) {
  const uint32_t bits = key ^ (key >> 31 ? 0x80000000u : 0xffffffffu);
  float score;
  std::memcpy(&score, &bits, 4);
  return score;
}

CW_INLINE uint32_t key_of(uint32_t item) { return item; }
CW_INLINE uint32_t key_of(uint64_t item) { return static_cast<uint32_t>(item >> 32); }
CW_INLINE double weight_of(uint32_t) { return 1.0; }
CW_INLINE double weight_of(uint64_t item) {
  const uint32_t bits = static_cast<uint32_t>(item);
  float weight;
  std::memcpy(&weight, &bits, 4);
  return weight;
}

CW_INLINE uint32_t item_of(float score, const float*, int64_t, uint32_t) { return key_of(score); }
CW_INLINE uint64_t item_of(float score, const float* weight, int64_t i, uint64_t) {
  uint32_t bits;
  std::memcpy(&bits, weight + i, 4);
  return static_cast<uint64_t>(key_of(score)) << 32 | bits;
}

template <class Item>
bool take(const float* logit, const float* weight, const uint8_t* label, int64_t n, Item* items, int64_t* at) {
  int64_t click = at[0], other = at[1];
  bool numbers = true;
  for (int64_t i = 0; i < n; i++) {
    const bool y = label[i] != 0;
    numbers &= logit[i] == logit[i];
    items[y ? click : other] = item_of(logit[i], weight, i, Item{});
    click += y;
    other += !y;
  }
  at[0] = click;
  at[1] = other;
  return numbers;
}

// One pass of a radix sort, by the digit of the key that begins at bit `shift`. Each chunk counts its digits; the
// counts become the places where each chunk writes each digit, so that items of one digit keep their order.
template <class Item>
void sort_pass(const Item* from, Item* to, int64_t n, int shift, uint32_t* counts) {
  const int64_t chunks = sort_chunks(n), size = (n + chunks - 1) / chunks;
  const auto digit = [=](Item item) { return (key_of(item) >> shift) & (kDigits - 1); };
  parallel_for(chunks, [=](int64_t c) {
    uint32_t* count = counts + c * kDigits;
    std::memset(count, 0, kDigits * sizeof *count);
    const int64_t end = (c + 1) * size < n ? (c + 1) * size : n;
    for (int64_t i = c * size; i < end; i++) count[digit(from[i])]++;
  });
  uint32_t place = 0;
  for (int64_t d = 0; d < kDigits; d++)
    for (int64_t c = 0; c < chunks; c++) {
      const uint32_t here = counts[c * kDigits + d];
      counts[c * kDigits + d] = place;
      place += here;
    }
  parallel_for(chunks, [=](int64_t c) {
    uint32_t* next = counts + c * kDigits;
    const int64_t end = (c + 1) * size < n ? (c + 1) * size : n;
    for (int64_t i = c * size; i < end; i++) to[next[digit(from[i])]++] = from[i];
  });
}

template <class Item>
void sort(Item* items, Item* sorted, int64_t n, uint32_t* counts) {
  sort_pass(items, sorted, n, 0, counts);
  sort_pass<Item>(sorted, items, n, 11, counts);
  sort_pass(items, sorted, n, 22, counts);
}

// The first of `items` [n], in order, whose key is not below `key`.
template <class Item>
int64_t lower_bound(const Item* items, int64_t n, uint32_t key) {
  int64_t low = 0;
  while (n > 0) {
    const int64_t half = n / 2;
    const bool below = key_of(items[low + half]) < key;
    low = below ? low + half + 1 : low;
    n = below ? n - half - 1 : half;
  }
  return low;
}

// Where a task begins among the clicks and among the others: at a key taken from the larger class.
struct Place {
  int64_t click, other;
};

template <class Item>
Place begin_of(const SortedItems<Item>& rows, int64_t task) {
  const int64_t P = rows.P, N = rows.n - P;
  if (task == 0) return {0, 0};
  if (task == rows.T) return {P, N};
  const Item* larger = P > N ? rows.items : rows.items + P;
  const uint32_t key = key_of(larger[(P > N ? P : N) / rows.T * task]);
  return {lower_bound(rows.items, P, key), lower_bound(rows.items + P, N, key)};
}

// run(key, first click, end of clicks, first other, end of others) for each run of a task, in order.
template <class Item, class F>
CW_INLINE void each_run(const SortedItems<Item>& rows, int64_t task, F&& run) {
  const Item *clicks = rows.items, *others = rows.items + rows.P;
  const Place begin = begin_of(rows, task), end = begin_of(rows, task + 1);
  int64_t i = begin.click, j = begin.other;
  while (i < end.click || j < end.other) {
    uint32_t key = i < end.click ? key_of(clicks[i]) : 0xffffffffu;
    if (j < end.other && key_of(others[j]) < key) key = key_of(others[j]);
    const int64_t i0 = i, j0 = j;
    while (i < end.click && key_of(clicks[i]) == key) i++;
    while (j < end.other && key_of(others[j]) == key) j++;
    run(key, i0, i, j0, j);
  }
}

CW_INLINE double weight_between(const uint32_t*, int64_t begin, int64_t end) {
  return static_cast<double>(end - begin);
}
CW_INLINE double weight_between(const uint64_t* items, int64_t begin, int64_t end) {
  double sum = 0;
  for (int64_t i = begin; i < end; i++) sum += weight_of(items[i]);
  return sum;
}

template <class Item>
void mass(SortedItems<Item> rows, double* out) {
  parallel_for(rows.T, [=](int64_t task) {
    const Place begin = begin_of(rows, task), end = begin_of(rows, task + 1);
    out[2 * task] = weight_between(rows.items, begin.click, end.click);
    out[2 * task + 1] = weight_between(rows.items + rows.P, begin.other, end.other);
  });
}

template <class Item>
void pairs(SortedItems<Item> rows, const double* before, double* won) {
  parallel_for(rows.T, [=](int64_t task) {
    double below = before[2 * task + 1], sum = 0;
    each_run(rows, task, [&](uint32_t, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
      const double p = weight_between(rows.items, i0, i1), q = weight_between(rows.items + rows.P, j0, j1);
      sum += p * (below + 0.5 * q);
      below += q;
    });
    won[task] = sum;
  });
}

template <class Item>
void bins(SortedItems<Item> rows, const double* before, double total, int64_t bins, double* sums) {
  parallel_for(rows.T, [=](int64_t task) {
    double up_to = before[2 * task] + before[2 * task + 1];
    double* out = sums + task * bins * 3;
    std::memset(out, 0, bins * 3 * sizeof *out);
    each_run(rows, task, [&](uint32_t key, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
      const double p = weight_between(rows.items, i0, i1), q = weight_between(rows.items + rows.P, j0, j1);
      up_to += p + q;
      const int64_t middle = static_cast<int64_t>((up_to - 0.5 * (p + q)) / total * static_cast<double>(bins));
      double* bin = out + 3 * (middle < bins ? middle : bins - 1);
      const double z = score_of(key), small = exp(-fabs(z));
      bin[0] += p + q;
      bin[1] += (p + q) * ((z >= 0 ? 1.0 : small) / (1.0 + small));
      bin[2] += p;
    });
  });
}

void delong(SortedItems<uint32_t> rows, uint64_t* sums) {
  typedef unsigned __int128 Wide;
  parallel_for(rows.T, [=](int64_t task) {
    Wide click2 = 0, other2 = 0;
    uint64_t won = 0;
    each_run(rows, task, [&](uint32_t, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
      const uint64_t p = i1 - i0, q = j1 - j0, below = j0 + j1, left = i0 + i1;
      won += p * below;
      click2 += Wide(p * below) * below;
      other2 += Wide(q * left) * left;
    });
    uint64_t* out = sums + 5 * task;
    out[0] = won;
    out[1] = static_cast<uint64_t>(click2);
    out[2] = static_cast<uint64_t>(click2 >> 64);
    out[3] = static_cast<uint64_t>(other2);
    out[4] = static_cast<uint64_t>(other2 >> 64);
  });
}

}  // namespace

extern const RankingKernels ranking;
const RankingKernels ranking{
    {take<uint32_t>, sort<uint32_t>, mass<uint32_t>, pairs<uint32_t>, bins<uint32_t>},
    {take<uint64_t>, sort<uint64_t>, mass<uint64_t>, pairs<uint64_t>, bins<uint64_t>},
    delong,
};

}  // namespace clickwise::CW_ISA
