// Stores that pass the caches by. A line that is written whole need not be read first, and what is still wanted stays
// where it is.
#pragma once
#include "machine/vector.hpp"
#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace clickwise::CW_ISA {

// Whether a result of so many bytes is in no cache any more when somebody reads it.
CW_INLINE bool far(int64_t bytes) { return bytes > int64_t{1} << 25; }

// Whether to stream `rows` rows of `width` floats from `at` on: far, and made of whole vectors.
CW_INLINE bool streamable(const float* at, int64_t rows, int64_t width) {
  return far(rows * width * static_cast<int64_t>(sizeof(float))) && width % kLanes == 0 &&
         reinterpret_cast<uintptr_t>(at) % sizeof(Floats) == 0;
}

// `to` is a multiple of a vector's bytes.
CW_INLINE void stream(float* to, Floats v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(to, reinterpret_cast<__m512>(v));
#elif defined(__AVX__)
  _mm256_stream_ps(to, reinterpret_cast<__m256>(v));
#else
  store(to, v);
#endif
}

// After the last of a task: other threads see them from here on.
CW_INLINE void end_stream() {
#if defined(__AVX__)
  _mm_sfence();
#endif
}

}  // namespace clickwise::CW_ISA
