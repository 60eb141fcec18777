/*
 * The C face of libtorch: what a module must have, and how it is read and
 * written; model_step.cpp steps it, model_learn.cpp trains it. Everything that
 * can throw is called through guard(), which turns an exception into a struct
 * err, so none crosses into C.
 */
extern "C" {
#include "../base/file.h"
#include "blas.h"
#include "model_file.h"
}

#include <malloc.h>

#include <cstring>
#include <sstream>

#include <ATen/Parallel.h>
#include <torch/version.h>

#include "model_torch.hpp"

namespace
{

using torch::Tensor;
using torch::jit::IValue;

constexpr int64_t LAG_MAX = 512;
constexpr int64_t SEASON_MAX = 7 * 86400;

} // namespace

/* The first line of it, or the module's own words. */
int model_failed(struct err *err, const char *what, const char *why)
{
    std::istringstream lines(why);
    std::string line, first, last;

    while (std::getline(lines, line)) {
        if (first.empty()) {
            first = line;
        }
        if (line.find("Error: ") != std::string::npos) {
            last = line;
        }
    }
    return err_set(err, ERR_MODEL, "%s: %s", what,
                   last.empty() ? first.c_str() : last.c_str());
}

torch::Tensor model_view(const float *data, std::vector<int64_t> sizes)
{
    static float nothing; /* a tensor of no elements needs an address */
    float *at = const_cast<float *>(data);

    return torch::from_blob(at != nullptr ? at : &nothing, sizes,
                            torch::kFloat32);
}

unsigned model_season_width(const struct model *model, int64_t columns)
{
    unsigned most = model->shape.season_feature_count;

    return columns < most ? (unsigned)columns : most;
}

namespace
{

/* ------------------------------------------------------- the attributes */

IValue attribute(const model *model, const char *name)
{
    TORCH_CHECK(model->module.hasattr(name), "the module has no attribute \"",
                name, "\"");
    return model->module.attr(name);
}

/* The shape points into model->names, which must not move. */
unsigned read_names(model *model, const char *name, size_t most,
                    const char **into)
{
    IValue value = attribute(model, name);
    unsigned count = 0;

    TORCH_CHECK(value.isList(), "attribute \"", name, "\" is no list");
    for (const IValue &item : value.toListRef()) {
        TORCH_CHECK(item.isString(), "attribute \"", name,
                    "\" is no list of strings");
        TORCH_CHECK(count < most, "attribute \"", name, "\" has more than ",
                    most, " names");
        model->names.push_back(item.toStringRef());
        into[count++] = model->names.back().c_str();
    }
    return count;
}

template <typename Number>
unsigned read_numbers(const model *model, const char *name, int64_t most,
                      Number *into)
{
    IValue value = attribute(model, name);
    unsigned count = 0;

    TORCH_CHECK(value.isIntList(), "attribute \"", name,
                "\" is no list of int");
    for (int64_t number : value.toIntVector()) {
        TORCH_CHECK(count < MODEL_NAMES_MAX, "attribute \"", name,
                    "\" has more than ", MODEL_NAMES_MAX, " numbers");
        TORCH_CHECK(number >= 1 && number <= most, "attribute \"", name,
                    "\": ", number, " is not in 1..", most);
        into[count++] = (Number)number;
    }
    return count;
}

void read_attributes(model *model)
{
    model_shape *shape = &model->shape;
    IValue version = attribute(model, "version");
    IValue state = attribute(model, "state");
    unsigned i = 0;

    TORCH_CHECK(version.isString() &&
                    version.toStringRef().size() < sizeof(model->shape.version),
                "attribute \"version\" is no string of at most ",
                sizeof(model->shape.version) - 1, " bytes");
    snprintf(shape->version, sizeof(shape->version), "%s",
             version.toStringRef().c_str());
    TORCH_CHECK(state.isInt() && state.toInt() >= 1 &&
                    state.toInt() <= STATE_MAX,
                "attribute \"state\" is no int in 1..", STATE_MAX);
    shape->state = (unsigned)state.toInt();
    model->names.reserve(2 * MODEL_NAMES_MAX + 2);
    shape->feature_count =
        read_names(model, "features", MODEL_NAMES_MAX, shape->features);
    shape->season_feature_count =
        read_names(model, "season_features", 2, shape->season_features);
    shape->evidence_count =
        read_names(model, "evidence", MODEL_NAMES_MAX, shape->evidence);
    shape->lag_count = read_numbers(model, "lags", LAG_MAX, shape->lags);
    shape->season_count =
        read_numbers(model, "seasons", SEASON_MAX, shape->seasons);
    TORCH_CHECK(shape->feature_count > 0 && shape->evidence_count > 0,
                "attribute \"features\" or \"evidence\" is empty");
    while (i < shape->evidence_count &&
           strncmp(shape->evidence[i], "e:", 2) != 0) {
        i++;
    }
    shape->evidence_rows = i;
}

/* Statistics that causal.h has are computed there, others by step(). */
void check_statistics(model *model)
{
    if (!model->module.hasattr("statistics") ||
        model->module.attr("statistics") != IValue(CAUSAL_NAME)) {
        return;
    }
    TORCH_CHECK(model->module.find_method("floor") &&
                    model->module.find_method("judge") &&
                    model->module.find_method("band") &&
                    model->shape.season_count == CAUSAL_SEASONS,
                "statistics \"", CAUSAL_NAME, "\" need methods floor(), ",
                "judge() and band(), and ", (int)CAUSAL_SEASONS, " seasons");
    model->native = true;
}

void check_contract(model *model)
{
    unsigned state, evidence;

    for (const char *name : {"initial", "step", "loss"}) {
        TORCH_CHECK(model->module.find_method(name),
                    "the module has no method ", name, "()");
    }
    read_attributes(model);
    check_statistics(model);
    model_probe(model, model->shape.feature_count, &state, &evidence);
    TORCH_CHECK(state == model->shape.state, "attribute \"state\" is ",
                model->shape.state, ", initial() returns ", state);
    TORCH_CHECK(evidence == model->shape.evidence_count,
                "attribute \"evidence\" has ", model->shape.evidence_count,
                " names, step() returns ", evidence);
}

int read_module(model *model, const char *bytes, size_t len, err *err)
{
    std::istringstream stream(std::string(bytes, len));

    try {
        model->module = torch::jit::load(stream, torch::kCPU);
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &) {
        return err_set(err, ERR_MODEL,
                       "no TorchScript file of a libtorch "
                       "up to " TORCH_VERSION);
    }
    check_contract(model);
    return 0;
}

std::string write_module(const model *model)
{
    std::ostringstream stream;

    model->module.save(stream);
    return stream.str();
}

} // namespace

