#include "bindings/module.hpp"

#ifdef __GLIBC__
#include <malloc.h>

#include <limits>
#endif
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace clickwise {

void add_memory(nb::module_& m) {
  // Asks the system for huge pages under this array; best before it is first written. A wish, never an error.
  m.def("advise_huge_pages", [](Out<float, 1> memory) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto begin = (reinterpret_cast<uintptr_t>(memory.data()) + page - 1) / page * page;
    const auto end = reinterpret_cast<uintptr_t>(memory.data() + memory.size()) / page * page;
    if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
    (void)memory;
#endif
  });

  // Whether the allocator keeps freed memory up to 2 GiB, and pieces of up to 1 GiB of it, for the next request. Otherwise it hands large pieces back to
  // the system each time, which clears every page again before the next step writes it.
  m.def("keep_freed_memory", [](bool keep) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, keep ? 1 << 30 : 128 << 10);
    mallopt(M_TRIM_THRESHOLD, keep ? std::numeric_limits<int>::max() : 128 << 10);
    if (!keep) malloc_trim(0);
#else
    (void)keep;
#endif
  });
}

}  // namespace clickwise
