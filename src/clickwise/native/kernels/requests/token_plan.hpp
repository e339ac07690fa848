// Columns of a request straight to table rows: what features of one token a row, and of numbers cut into buckets, need.
#pragma once
#include <cstdint>
#include <vector>

#include "columns.hpp"
#include "requests/request.hpp"

namespace clickwise {

// How the cells of one column become table rows in one slot of a batch.
struct SlotPlan {
  enum Kind { kVocabulary, kHashing, kBucket } kind;
  int column, slot;
  int32_t first_row;   // of the field: its id 0
  Index index;         // kVocabulary
  uint64_t seed;       // kHashing
  uint64_t buckets;    //
  const double* cuts;  // kBucket: [num_cuts] rising
  int64_t num_cuts;
};

// Ids of a field that are not of tokens.
constexpr int32_t kMissing = 0, kOutOfVocabulary = 1, kFirstToken = 2;

// Fills the slots of `slots` in sparse [count, S], a row for each candidate; a column of the user's is the same in all, and
// one that is nowhere is missing. False where a cell is none of the usual: longer than `max_token_bytes`, of a number that
// is no plain decimal, a list; `sparse` is then of no use.
bool fill_slots(const Request& request, const std::vector<SlotPlan>& slots, int64_t max_token_bytes, int64_t S,
                int32_t* sparse);

}  // namespace clickwise
