#include "dense/tower.hpp"

#include "dense/backward.hpp"
#include "dense/forward.hpp"
#include "dense/spin.hpp"

namespace clickwise::CW_ISA {
namespace {

int64_t tower_saved_bytes(const DenseTower& tower, int64_t B) {
  Cutter cutter;
  if (tower.half)
    Saved<bf16>(tower, B, cutter);
  else
    Saved<float>(tower, B, cutter);
  return cutter.used;
}

void tower_forward(const DenseTower& tower, const float* x, int64_t B, uint8_t* saved, float* y) {
  if (tower.half)
    forward<bf16>(tower, x, B, saved, y);
  else
    forward<float>(tower, x, B, saved, y);
}

void tower_backward(const DenseTower& tower, const float* x, int64_t B, const uint8_t* saved, const float* y,
                    const float* grad_y, float* grad_x) {
  if (tower.half)
    backward<bf16>(tower, x, B, saved, y, grad_y, grad_x);
  else
    backward<float>(tower, x, B, saved, y, grad_y, grad_x);
}

int64_t tower_packed_bytes(const DenseTower& tower) {
  return tower.half ? packed_bytes<bf16>(tower) : packed_bytes<float>(tower);
}

void tower_pack(const DenseTower& tower, uint8_t* packed) {
  if (tower.half)
    pack_tower<bf16>(tower, packed);
  else
    pack_tower<float>(tower, packed);
}

void tower_score(const PackedTower& packed, const float* x, int64_t B, float* y) {
  if (packed.tower.half)
    score<bf16>(packed, x, B, y);
  else
    score<float>(packed, x, B, y);
}

int64_t spin(bool half, int64_t steps) { return half ? spin_halves(steps) : spin_floats(steps); }

}  // namespace

extern const DenseKernels dense;
const DenseKernels dense{tower_saved_bytes, tower_forward, tower_backward, tower_packed_bytes, tower_pack,
                         tower_score, spin};

}  // namespace clickwise::CW_ISA