/* ------------------------------------------------------------ model.h */

extern "C" struct model *model_load(const char *path, struct err *err)
{
    std::unique_ptr<model> made;
    struct buf bytes;
    int rc;

    /* Operations allocate their results: do not map and zero each anew. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 128 << 20);

    buf_init(&bytes, MODEL_FILE_MAX);
    rc = model_file_read(path, &bytes, err);
    if (rc == 0) {
        rc = guard(err, "load", [&] {
            made = std::make_unique<model>();
            return read_module(made.get(), bytes.data != NULL ? bytes.data : "",
                               bytes.len, err);
        });
        if (rc != 0) {
            err_prefix(err, "%s", path);
        }
    }
    buf_release(&bytes);
    return rc == 0 ? made.release() : NULL;
}

extern "C" struct model *model_copy(const struct model *from, struct err *err)
{
    std::unique_ptr<model> made;
    int rc;

    rc = guard(err, "copy", [&] {
        std::string bytes = write_module(from);

        made = std::make_unique<model>();
        return read_module(made.get(), bytes.data(), bytes.size(), err);
    });
    return rc == 0 ? made.release() : NULL;
}

extern "C" void model_free(struct model *model)
{
    delete model;
}

extern "C" const struct model_shape *model_describe(const struct model *model)
{
    return &model->shape;
}

extern "C" int model_rename(struct model *model, const char *version,
                            struct err *err)
{
    return guard(err, "rename", [&] {
        if (strlen(version) >= sizeof(model->shape.version)) {
            return err_set(err, ERR_USAGE, "version \"%s\" is too long",
                           version);
        }
        model->module.setattr("version", std::string(version));
        snprintf(model->shape.version, sizeof(model->shape.version), "%s",
                 version);
        return 0;
    });
}

extern "C" int model_save(struct model *model, const char *path,
                          const char *version, struct err *err)
{
    return guard(err, "save", [&] {
        std::string bytes;

        if (model_rename(model, version, err) != 0) {
            return -1;
        }
        bytes = write_module(model);
        return file_replace(path, bytes.data(), bytes.size(), false, err);
    });
}

extern "C" void model_threads(int threads)
{
    blas_threads(threads);
    guard(NULL, "threads", [&] {
        at::set_num_threads(threads);
        return 0;
    });
}
