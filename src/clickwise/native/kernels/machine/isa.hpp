// Which instruction set the kernels use, chosen once at run time.
#pragma once
#include <string>
#include <vector>

namespace clickwise {

enum class Isa { portable, avx2, avx512, avx512_bf16, amx, amx_emulated };

// The one in use: the best that processor and operating system offer, unless `CLICKWISE_ISA` or `use_isa` says another.
Isa isa();
const char* name(Isa);

// Those this machine can run, best first; `amx_emulated` (AMX in plain C++, for tests) is always the last.
std::vector<std::string> available_isas();

// Throws std::invalid_argument, with the possible names, when this machine cannot run it.
void use_isa(const std::string& name);

}  // namespace clickwise

// CW_VECTOR_FAMILY(Table, instance): `Table` is a struct of function pointers; every instruction set defines
// `const Table instance` in its namespace, and `clickwise::instance()` gives the one in use.
#ifdef CW_X86
#define CW_VECTOR_FAMILY(Table, instance)                                   \
  namespace portable { extern const Table instance; }                       \
  namespace avx2 { extern const Table instance; }                           \
  namespace avx512 { extern const Table instance; }                         \
  inline const Table& instance() {                                          \
    switch (isa()) {                                                        \
      case Isa::portable: case Isa::amx_emulated: return portable::instance; \
      case Isa::avx2: return avx2::instance;                                \
      default: return avx512::instance;                                     \
    }                                                                       \
  }
#define CW_DENSE_FAMILY(Table, instance)                          \
  namespace portable { extern const Table instance; }             \
  namespace avx2 { extern const Table instance; }                 \
  namespace avx512 { extern const Table instance; }               \
  namespace avx512_bf16 { extern const Table instance; }          \
  namespace amx { extern const Table instance; }                  \
  namespace amx_emulated { extern const Table instance; }         \
  inline const Table& instance() {                                \
    switch (isa()) {                                              \
      case Isa::portable: return portable::instance;              \
      case Isa::avx2: return avx2::instance;                      \
      case Isa::avx512: return avx512::instance;                  \
      case Isa::avx512_bf16: return avx512_bf16::instance;        \
      case Isa::amx: return amx::instance;                        \
      default: return amx_emulated::instance;                     \
    }                                                             \
  }
#else
#define CW_VECTOR_FAMILY(Table, instance)             \
  namespace portable { extern const Table instance; } \
  inline const Table& instance() { return portable::instance; }
#define CW_DENSE_FAMILY(Table, instance)                  \
  namespace portable { extern const Table instance; }     \
  namespace amx_emulated { extern const Table instance; } \
  inline const Table& instance() { return isa() == Isa::portable ? portable::instance : amx_emulated::instance; }
#endif
