// Columns of a request straight to model inputs: table rows of tokens, buckets and times, and numbers.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "columns.hpp"
#include "requests/cells.hpp"
#include "requests/times.hpp"

namespace clickwise {

// Ids of a field that are not of tokens; and the row of the table that stands for an empty slot.
constexpr int32_t kMissing = 0, kOutOfVocabulary = 1, kFirstToken = 2, kPaddingRow = 0;

// How the cells of one column become table rows in the slots of a field.
struct FieldPlan {
  enum Kind { kVocabulary, kHashing, kBucket, kTime } kind;
  int number, column, slot;
  int32_t first_row;      // of the field: its id 0
  int length = 1;         // slots
  bool many = false;      // cells are lists of tokens, missing ones left out, one alone where they are not; else single
  bool history = false;   // many: the last tokens are kept, and a row without any is empty; else the first, and missing
  std::string separator;  // many: what text is cut at; empty: it is one token
  Index index;            // kVocabulary
  uint64_t seed;          // kHashing
  uint64_t buckets;       //
  const double* cuts;     // kBucket: [num_cuts] rising
  int64_t num_cuts;
  TimePart part;       // kTime
  std::string format;  // empty: none
};

// How the cells of one column become numbers in one column of the dense inputs.
struct NumberPlan {
  enum Kind { kScaled, kScaledLog, kQuantile } kind;
  int number, column, place;
  float missing;
  double mean, std;    // kScaled, kScaledLog
  const double* cuts;  // kQuantile: [num_cuts] rising
  int64_t num_cuts;
  double steps;  // kQuantile: its number is divided by these
};

// What becomes of columns. Those of the user's are the same in all rows; one that is nowhere is missing.
class InputPlan {
 public:
  explicit InputPlan(int64_t max_token_bytes) : max_token_bytes_(max_token_bytes) {}

  // Each is known by its number afterwards, from 0 on in the order in which they were added.
  void add(FieldPlan plan);
  void add(NumberPlan plan);

  // The columns, slots and numbers that it needs at least.
  int64_t num_columns() const;
  int64_t num_slots() const;
  int64_t num_numbers() const;
  // Numbers of a request that logarithms are taken of.
  int64_t num_logs(const Sides& sides) const;

  // Fills its places in sparse [count, S] and dense [count, N], but for those of logarithms: the numbers to take them of
  // go to `logs`. Gives the numbers of plans that met a cell that is none of the usual, such as a token longer than
  // `max_token_bytes`, a number that is no plain decimal, or a list for one value: what they wrote is of no use.
  std::vector<int> fill(const Sides& sides, int32_t* sparse, int64_t S, float* dense, int64_t N,
                        std::vector<double>& logs) const;

  // Fills the rest, given the logarithms [num_logs] of the same request.
  void fill_logs(const Sides& sides, const double* logs, float* dense, int64_t N) const;

 private:
  int64_t max_token_bytes_;
  int count_ = 0;
  std::vector<FieldPlan> fields_;
  std::vector<NumberPlan> numbers_;
};

}  // namespace clickwise
