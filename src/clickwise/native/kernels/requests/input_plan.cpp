#include "requests/input_plan.hpp"

#include <algorithm>
#include <cmath>

namespace clickwise {
namespace {

// The cells of a column, and whether they are one a candidate; else the one is of all.
struct Chosen {
  const Cells& cells;
  bool of_candidates;
};

Chosen choose(const Sides& sides, int column) {
  static constexpr int32_t no_bytes[] = {0, 0};
  static const Cells missing{.kind = Cells::kText, .n = 1, .text = {nullptr, 0, no_bytes, false, nullptr, 0, 1}};
  const Cells& own = sides.candidates[size_t(column)];
  if (own.kind != Cells::kNone) return {own, true};
  const bool users = size_t(column) < sides.user.size() && sides.user[size_t(column)].kind != Cells::kNone;
  return {users ? sides.user[size_t(column)] : missing, false};
}

// Memory that the fields use one after the other.
struct Scratch {
  TextOf made, pieces;
  std::vector<double> numbers;
  std::vector<int64_t> times;
  std::vector<int32_t> ids, starts;
};

// The ids of tokens [n].
bool ids_of_tokens(const Text& tokens, const FieldPlan& plan, int64_t max_token_bytes, std::vector<int32_t>& ids) {
  ids.resize(size_t(tokens.n));
  if (columns().survey(tokens).longest > max_token_bytes) return false;
  if (plan.kind == FieldPlan::kVocabulary)
    columns().find(tokens, plan.index, kOutOfVocabulary, kMissing, ids.data());
  else
    columns().bucket(tokens, plan.seed, plan.buckets, kFirstToken, kMissing, ids.data());
  return true;
}

// The ids of cells that hold one value [n].
bool ids_of(const Cells& cells, const FieldPlan& plan, int64_t max_token_bytes, Scratch& scratch) {
  Text tokens;
  if (cells.lists) return false;
  switch (plan.kind) {
    case FieldPlan::kBucket:
      if (!numbers_of(cells, scratch.numbers)) return false;
      scratch.ids.resize(size_t(cells.n));
      columns().place(scratch.numbers.data(), cells.n, plan.cuts, plan.num_cuts, kFirstToken, kMissing, scratch.ids.data());
      return true;
    case FieldPlan::kTime:
      if (!times_of(cells, plan.format, scratch.times)) return false;
      scratch.ids.resize(size_t(cells.n));
      for (size_t i = 0; i < scratch.ids.size(); i++)
        scratch.ids[i] = scratch.times[i] == kNoTime ? kMissing : kFirstToken + part_of_time(plan.part, scratch.times[i]);
      return true;
    default:
      return tokens_of(cells, scratch.made, tokens) && ids_of_tokens(tokens, plan, max_token_bytes, scratch.ids);
  }
}

// The tokens of cells that hold many: all of them, one list after the other, and where each begins [n + 1].
bool tokens_of_lists(const Cells& cells, const std::string& separator, Scratch& scratch, Text& tokens) {
  auto& starts = scratch.starts;
  starts.resize(size_t(cells.n) + 1);
  if (cells.lists) {
    tokens = part_of(cells.text, cells.lists[0], cells.lists[cells.n]);
    for (size_t i = 0; i < starts.size(); i++) starts[i] = cells.lists[i] - cells.lists[0];
    return true;
  }
  if (!tokens_of(cells, scratch.made, tokens)) return false;
  if (separator.empty()) {
    for (size_t i = 0; i < starts.size(); i++) starts[i] = int32_t(i);
    return true;
  }
  int32_t count = 0;
  scratch.pieces.clear();
  for (int64_t i = 0; i < cells.n; i++) {
    const std::string_view cell = cell_of(tokens, i);
    starts[size_t(i)] = count;
    for (size_t from = 0, to = 0; to != std::string_view::npos; from = to + separator.size(), count++) {
      to = cell.find(separator, from);
      scratch.pieces.add(cell.substr(from, to - from));
    }
  }
  starts[size_t(cells.n)] = count;
  tokens = scratch.pieces.text();
  return true;
}

// The table rows of one list of ids, in the slots of a field.
void lay_list(const int32_t* ids, int64_t count, const FieldPlan& plan, int32_t* slots) {
  std::fill(slots, slots + plan.length, kPaddingRow);
  int64_t there = 0, kept = 0;
  for (int64_t i = 0; i < count; i++) there += ids[i] != kMissing;
  if (!there && !plan.history) slots[0] = plan.first_row + kMissing;
  int64_t skip = plan.history ? std::max<int64_t>(0, there - plan.length) : 0;
  for (int64_t i = 0; i < count && kept < plan.length; i++)
    if (ids[i] != kMissing && skip-- <= 0) slots[kept++] = plan.first_row + ids[i];
}

bool fill_field(const Chosen& chosen, const FieldPlan& plan, int64_t max_token_bytes, Scratch& scratch, int64_t count,
                int64_t S, int32_t* sparse) {
  const Cells& cells = chosen.cells;
  const std::vector<int32_t>& ids = scratch.ids;
  sparse += plan.slot;
  if (!plan.many) {
    if (!ids_of(cells, plan, max_token_bytes, scratch)) return false;
    for (int64_t i = 0; i < count; i++) sparse[i * S] = plan.first_row + ids[size_t(chosen.of_candidates ? i : 0)];
    return true;
  }
  Text tokens;
  if (!tokens_of_lists(cells, plan.separator, scratch, tokens)) return false;
  if (!ids_of_tokens(tokens, plan, max_token_bytes, scratch.ids)) return false;
  for (int64_t i = 0; i < count; i++) {
    const int32_t* const start = scratch.starts.data() + (chosen.of_candidates ? i : 0);
    if (i && !chosen.of_candidates)
      std::copy_n(sparse, plan.length, sparse + i * S);
    else
      lay_list(ids.data() + start[0], start[1] - start[0], plan, sparse + i * S);
  }
  return true;
}

// As `Scale.apply` of features/moments.py, operation by operation.
float scaled(double x, const NumberPlan& plan) {
  constexpr double extreme = 1e100, farthest = 1e6;
  if (std::isnan(x)) return plan.missing;
  if (!(plan.std > 0)) return 0;
  return float(std::clamp((std::clamp(x, -extreme, extreme) - plan.mean) / plan.std, -farthest, farthest));
}

// Writes `numbers` to their column of dense.
template <class F>
void lay_numbers(const double* numbers, const Chosen& chosen, const NumberPlan& plan, int64_t count, int64_t N, float* dense,
                 F&& f) {
  float number = 0;
  for (int64_t i = 0; i < count; i++) {
    if (!i || chosen.of_candidates) number = f(numbers[i]);
    dense[i * N + plan.place] = number;
  }
}

}  // namespace

int64_t InputPlan::num_columns() const {
  int most = -1;
  for (const FieldPlan& plan : fields_) most = std::max(most, plan.column);
  for (const NumberPlan& plan : numbers_) most = std::max(most, plan.column);
  return most + 1;
}

int64_t InputPlan::num_slots() const {
  int64_t most = 0;
  for (const FieldPlan& plan : fields_) most = std::max(most, int64_t(plan.slot) + plan.length);
  return most;
}

int64_t InputPlan::num_numbers() const {
  int most = -1;
  for (const NumberPlan& plan : numbers_) most = std::max(most, plan.place);
  return most + 1;
}

int64_t InputPlan::num_logs(const Sides& sides) const {
  int64_t count = 0;
  for (const NumberPlan& plan : numbers_)
    if (plan.kind == NumberPlan::kScaledLog) count += choose(sides, plan.column).cells.n;
  return count;
}

void InputPlan::add(FieldPlan plan) {
  plan.number = count_++;
  fields_.push_back(std::move(plan));
}

void InputPlan::add(NumberPlan plan) {
  plan.number = count_++;
  numbers_.push_back(plan);
}

std::vector<int> InputPlan::fill(const Sides& sides, int32_t* sparse, int64_t S, float* dense, int64_t N,
                                 std::vector<double>& logs) const {
  Scratch scratch;
  std::vector<int> left;
  for (const FieldPlan& plan : fields_)
    if (!fill_field(choose(sides, plan.column), plan, max_token_bytes_, scratch, sides.count, S, sparse))
      left.push_back(plan.number);
  std::vector<double>& numbers = scratch.numbers;
  for (const NumberPlan& plan : numbers_) {
    const Chosen chosen = choose(sides, plan.column);
    if (!numbers_of(chosen.cells, numbers)) {
      numbers.assign(size_t(chosen.cells.n), NAN);
      left.push_back(plan.number);
    }
    if (plan.kind == NumberPlan::kScaledLog) {
      logs.insert(logs.end(), numbers.begin(), numbers.end());
    } else if (plan.kind == NumberPlan::kScaled) {
      lay_numbers(numbers.data(), chosen, plan, sides.count, N, dense, [&](double x) { return scaled(x, plan); });
    } else {
      scratch.ids.resize(numbers.size());
      columns().place(numbers.data(), int64_t(numbers.size()), plan.cuts, plan.num_cuts, 0, -1, scratch.ids.data());
      for (size_t i = 0; i < numbers.size(); i++) numbers[i] = scratch.ids[i] / plan.steps;
      lay_numbers(numbers.data(), chosen, plan, sides.count, N, dense, [&](double x) { return x < 0 ? plan.missing : float(x); });
    }
  }
  return left;
}

void InputPlan::fill_logs(const Sides& sides, const double* logs, float* dense, int64_t N) const {
  for (const NumberPlan& plan : numbers_) {
    if (plan.kind != NumberPlan::kScaledLog) continue;
    const Chosen chosen = choose(sides, plan.column);
    lay_numbers(logs, chosen, plan, sides.count, N, dense, [&](double x) { return scaled(x, plan); });
    logs += chosen.cells.n;
  }
}

}  // namespace clickwise
