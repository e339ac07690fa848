#include "machine/isa.hpp"

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace clickwise {
namespace {

constexpr const char* kNames[] = {"portable", "avx2", "avx512", "avx512_bf16", "amx", "amx_emulated"};

#ifdef CW_X86
// The operating system gives the tile registers only to those who ask (arch_prctl ARCH_REQ_XCOMP_PERM, XFEATURE 18).
bool may_use_tiles() {
#ifdef __linux__
  return __builtin_cpu_supports("amx-bf16") && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
  return false;
#endif
}
#endif

std::vector<Isa> find() {
  std::vector<Isa> found;
#ifdef CW_X86
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
  if (bf16 && may_use_tiles()) found.push_back(Isa::amx);
  if (bf16) found.push_back(Isa::avx512_bf16);
  if (avx512) found.push_back(Isa::avx512);
  if (avx2) found.push_back(Isa::avx2);
#endif
  found.push_back(Isa::portable);
  found.push_back(Isa::amx_emulated);
  return found;
}

const std::vector<Isa>& found() {
  static const std::vector<Isa> isas = find();
  return isas;
}

Isa named(const std::string& wanted) {
  std::string names;
  for (Isa i : found()) {
    if (wanted == name(i)) return i;
    names += (names.empty() ? "" : ", ") + std::string(name(i));
  }
  throw std::invalid_argument("no instruction set \"" + wanted + "\" on this machine; there are " + names);
}

std::atomic<Isa>& chosen() {
  static std::atomic<Isa> isa = [] {
    const char* wanted = std::getenv("CLICKWISE_ISA");
    return wanted && *wanted ? named(wanted) : found().front();
  }();
  return isa;
}

}  // namespace

Isa isa() { return chosen().load(std::memory_order_relaxed); }

const char* name(Isa isa) { return kNames[static_cast<int>(isa)]; }

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (Isa i : found()) names.emplace_back(name(i));
  return names;
}

void use_isa(const std::string& name) { chosen().store(named(name), std::memory_order_relaxed); }

}  // namespace clickwise
