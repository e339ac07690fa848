#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bindings/module.hpp"
#include "requests/arrow.hpp"
#include "requests/input_plan.hpp"
#include "requests/request.hpp"

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

// Rows of Arrow, whose owners live as long.
class RowsReader {
 public:
  explicit RowsReader(std::vector<std::string> names) : names_(std::move(names)) {}

  std::unique_ptr<ArrowRows> read(nb::handle schema, nb::handle batch) const {
    const auto* const kinds = static_cast<const ArrowSchema*>(PyCapsule_GetPointer(schema.ptr(), "arrow_schema"));
    const auto* const arrays = static_cast<const ArrowArray*>(PyCapsule_GetPointer(batch.ptr(), "arrow_array"));
    if (!kinds || !arrays) throw nb::python_error();
    require(arrays->offset == 0 && kinds->n_children == arrays->n_children, "no record batch");
    return std::make_unique<ArrowRows>(names_, *kinds, *arrays);
  }

 private:
  std::vector<std::string> names_;
};

const Sides& sides_of(const ArrowRows& rows) { return rows.sides; }
Sides sides_of(const Request& request) {
  require(!request.problem, "nothing was read");
  return request.sides();
}

// Where the ids of a field go, and what its cells are.
struct Target {
  int column, slot;
  int32_t first_row;
  int length;
  bool many, history;
  std::string separator;
};

// An InputPlan, and the arrays that it points into.
class Plan {
 public:
  explicit Plan(int64_t max_token_bytes) : plan_(max_token_bytes) {}

  void add_vocabulary(const Target& target, uint64_t seed, In<uint64_t, 1> hashes, In<int32_t, 1> ids, In<int32_t, 1> first) {
    int bits = 1;
    while (bits < 31 && int64_t(first.shape(0)) != (int64_t{1} << bits) + 1) bits++;
    const int64_t V = hashes.shape(0);
    require(bits < 31 && int64_t(ids.shape(0)) == V && first.data()[first.shape(0) - 1] == V, "no such directory");
    FieldPlan plan = field_of(FieldPlan::kVocabulary, target);
    plan.index = {hashes.data(), ids.data(), first.data(), V, bits, seed};
    plan_.add(plan);
    owners_.insert(owners_.end(), {nb::cast(hashes), nb::cast(ids), nb::cast(first)});
  }
  void add_hashing(const Target& target, uint64_t seed, uint64_t buckets) {
    require(buckets >= 1 && buckets <= uint64_t(INT32_MAX - kFirstToken), "the buckets do not fit int32");
    FieldPlan plan = field_of(FieldPlan::kHashing, target);
    plan.seed = seed;
    plan.buckets = buckets;
    plan_.add(plan);
  }
  void add_bucket(const Target& target, In<double, 1> cuts) {
    FieldPlan plan = field_of(FieldPlan::kBucket, target);
    plan.cuts = cuts.data();
    plan.num_cuts = int64_t(cuts.shape(0));
    plan_.add(plan);
    owners_.push_back(nb::cast(cuts));
  }
  bool add_time(const Target& target, int part, std::string format) {
    require(part >= kMinute && part <= kMonth, "no such part of a time");
    if (!format.empty() && !can_read_format(format)) return false;
    FieldPlan plan = field_of(FieldPlan::kTime, target);
    plan.part = TimePart(part);
    plan.format = std::move(format);
    plan_.add(plan);
    return true;
  }
  void add_scaled(int column, int place, float missing, double mean, double std, bool logarithm) {
    NumberPlan plan = number_of(logarithm ? NumberPlan::kScaledLog : NumberPlan::kScaled, column, place, missing);
    plan.mean = mean;
    plan.std = std;
    plan_.add(plan);
  }
  void add_quantile(int column, int place, float missing, In<double, 1> cuts, int steps) {
    NumberPlan plan = number_of(NumberPlan::kQuantile, column, place, missing);
    plan.cuts = cuts.data();
    plan.num_cuts = int64_t(cuts.shape(0));
    plan.steps = steps;
    plan_.add(plan);
    owners_.push_back(nb::cast(cuts));
  }

