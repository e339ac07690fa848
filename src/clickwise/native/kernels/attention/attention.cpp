#include "attention/attention.hpp"

#include "attention/backward.hpp"

namespace clickwise::CW_ISA {
namespace {

void attention_forward(const AttentionLayer& layer, const float* x, const float* weight, float* out) {
  const auto run = layer.half ? of_attention::forward<bf16> : of_attention::forward<float>;
  run(layer, x, weight, out);
}

void attention_backward(const AttentionLayer& layer, const float* x, const float* weight, const float* out,
                        const float* grad_out, float* grad_x, float* grad_weight) {
  const auto run = layer.half ? of_attention::backward<bf16> : of_attention::backward<float>;
  run(layer, x, weight, out, grad_out, grad_x, grad_weight);
}

}  // namespace

extern const AttentionKernels attention;
const AttentionKernels attention{attention_forward, attention_backward};

}  // namespace clickwise::CW_ISA
