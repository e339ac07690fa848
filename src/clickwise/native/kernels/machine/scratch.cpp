#include "machine/scratch.hpp"

#include <cstddef>
#include <new>

namespace clickwise {
namespace {

constexpr std::align_val_t kLine{64};

struct Store {
  uint8_t* memory = nullptr;
  int64_t size = 0;

  ~Store() { ::operator delete(memory, kLine); }

  uint8_t* get(int64_t bytes) {
    if (bytes > size) {
      ::operator delete(memory, kLine);
      memory = nullptr;
      size = 0;
      memory = static_cast<uint8_t*>(::operator new(static_cast<std::size_t>(bytes), kLine));
      size = bytes;
    }
    return memory;
  }
};

}  // namespace

uint8_t* scratch(Scratch store, int64_t bytes) {
  thread_local Store stores[2];
  return stores[static_cast<int>(store)].get(bytes);
}

}  // namespace clickwise
