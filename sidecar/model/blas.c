/*
 * OpenBLAS has threads of its own, of which torch knows nothing, and Debian's
 * alternatives decide whether it is OpenBLAS: so it is asked at run time.
 */
#include "blas.h"

#include <dlfcn.h>
#include <string.h>

void blas_threads(int threads)
{
    void *symbol = dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
    void (*set)(int);

    if (symbol != NULL) {
        memcpy(&set, &symbol, sizeof(set));
        set(threads);
    }
}
