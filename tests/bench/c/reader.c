/* The consumer that reads every byte, and the copier's fused pass, for the machine at hand. */
#include <immintrin.h>

#include "bench.h"

static inline uint64_t tail_sum(const uint8_t *p, uint64_t n)
{
	uint64_t s = 0;

	for (; n >= 4; n -= 4, p += 4) {
		uint32_t x;

		memcpy(&x, p, 4);
		s += x;
	}
	if (n) {
		uint32_t x = 0;

		memcpy(&x, p, n);
		s += x;
	}
	return s;
}

static uint64_t read_plain(const uint8_t *p, uint64_t n)
{
	return tail_sum(p, n);
}

__attribute__((target("avx2"))) static inline uint64_t fold256(__m256i a)
{
	return (uint64_t)_mm256_extract_epi64(a, 0) + (uint64_t)_mm256_extract_epi64(a, 1) +
	       (uint64_t)_mm256_extract_epi64(a, 2) + (uint64_t)_mm256_extract_epi64(a, 3);
}

__attribute__((target("avx2"))) static uint64_t read_avx2(const uint8_t *p, uint64_t n)
{
	const __m256i low = _mm256_set1_epi64x(0xffffffff);
	__m256i a0 = _mm256_setzero_si256(), a1 = a0, a2 = a0, a3 = a0;

	for (; n >= 64; n -= 64, p += 64) {
		__m256i x = _mm256_loadu_si256((const void *)p), y = _mm256_loadu_si256((const void *)(p + 32));

		a0 = _mm256_add_epi64(a0, _mm256_and_si256(x, low));
		a1 = _mm256_add_epi64(a1, _mm256_srli_epi64(x, 32));
		a2 = _mm256_add_epi64(a2, _mm256_and_si256(y, low));
		a3 = _mm256_add_epi64(a3, _mm256_srli_epi64(y, 32));
	}
	return tail_sum(p, n) + fold256(_mm256_add_epi64(_mm256_add_epi64(a0, a1), _mm256_add_epi64(a2, a3)));
}

__attribute__((target("avx512f"))) static uint64_t read_avx512(const uint8_t *p, uint64_t n)
{
	const __m512i low = _mm512_set1_epi64(0xffffffff);
	__m512i a0 = _mm512_setzero_si512(), a1 = a0, a2 = a0, a3 = a0;

	for (; n >= 128; n -= 128, p += 128) {
		__m512i x = _mm512_loadu_si512(p), y = _mm512_loadu_si512(p + 64);

		a0 = _mm512_add_epi64(a0, _mm512_and_si512(x, low));
		a1 = _mm512_add_epi64(a1, _mm512_srli_epi64(x, 32));
		a2 = _mm512_add_epi64(a2, _mm512_and_si512(y, low));
		a3 = _mm512_add_epi64(a3, _mm512_srli_epi64(y, 32));
	}
	return tail_sum(p, n) +
	       _mm512_reduce_add_epi64(_mm512_add_epi64(_mm512_add_epi64(a0, a1), _mm512_add_epi64(a2, a3)));
}

static uint64_t copy_sum_plain(uint8_t *to, const uint8_t *from, uint64_t n)
{
	memcpy(to, from, n);
	return tail_sum(to, n);
}

__attribute__((target("avx2"))) static uint64_t copy_sum_avx2(uint8_t *to, const uint8_t *from, uint64_t n)
{
	const __m256i low = _mm256_set1_epi64x(0xffffffff);
	__m256i a0 = _mm256_setzero_si256(), a1 = a0, a2 = a0, a3 = a0;

	for (; n >= 64; n -= 64, from += 64, to += 64) {
		__m256i x = _mm256_loadu_si256((const void *)from), y = _mm256_loadu_si256((const void *)(from + 32));

		_mm256_storeu_si256((void *)to, x);
		_mm256_storeu_si256((void *)(to + 32), y);
		a0 = _mm256_add_epi64(a0, _mm256_and_si256(x, low));
		a1 = _mm256_add_epi64(a1, _mm256_srli_epi64(x, 32));
		a2 = _mm256_add_epi64(a2, _mm256_and_si256(y, low));
		a3 = _mm256_add_epi64(a3, _mm256_srli_epi64(y, 32));
	}
	memcpy(to, from, n);
	return tail_sum(to, n) + fold256(_mm256_add_epi64(_mm256_add_epi64(a0, a1), _mm256_add_epi64(a2, a3)));
}

uint64_t (*read_all)(const uint8_t *, uint64_t) = read_plain;
uint64_t (*copy_sum)(uint8_t *, const uint8_t *, uint64_t) = copy_sum_plain;

__attribute__((constructor)) static void choose(void)
{
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2")) {
		read_all = read_avx2;
		copy_sum = copy_sum_avx2;
	}
	if (__builtin_cpu_supports("avx512f"))
		read_all = read_avx512;
}
