#include "ranking.hpp"

#include "bindings/module.hpp"

namespace clickwise {
namespace {

template <class Item>
SortedItems<Item> sorted_items(const In<Item, 1>& items, int64_t clicks, int64_t tasks) {
  const int64_t n = items.shape(0);
  require(n < int64_t(1) << 32, "there are more than 2^32 rows");
  require(0 <= clicks && clicks <= n, "there are more clicks than rows");
  require(tasks > 0, "there are no tasks");
  return {items.data(), n, clicks, tasks};
}

// The functions that 32-bit and 64-bit items have in common; nanobind chooses by the type of the arrays.
template <class Item>
void add(nb::module_& m, const RankingOf<Item>& (*kernels)()) {
  m.def("sort_items", [kernels](Out<Item, 1> items, Out<Item, 1> sorted, Out<uint32_t, 2> counts) {
    const int64_t n = items.shape(0);
    require(n < int64_t(1) << 32, "there are more than 2^32 rows");
    require(int64_t(sorted.shape(0)) == n, "sorted is not [n]");
    require(int64_t(counts.shape(0)) == sort_chunks(n) && int64_t(counts.shape(1)) == kDigits,
            "counts is not [sort_chunks, sort_digits]");
    nb::gil_scoped_release release;
    kernels().sort(items.data(), sorted.data(), n, counts.data());
  });
  m.def("item_mass", [kernels](In<Item, 1> items, int64_t clicks, Out<double, 2> mass) {
    require(mass.shape(1) == 2, "mass is not [T, 2]");
    const auto rows = sorted_items(items, clicks, mass.shape(0));
    nb::gil_scoped_release release;
    kernels().mass(rows, mass.data());
  });
  m.def("item_pairs", [kernels](In<Item, 1> items, int64_t clicks, In<double, 2> before, Out<double, 1> won) {
    require(before.shape(0) == won.shape(0) && before.shape(1) == 2, "before is not [T, 2]");
    const auto rows = sorted_items(items, clicks, won.shape(0));
    nb::gil_scoped_release release;
    kernels().pairs(rows, before.data(), won.data());
  });
  m.def("item_bins", [kernels](In<Item, 1> items, int64_t clicks, In<double, 2> before, double total, Out<double, 3> sums) {
    require(before.shape(0) == sums.shape(0) && before.shape(1) == 2, "before is not [T, 2]");
    require(sums.shape(1) > 0 && sums.shape(2) == 3, "sums is not [T, bins, 3]");
    require(total > 0, "the rows have no weight");
    const auto rows = sorted_items(items, clicks, sums.shape(0));
    nb::gil_scoped_release release;
    kernels().bins(rows, before.data(), total, sums.shape(1), sums.data());
  });
}

template <class Item>
bool take(const RankingOf<Item>& kernels, const In<float, 1>& logit, const float* weight, const In<uint8_t, 1>& label,
          const Out<Item, 1>& items, const Out<int64_t, 1>& at) {
  const int64_t n = logit.shape(0), room = items.shape(0);
  require(int64_t(label.shape(0)) == n, "label is not [n]");
  require(at.shape(0) == 2, "at is not [2]");
  int64_t clicks = 0;
  for (int64_t i = 0; i < n; i++) clicks += label.data()[i] != 0;
  const int64_t click = at.data()[0], other = at.data()[1];
  require(click >= 0 && click + clicks <= room && other >= 0 && other + n - clicks <= room, "there is no room for more");
  nb::gil_scoped_release release;
  return kernels.take(logit.data(), weight, label.data(), n, items.data(), at.data());
}

}  // namespace

void add_ranking(nb::module_& m) {
  m.attr("sort_digits") = kDigits;
  m.def("sort_chunks", &sort_chunks);
  m.def("take_items", [](In<float, 1> logit, In<uint8_t, 1> label, Out<uint32_t, 1> items, Out<int64_t, 1> at) {
    return take(ranking().plain, logit, nullptr, label, items, at);
  });
  m.def("take_weighted_items", [](In<float, 1> logit, In<float, 1> weight, In<uint8_t, 1> label, Out<uint64_t, 1> items,
                                  Out<int64_t, 1> at) {
    require(weight.shape(0) == logit.shape(0), "weight is not [n]");
    return take(ranking().weighted, logit, weight.data(), label, items, at);
  });
  add<uint32_t>(m, []() -> const RankingOf<uint32_t>& { return ranking().plain; });
  add<uint64_t>(m, []() -> const RankingOf<uint64_t>& { return ranking().weighted; });
  m.def("item_delong", [](In<uint32_t, 1> items, int64_t clicks, Out<uint64_t, 2> sums) {
    require(sums.shape(1) == 5, "sums is not [T, 5]");
    const auto rows = sorted_items(items, clicks, sums.shape(0));
    nb::gil_scoped_release release;
    ranking().delong(rows, sums.data());
  });
}

}  // namespace clickwise
