#include "machine/pool.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace clickwise {
namespace {

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Flushes denormals for as long as it lives: decayed moments would otherwise slow a step by an order of magnitude.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#endif
};

struct Job {
  int64_t count;
  void (*task)(void*, int64_t);
  void* context;
  std::atomic<int64_t> next{0};

  void work() {
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) task(context, i);
  }
};

class Pool {
 public:
  explicit Pool(int count) {
    for (int i = 1; i < count; i++) threads_.emplace_back([this] { serve(); });
  }

  ~Pool() {
    {
      std::lock_guard lock(state_);
      closing_ = true;
      generation_++;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  void run(Job& job) {
    {
      std::lock_guard lock(state_);
      job_ = &job;
      generation_++;
    }
    wake_.notify_all();
    job.work();
    std::unique_lock lock(state_);
    job_ = nullptr;  // who wakes up late finds nothing
    idle_.wait(lock, [this] { return inside_ == 0; });
  }

 private:
  // A short wait for the next call before going to sleep; a step is a series of calls some microseconds apart.
  static constexpr int kSpins = 2000;

  void serve() {
    FlushDenormals flush;
    uint64_t seen = 0;
    while (true) {
      for (int i = 0; i < kSpins && generation_.load(std::memory_order_relaxed) == seen; i++) pause();
      std::unique_lock lock(state_);
      wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
      seen = generation_;
      if (closing_) return;
      if (!job_) continue;
      Job& job = *job_;
      inside_++;
      lock.unlock();
      job.work();
      lock.lock();
      if (--inside_ == 0) idle_.notify_one();
    }
  }

  std::vector<std::thread> threads_;
  std::mutex state_;
  std::condition_variable wake_, idle_;
  std::atomic<uint64_t> generation_{0};
  Job* job_ = nullptr;
  int inside_ = 0;
  bool closing_ = false;
};

std::mutex* using_pool = new std::mutex;  // replaced in a forked child, where nobody can release it
Pool* pool = nullptr;                     // never destroyed at exit: its threads may still be in a kernel
std::atomic<int> wanted{static_cast<int>(std::thread::hardware_concurrency())};

// A forked child has the pool's memory but not its threads: start anew.
void forget_pool() {
  using_pool = new std::mutex;
  pool = nullptr;
}

Pool& pool_of_wanted_size() {
#if defined(__unix__) || defined(__APPLE__)
  static const int registered = pthread_atfork(nullptr, nullptr, forget_pool);
  (void)registered;
#endif
  if (pool && pool->size() != threads()) {
    delete pool;
    pool = nullptr;
  }
  if (!pool) pool = new Pool(threads());
  return *pool;
}

}  // namespace

void set_threads(int count) { wanted = count; }

int threads() { return wanted > 1 ? wanted.load() : 1; }

void run_tasks(int64_t count, void (*task)(void*, int64_t), void* context) {
  FlushDenormals flush;
  Job job{count, task, context};
  std::unique_lock lock(*using_pool, std::defer_lock);
  if (threads() == 1 || count <= 1 || !lock.try_lock())
    job.work();
  else
    pool_of_wanted_size().run(job);
}

}  // namespace clickwise
