#include "distinct.hpp"

#include <new>

#include "bindings/module.hpp"

namespace clickwise {

void add_distinct(nb::module_& m) {
  m.def("distinct", [](In<int32_t, 2> sparse, In<int32_t, 1> groups, Out<int32_t, 1> rows, Out<int32_t, 1> starts,
                       Out<int32_t, 2> inverse) {
    const int64_t B = sparse.shape(0), S = sparse.shape(1), G = int64_t(groups.shape(0)) - 1;
    require_starts(groups, S, "groups are not [G + 1], from 0 up to S");
    require(B * S < INT32_MAX, "more slots than an int32 counts");
    require(int64_t(rows.shape(0)) == 1 + B * S, "rows is not [1 + S * B]");
    require(int64_t(starts.shape(0)) == G + 1, "starts is not [G + 1]");
    require(int64_t(inverse.shape(0)) == S && int64_t(inverse.shape(1)) == B, "inverse is not [S, B]");
    int64_t count;
    {
      nb::gil_scoped_release release;
      count = distinct().find(sparse.data(), B, S, groups.data(), G, rows.data(), starts.data(), inverse.data());
    }
    if (count < 0) throw std::bad_alloc();
    return count;
  });
}

}  // namespace clickwise
