#include "requests/token_plan.hpp"

#include <charconv>
#include <cmath>

namespace clickwise {
namespace {

// The numbers of text that no plain digits are: correctly rounded, as everywhere. NaN where a cell is null or empty.
bool read_numbers(const Text& text, std::vector<double>& found, std::vector<uint8_t>& present) {
  present.resize(size_t((text.n + 7) / 8));
  if (columns().numbers(text, found.data(), present.data()) >= 0) {
    for (int64_t i = 0; i < text.n; i++)
      if (!(present[size_t(i / 8)] >> (i % 8) & 1)) found[size_t(i)] = NAN;
    return true;
  }
  const int32_t* const offsets = static_cast<const int32_t*>(text.offsets);
  for (int64_t i = 0; i < text.n; i++) {
    const char *p = reinterpret_cast<const char*>(text.bytes) + offsets[i],
               *end = reinterpret_cast<const char*>(text.bytes) + offsets[i + 1];
    found[size_t(i)] = NAN;
    if (p == end) continue;
    if (*p != '-' && (*p < '0' || *p > '9')) return false;
    const auto read = std::from_chars(p, end, found[size_t(i)]);
    if (read.ec != std::errc() || read.ptr != end || !std::isfinite(found[size_t(i)])) return false;
  }
  return true;
}

bool bucket_ids(const Text& text, const SlotPlan& plan, int32_t* ids) {
  std::vector<double> values(static_cast<size_t>(text.n));
  std::vector<uint8_t> present;
  if (!read_numbers(text, values, present)) return false;
  columns().place(values.data(), text.n, plan.cuts, plan.num_cuts, kFirstToken, kMissing, ids);
  return true;
}

bool ids_of(const Column& column, const SlotPlan& plan, int64_t max_token_bytes, int32_t* ids) {
  if (column.list()) return false;
  const Text text = column.text();
  if (plan.kind == SlotPlan::kBucket) return !column.all_bools() && bucket_ids(text, plan, ids);
  if (columns().survey(text).longest > max_token_bytes) return false;
  if (plan.kind == SlotPlan::kVocabulary)
    columns().find(text, plan.index, kOutOfVocabulary, kMissing, ids);
  else
    columns().bucket(text, plan.seed, plan.buckets, kFirstToken, kMissing, ids);
  return true;
}

}  // namespace

bool fill_slots(const Request& request, const std::vector<SlotPlan>& slots, int64_t max_token_bytes, int64_t S,
                int32_t* sparse) {
  std::vector<int32_t> ids(static_cast<size_t>(request.count) + 1);
  for (const SlotPlan& plan : slots) {
    const Column &own = request.candidates[size_t(plan.column)], &user = request.user[size_t(plan.column)];
    ids[0] = kMissing;
    const Column* const column = own.given() ? &own : user.given() ? &user : nullptr;
    if (column && !ids_of(*column, plan, max_token_bytes, ids.data())) return false;
    const int64_t step = column == &own;
    for (int64_t i = 0; i < request.count; i++) sparse[i * S + plan.slot] = plan.first_row + ids[size_t(i * step)];
  }
  return true;
}

}  // namespace clickwise
