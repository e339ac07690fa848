#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bindings/module.hpp"
#include "requests/number_text.hpp"
#include "requests/request.hpp"
#include "requests/token_plan.hpp"

namespace clickwise {
namespace {

// The buffers of a column as arrays that keep the request alive: Arrow's layout.
template <class T>
nb::object view(nb::handle owner, const T* data, int64_t size) {
  static const T none{};
  const size_t shape[1] = {size_t(size)};
  return nb::cast(nb::ndarray<nb::numpy, const T, nb::ndim<1>>(size ? data : &none, 1, shape, owner));
}

// Whether it is there; whether all of its cells are true or false; bytes, offsets and validity of the text; and of lists
// offsets and validity, else None. Validity of no bytes: nothing is null.
nb::tuple column_parts(nb::handle owner, const Column& column) {
  const auto& offsets = column.offsets();
  const auto &valid = column.validity(), &list_valid = column.list_validity();
  nb::object lists = nb::none(), lists_validity = nb::none();
  if (column.list()) {
    lists = view(owner, column.lists().data(), int64_t(column.lists().size()));
    lists_validity = view(owner, list_valid.data(), int64_t(list_valid.size()));
  }
  return nb::make_tuple(column.all_bools(), view(owner, column.bytes().data(), column.bytes().size()),
                        view(owner, offsets.data(), int64_t(offsets.size())),
                        view(owner, valid.data(), int64_t(valid.size())), lists, lists_validity);
}

std::vector<int> given(const std::vector<Column>& columns) {
  std::vector<int> found;
  for (size_t i = 0; i < columns.size(); i++)
    if (columns[i].given()) found.push_back(int(i));
  return found;
}

// SlotPlans, and the arrays that they point into.
class TokenPlan {
 public:
  void add_vocabulary(int column, int slot, int32_t first_row, uint64_t seed, In<uint64_t, 1> hashes, In<int32_t, 1> ids,
                      In<int32_t, 1> first) {
    int bits = 1;
    while (bits < 31 && int64_t(first.shape(0)) != (int64_t{1} << bits) + 1) bits++;
    const int64_t V = hashes.shape(0);
    require(bits < 31 && int64_t(ids.shape(0)) == V && first.data()[first.shape(0) - 1] == V, "no such directory");
    SlotPlan plan = plan_of(SlotPlan::kVocabulary, column, slot, first_row);
    plan.index = {hashes.data(), ids.data(), first.data(), V, bits, seed};
    keep(plan, {nb::cast(hashes), nb::cast(ids), nb::cast(first)});
  }
  void add_hashing(int column, int slot, int32_t first_row, uint64_t seed, uint64_t buckets) {
    require(buckets >= 1 && buckets <= uint64_t(INT32_MAX - kFirstToken), "the buckets do not fit int32");
    SlotPlan plan = plan_of(SlotPlan::kHashing, column, slot, first_row);
    plan.seed = seed;
    plan.buckets = buckets;
    keep(plan, {});
  }
  void add_bucket(int column, int slot, int32_t first_row, In<double, 1> cuts) {
    SlotPlan plan = plan_of(SlotPlan::kBucket, column, slot, first_row);
    plan.cuts = cuts.data();
    plan.num_cuts = int64_t(cuts.shape(0));
    keep(plan, {nb::cast(cuts)});
  }
  bool fill(const Request& request, int64_t max_token_bytes, Out<int32_t, 2> sparse) const {
    require(int64_t(sparse.shape(0)) == request.count && !request.problem, "sparse is not [candidates, S]");
    for (const SlotPlan& plan : plans_)
      require(plan.slot < int64_t(sparse.shape(1)) && size_t(plan.column) < request.user.size(), "a plan does not fit");
    nb::gil_scoped_release release;
    return fill_slots(request, plans_, max_token_bytes, int64_t(sparse.shape(1)), sparse.data());
  }

 private:
  static SlotPlan plan_of(SlotPlan::Kind kind, int column, int slot, int32_t first_row) {
    require(column >= 0 && slot >= 0, "no such column or slot");
    SlotPlan plan{};
    plan.kind = kind;
    plan.column = column;
    plan.slot = slot;
    plan.first_row = first_row;
    return plan;
  }
  void keep(const SlotPlan& plan, std::vector<nb::object> owners) {
    plans_.push_back(plan);
    for (auto& owner : owners) owners_.push_back(std::move(owner));
  }

  std::vector<SlotPlan> plans_;
  std::vector<nb::object> owners_;
};

}  // namespace

void add_requests(nb::module_& m) {
  nb::class_<Request>(m, "Request")
      .def_ro("count", &Request::count)
      .def_ro("ignored", &Request::ignored)
      .def_prop_ro("problem",
                   [](const Request& self) -> nb::object {
                     if (!self.problem) return nb::none();
                     const Problem& p = *self.problem;
                     return nb::make_tuple(p.what, p.byte, p.candidate, p.column, p.value);
                   })
      .def("user_columns", [](const Request& self) { return given(self.user); })
      .def("candidate_columns", [](const Request& self) { return given(self.candidates); })
      .def("user_column", [](nb::object self, size_t i) { return column_parts(self, nb::cast<Request&>(self).user.at(i)); })
      .def("candidate_column",
           [](nb::object self, size_t i) { return column_parts(self, nb::cast<Request&>(self).candidates.at(i)); });
  nb::class_<RequestReader>(m, "RequestReader")
      .def("__init__",
           [](RequestReader* self, std::vector<std::string> names, std::vector<bool> lists) {
             require(names.size() == lists.size(), "names and lists are not of one length");
             new (self) RequestReader(std::move(names), std::move(lists));
           })
      .def("read", [](const RequestReader& self, nb::bytes body, int64_t max_candidates) {
        const auto* const text = reinterpret_cast<const uint8_t*>(body.c_str());
        const auto size = int64_t(body.size());
        nb::gil_scoped_release release;
        return self.read(text, size, max_candidates);
      });
  nb::class_<TokenPlan>(m, "TokenPlan")
      .def(nb::init<>())
      .def("add_vocabulary", &TokenPlan::add_vocabulary)
      .def("add_hashing", &TokenPlan::add_hashing)
      .def("add_bucket", &TokenPlan::add_bucket)
      .def("fill", &TokenPlan::fill);
}

}  // namespace clickwise
