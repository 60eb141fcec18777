/* The threads of the BLAS that libtorch was linked with. */
#ifndef TOCSIN_BLAS_H
#define TOCSIN_BLAS_H

/* For the whole process; nothing where the BLAS is not OpenBLAS. */
void blas_threads(int threads);

#endif
