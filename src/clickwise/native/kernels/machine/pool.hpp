// One pool of threads for all kernels.
#pragma once
#include <cstdint>

namespace clickwise {

// Threads that work on a call, the caller included; at least 1. Results do not depend on it.
void set_threads(int count);
int threads();

// task(context, i) for each i in [0, count), in any order, by the caller and the pool's threads; returns when all are
// done. Denormals are flushed to zero meanwhile, in these threads only. Tasks must not throw and must not depend on
// each other. When another thread is using the pool, the caller does all the work itself.
void run_tasks(int64_t count, void (*task)(void* context, int64_t i), void* context);

template <class F>
void parallel_for(int64_t count, F&& f) {
  run_tasks(count, [](void* context, int64_t i) { (*static_cast<F*>(context))(i); }, &f);
}

}  // namespace clickwise
