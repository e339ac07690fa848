#include "bindings/module.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "machine/isa.hpp"
#include "machine/pool.hpp"

NB_MODULE(_kernels, m) {
  using namespace clickwise;
  nanobind::set_leak_warnings(false);  // what a program still holds when it ends is no leak
  m.def("isa", [] { return std::string(name(isa())); });
  m.def("available_isas", &available_isas);
  m.def("use_isa", &use_isa);
  m.def("threads", &threads);
  m.def("set_threads", &set_threads);
  add_attention(m);
  add_bilinear(m);
  add_columns(m);
  add_cross(m);
  add_dense(m);
  add_distinct(m);
  add_interactions(m);
  add_lines(m);
  add_memory(m);
  add_norm(m);
  add_pooling(m);
  add_ranking(m);
  add_requests(m);
  add_updates(m);
}
