#include "dense/tower.hpp"

#include "dense/backward.hpp"
#include "dense/cross_v2.hpp"
#include "dense/forward.hpp"
#include "dense/spin.hpp"

namespace clickwise::CW_ISA {
namespace {

template <class E>
int64_t saved_bytes(const DenseTower& tower, int64_t B) {
  Cutter cutter;
  if (tower.links)
    CrossSaved<E>(tower, B, cutter);
  else
    Saved<E>(tower, B, cutter);
  return cutter.used;
}

int64_t tower_saved_bytes(const DenseTower& tower, int64_t B) {
  return tower.half ? saved_bytes<bf16>(tower, B) : saved_bytes<float>(tower, B);
}

template <class E>
void any_forward(const DenseTower& tower, const float* x, int64_t B, uint8_t* saved, float* y) {
  if (tower.links)
    cross_forward<E>(tower, x, B, saved, y);
  else
    forward<E>(tower, x, B, saved, y);
}

void tower_forward(const DenseTower& tower, const float* x, int64_t B, uint8_t* saved, float* y) {
  (tower.half ? any_forward<bf16> : any_forward<float>)(tower, x, B, saved, y);
}

template <class E>
void any_backward(const DenseTower& tower, const float* x, int64_t B, const uint8_t* saved, const float* y,
                  const float* grad_y, float* grad_x) {
  if (tower.links)
    cross_backward<E>(tower, x, B, saved, grad_y, grad_x);
  else
    backward<E>(tower, x, B, saved, y, grad_y, grad_x);
}

void tower_backward(const DenseTower& tower, const float* x, int64_t B, const uint8_t* saved, const float* y,
                    const float* grad_y, float* grad_x) {
  (tower.half ? any_backward<bf16> : any_backward<float>)(tower, x, B, saved, y, grad_y, grad_x);
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
