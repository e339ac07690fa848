#include <mutex>
#include <new>
#include <vector>

#include "bindings/module.hpp"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace clickwise {
namespace {

void ask_for_huge_pages(void* memory, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), at = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t begin = (at + page - 1) / page * page, end = (at + bytes) / page * page;
  if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)memory, (void)bytes;
#endif
}

// Large pieces of memory, kept for the next that fits. The allocator of the C library cannot do that: what it gets back
// it cuts up, and soon no hole is large enough.
class Pieces {
 public:
  struct Piece {
    void* memory;
    size_t bytes;
  };

  // The smallest kept piece that is large enough, or a new one.
  Piece get(size_t bytes) {
    {
      std::lock_guard lock(mutex_);
      auto best = kept_.end();
      for (auto piece = kept_.begin(); piece != kept_.end(); piece++)
        if (piece->bytes >= bytes && (best == kept_.end() || piece->bytes < best->bytes)) best = piece;
      if (best != kept_.end()) {
        const Piece found = *best;
        kept_.erase(best);
        kept_bytes_ -= found.bytes;
        return found;
      }
    }
    const Piece piece{::operator new(bytes, kHugePage), bytes};
    ask_for_huge_pages(piece.memory, bytes);
    return piece;
  }

  void give_back(Piece piece) {
    std::lock_guard lock(mutex_);
    if (keep_ && kept_bytes_ + piece.bytes <= kMost) {
      kept_.push_back(piece);
      kept_bytes_ += piece.bytes;
    } else {
      ::operator delete(piece.memory, kHugePage);
    }
  }

  void keep(bool keep) {
    std::lock_guard lock(mutex_);
    keep_ = keep;
    if (keep) return;
    for (const Piece& piece : kept_) ::operator delete(piece.memory, kHugePage);
    kept_.clear();
    kept_bytes_ = 0;
  }

 private:
  static constexpr std::align_val_t kHugePage{size_t{1} << 21};
  static constexpr size_t kMost = size_t{1} << 31;
  std::mutex mutex_;
  std::vector<Piece> kept_;
  size_t kept_bytes_ = 0;
  bool keep_ = false;
};

Pieces& pieces() {
  static auto* all = new Pieces;  // never destroyed: an array may be given back at exit
  return *all;
}

}  // namespace

void add_memory(nb::module_& m) {
  // Asks the system for huge pages under this array; best before it is first written. A wish, never an error.
  m.def("advise_huge_pages", [](Out<float, 1> memory) {
    ask_for_huge_pages(memory.data(), memory.size() * sizeof(float));
  });

  // [count], uninitialised, in huge pages where the system has them: for an array of many megabytes.
  m.def("large_floats", [](size_t count) {
    auto* piece = new Pieces::Piece(pieces().get(count * sizeof(float)));
    nb::capsule owner(piece, [](void* held) noexcept {
      auto* piece = static_cast<Pieces::Piece*>(held);
      pieces().give_back(*piece);
      delete piece;
    });
    return nb::ndarray<nb::numpy, float, nb::ndim<1>>(static_cast<float*>(piece->memory), {count}, owner);
  });

  // Whether freed memory is kept for the next request: up to 1 GiB by the allocator, and up to 2 GiB of `large_floats`.
  // Otherwise large pieces go back to the system each time, which clears every page again before the next step writes.
  m.def("keep_freed_memory", [](bool keep) {
    pieces().keep(keep);
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, keep ? 1 << 28 : 128 << 10);
    mallopt(M_TRIM_THRESHOLD, keep ? 1 << 30 : 128 << 10);
    if (!keep) malloc_trim(0);
#else
    (void)keep;
#endif
  });
}

}  // namespace clickwise
