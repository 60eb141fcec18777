/*
 * IEEE 754 binary16 <-> binary32, rounding to nearest, ties to even. Every NaN
 * becomes the one quiet NaN 0x7e00, so that the same numbers are the same
 * bytes with and without F16C.
 */
#ifndef TOCSIN_HALF_H
#define TOCSIN_HALF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HALF_NAN 0x7e00u
#define HALF_MAX 65504.0f

uint16_t half_from_float(float value);
float half_to_float(uint16_t half);

/* Many at once, by F16C where the processor has it: the same bits. */
void half_to_floats(const uint16_t *halves, float *values, size_t count);

/* The portable way, for tests on machines that have the other. */
void half_to_floats_portable(const uint16_t *halves, float *values,
                             size_t count);

#endif
