/*
 * What the C++ files behind model.h share: the handle, and the border that
 * no exception crosses.
 */
#ifndef TOCSIN_MODEL_TORCH_HPP
#define TOCSIN_MODEL_TORCH_HPP

extern "C" {
#include "causal.h"
#include "model.h"
}

#include <memory>
#include <string>
#include <vector>

#include <torch/optim/adamw.h>
#include <torch/script.h>

constexpr int64_t STATE_MAX = 1 << 20;

/* The module as it was loaded, whose parameters are trained, and a frozen copy
 * of it (parameters as constants, everything inlined) that steps; training
 * drops the copy. Nothing is shared between handles. */
struct model {
    torch::jit::Module module;
    std::unique_ptr<torch::jit::Module> frozen;
    std::unique_ptr<torch::optim::AdamW> optimizer;
    std::vector<std::string> names; /* what the shape's pointers point at */
    model_shape shape;
    bool native; /* the module's statistics are those of causal.h */
    std::vector<float> floor;  /* for them, of the columns stepped last */
    std::vector<float> memory; /* of a step: statistics, or gathered states */
};

/* ERR_MODEL and one line of what libtorch says. */
int model_failed(struct err *err, const char *what, const char *why);

/* The body's return value, or what its exception says. */
template <typename Body> int guard(struct err *err, const char *what, Body body)
{
    try {
        return body();
    } catch (const c10::Error &e) {
        return model_failed(err, what, e.what_without_backtrace());
    } catch (const std::bad_alloc &) {
        return err_set(err, ERR_LIMIT, "%s: out of memory", what);
    } catch (const std::exception &e) {
        return model_failed(err, what, e.what());
    } catch (...) {
        return model_failed(err, what, "unknown exception");
    }
}

/* A tensor over memory that is not its own. */
torch::Tensor model_view(const float *data, std::vector<int64_t> sizes);

/* Columns with seasons, of so many columns. */
unsigned model_season_width(const struct model *model, int64_t columns);

/* initial() for B rows of F columns. */
torch::Tensor model_first_state(struct model *model, int64_t batch,
                                int64_t columns);

/* The least spread of each column, from floor(), kept. */
const float *model_floor(struct model *model, int64_t columns);

/* One step on NaN from the first state: finds S and E for F columns, and
 * throws where the module's shapes are not those of the contract. */
void model_probe(struct model *model, int64_t columns, unsigned *state,
                 unsigned *evidence);

#endif
