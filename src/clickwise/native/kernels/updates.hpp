// Update rules, in place: for the touched rows of a table, and for all rows of a dense parameter.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

// U rows of D floats; u-th row of `grad` belongs to row rows[u] of weight and state, or to row u where `rows` is null.
// Rows are distinct. `l2` times the weight is added to its gradient.
struct Update {
  float* weight;         // [V, D]
  float* state[2];       // each as the rule says: [V, D], [V], or null
  const int32_t* rows;   // [U] or null
  const float* grad;     // [U, D]
  int64_t U, D;
  float l2;
  const float* scalars;  // as the rule says
};

// Shapes of a rule's arguments, in the order in which its file in clickwise/optim names them.
struct UpdateRule {
  const char* name;
  int scalars;
  int state;
  bool state_by_row;  // [V] instead of [V, D]
  void (*apply)(const Update&);
};

struct UpdateKernels {
  // sgd:             scalars lr.
  // adagrad:         scalars lr, eps;                              state sum.
  // rowwise_adagrad: scalars lr, eps;                              state sum [V].
  // adam:            scalars lr / (1 - beta1^t), 1 - beta1, beta2, 1 - beta2, (1 - beta2^t)^-1/2, eps;  state mean, square.
  // ftrl:            scalars 1 / alpha, beta, l1, l2;              state z, n.
  static constexpr int kRules = 5;
  UpdateRule rules[kRules];
};

CW_VECTOR_FAMILY(UpdateKernels, updates)

}  // namespace clickwise