  // Numbers of what is left to do otherwise, and the numbers to take logarithms of.
  template <class Read>
  nb::tuple fill(const Read& read, Out<int32_t, 2> sparse, Out<float, 2> dense) const {
    auto logs = std::make_unique<std::vector<double>>();
    std::vector<int> left;
    {
      nb::gil_scoped_release release;
      const auto& sides = sides_of(read);
      check(sides, dense);
      require(int64_t(sparse.shape(0)) == sides.count, "sparse is not [candidates, S]");
      require(plan_.num_slots() <= int64_t(sparse.shape(1)), "a plan does not fit");
      const int64_t S = sparse.shape(1), N = dense.shape(1);
      left = plan_.fill(sides, sparse.data(), S, dense.data(), N, *logs);
    }
    double* const data = logs->data();
    const size_t shape[1] = {logs->size()};
    nb::capsule owner(logs.release(), [](void* p) noexcept { delete static_cast<std::vector<double>*>(p); });
    return nb::make_tuple(left, nb::ndarray<nb::numpy, double, nb::ndim<1>>(data, 1, shape, owner));
  }
  template <class Read>
  void fill_logs(const Read& read, In<double, 1> logs, Out<float, 2> dense) const {
    nb::gil_scoped_release release;
    const auto& sides = sides_of(read);
    check(sides, dense);
    require(int64_t(logs.shape(0)) == plan_.num_logs(sides), "logs are not of this request");
    plan_.fill_logs(sides, logs.data(), dense.data(), int64_t(dense.shape(1)));
  }

 private:
  static FieldPlan field_of(FieldPlan::Kind kind, const Target& target) {
    require(target.column >= 0 && target.slot >= 0 && target.length >= 1, "no such column or slot");
    require(target.many || target.length == 1, "a single value fills one slot");
    FieldPlan plan{};
    plan.kind = kind;
    plan.column = target.column;
    plan.slot = target.slot;
    plan.first_row = target.first_row;
    plan.length = target.length;
    plan.many = target.many;
    plan.history = target.history;
    plan.separator = target.separator;
    return plan;
  }
  static NumberPlan number_of(NumberPlan::Kind kind, int column, int place, float missing) {
    require(column >= 0 && place >= 0, "no such column or number");
    NumberPlan plan{};
    plan.kind = kind;
    plan.column = column;
    plan.place = place;
    plan.missing = missing;
    return plan;
  }
  void check(const Sides& sides, const Out<float, 2>& dense) const {
    require(int64_t(dense.shape(0)) == sides.count, "dense is not [candidates, N]");
    require(plan_.num_columns() <= int64_t(sides.candidates.size()) && plan_.num_numbers() <= int64_t(dense.shape(1)),
            "a plan does not fit");
  }

  InputPlan plan_;
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
  nb::class_<ArrowRows>(m, "ArrowRows");
  nb::class_<RowsReader>(m, "RowsReader")
      .def(nb::init<std::vector<std::string>>())
      .def("read", &RowsReader::read, nb::keep_alive<0, 2>(), nb::keep_alive<0, 3>());
  nb::class_<Target>(m, "Target").def(nb::init<int, int, int32_t, int, bool, bool, std::string>());
  nb::class_<Plan>(m, "InputPlan")
      .def(nb::init<int64_t>())
      .def("add_vocabulary", &Plan::add_vocabulary)
      .def("add_hashing", &Plan::add_hashing)
      .def("add_bucket", &Plan::add_bucket)
      .def("add_time", &Plan::add_time)
      .def("add_scaled", &Plan::add_scaled)
      .def("add_quantile", &Plan::add_quantile)
      .def("fill", &Plan::fill<Request>)
      .def("fill", &Plan::fill<ArrowRows>)
      .def("fill_logs", &Plan::fill_logs<Request>)
      .def("fill_logs", &Plan::fill_logs<ArrowRows>);
}

}  // namespace clickwise
