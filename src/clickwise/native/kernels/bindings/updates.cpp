#include "updates.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/module.hpp"

namespace clickwise {
namespace {

const UpdateRule& named(const std::string& name) {
  for (const UpdateRule& rule : updates().rules)
    if (name == rule.name) return rule;
  throw std::invalid_argument("clickwise kernels: no update rule " + name);
}

}  // namespace

void add_updates(nb::module_& m) {
  m.def("update", [](const std::string& name, const std::vector<float>& scalars, Out<float, 2> weight,
                     const std::vector<Out<float, 1>>& state, In<int32_t, 1> rows, In<float, 2> grad,
                     float l2) {
    const UpdateRule& rule = named(name);
    const int64_t V = weight.shape(0), D = weight.shape(1);
    const int64_t U = rows.is_valid() ? rows.shape(0) : V;
    require(int64_t(grad.shape(0)) == U && int64_t(grad.shape(1)) == D, "grad is not [U, D]");
    require(int(scalars.size()) == rule.scalars, "the rule has another number of scalars");
    require(int(state.size()) == rule.state, "the rule has another number of states");
    for (const auto& s : state) require(int64_t(s.shape(0)) == V * (rule.state_by_row ? 1 : D), "state is not [V * D]");
    if (rows.is_valid()) require_rows(rows, V);
    const Update update{weight.data(),
                        {rule.state > 0 ? state[0].data() : nullptr, rule.state > 1 ? state[1].data() : nullptr},
                        rows.is_valid() ? rows.data() : nullptr,
                        grad.data(),
                        U,
                        D,
                        l2,
                        scalars.data()};
    nb::gil_scoped_release release;
    rule.apply(update);
  }, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg());
}

}  // namespace clickwise
