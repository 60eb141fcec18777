/*
 * The model where there is no libtorch (MODEL=stub): everything of Tocsin
 * builds and runs but for scoring, which says why it does not.
 */
#include "model.h"

static int model_absent(struct err *err)
{
    return err_set(err, ERR_MODEL,
                   "this tocsin was built without libtorch (MODEL=stub)");
}

struct model *model_load(const char *path, struct err *err)
{
    (void)path;
    model_absent(err);
    return NULL;
}

struct model *model_copy(const struct model *model, struct err *err)
{
    (void)model;
    model_absent(err);
    return NULL;
}

void model_free(struct model *model)
{
    (void)model;
}

const struct model_shape *model_describe(const struct model *model)
{
    (void)model;
    return NULL;
}

int model_sizes(struct model *model, unsigned columns, unsigned *state,
                unsigned *evidence, struct err *err)
{
    (void)model;
    (void)columns;
    (void)state;
    (void)evidence;
    return model_absent(err);
}

int model_initial(struct model *model, unsigned columns, size_t batch,
                  float *state, struct err *err)
{
    (void)model;
    (void)columns;
    (void)batch;
    (void)state;
    return model_absent(err);
}

int model_step(struct model *model, const struct model_step *step,
               struct err *err)
{
    (void)model;
    (void)step;
    return model_absent(err);
}

int model_loss(struct model *model, const struct model_windows *windows,
               uint64_t seed, double *loss, struct err *err)
{
    (void)model;
    (void)windows;
    (void)seed;
    (void)loss;
    return model_absent(err);
}

int model_train(struct model *model, const struct model_windows *windows,
                double learning_rate, uint64_t seed, double *loss,
                struct err *err)
{
    (void)model;
    (void)windows;
    (void)learning_rate;
    (void)seed;
    (void)loss;
    return model_absent(err);
}

int model_rename(struct model *model, const char *version, struct err *err)
{
    (void)model;
    (void)version;
    return model_absent(err);
}

int model_save(struct model *model, const char *path, const char *version,
               struct err *err)
{
    (void)model;
    (void)path;
    (void)version;
    return model_absent(err);
}

void model_threads(int threads)
{
    (void)threads;
}
