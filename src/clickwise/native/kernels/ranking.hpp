// Scores in order: what the area under the ROC curve, its standard error and bins of equal mass need.
//
// An item stands for one row. Its key is the score's bits, turned so that they order as unsigned numbers as the scores
// do (-0 is 0). Unweighted rows are 32-bit items, the key alone; weighted rows are 64-bit items, the key above the bits
// of the weight. A buffer of n items holds the P clicks first, then the others, each class in ascending order once
// sorted. Rows with one score are a run, whatever their class.
//
// Work on sorted items is cut into T tasks at places that follow from the items alone, never inside a run, and every
// task writes sums of its own, for the caller to add up in order: results do not depend on the number of threads.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

template <class Item>
struct SortedItems {
  const Item* items;  // [n]
  int64_t n, P, T;
};

template <class Item>
struct RankingOf {
  // Append rows to their classes: at[0], at[1] say where the next click and the next other row go, and move on.
  //   logit [n], weight [n] (null for 32-bit items), label [n] of 0 and 1. False when a score is NaN.
  bool (*take)(const float* logit, const float* weight, const uint8_t* label, int64_t n, Item* items, int64_t* at);

  // Stable sort of n items by their keys, from `items` to `sorted`; `items` is left in disorder.
  //   counts [sort_chunks(n), kDigits] is room to work in.
  void (*sort)(Item* items, Item* sorted, int64_t n, uint32_t* counts);

  // mass [T, 2]: weight of the clicks and of the others in each task (their numbers, for 32-bit items).
  void (*mass)(SortedItems<Item> rows, double* mass);

  // won [T]: sum over clicks i, others j of w_i w_j ([z_i > z_j] + [z_i = z_j] / 2), i in the task.
  //   before [T, 2]: `mass` of all tasks before.
  void (*pairs)(SortedItems<Item> rows, const double* before, double* won);

  // sums [T, bins, 3]: weight, weight * probability and weight of clicks of the rows in each bin; a run goes where the
  // middle of its weight falls.  before [T, 2] as above, total: the weight of all rows.
  void (*bins)(SortedItems<Item> rows, const double* before, double total, int64_t bins, double* sums);
};

struct RankingKernels {
  RankingOf<uint32_t> plain;
  RankingOf<uint64_t> weighted;

  // With b_i the number of others below click i, and t_i those equal to it (of another row, of clicks):
  //   sums [T, 5]: sum (2 b_i + t_i) over clicks; sum (2 b_i + t_i)^2 over clicks, low and high 64 bits; the same over others.
  void (*delong)(SortedItems<uint32_t> rows, uint64_t* sums);
};

constexpr int64_t kDigits = 2048;
constexpr int64_t kChunk = 1 << 16;  // rows

// Pieces that a sort of n items is cut into.
constexpr int64_t sort_chunks(int64_t n) { return n >= 64 * kChunk ? 64 : n / kChunk + 1; }

CW_VECTOR_FAMILY(RankingKernels, ranking)

}  // namespace clickwise
